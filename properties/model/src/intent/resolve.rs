//! An intent and the manifests that it is about: names resolved, and what contradicts the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use credence_core::consumer::Consumer;
use credence_core::id::PropertyId;
use credence_core::text::nearest;

use super::document::{BoundEntry, ExampleEntry, PurposeEntry};
use super::{Intent, IntentError, IntentFault, vault};
use crate::config::{Config, parse_go_duration};
use crate::model::{Example, ExpectedKeys, Identities, Intended, Model, NotApplicable, Purpose, Slack, User, Wanted};

impl Intent {
    /// Meaning of the intent, with the names of the configuration. The model is that of the manifests as they are written.
    ///
    /// # Errors
    /// Names that the manifests do not have, and what contradicts them. That selectors contradict an example is no error: it is
    /// for lint to find, and for a run.
    pub fn resolve(&self, config: &Config, model: &Model) -> Result<Intended, IntentError> {
        let mut resolving = Resolving { intent: self, config, model, faults: Vec::new() };
        let intended = resolving.intended();
        if resolving.faults.is_empty() { Ok(intended) } else { Err(IntentError::Refused(resolving.faults)) }
    }
}

struct Resolving<'a> {
    intent: &'a Intent,
    config: &'a Config,
    model: &'a Model,
    faults: Vec<IntentFault>,
}

impl Resolving<'_> {
    fn intended(&mut self) -> Intended {
        let document = &self.intent.document;
        let examples = document.examples.iter().enumerate().map(|(index, entry)| self.example(index, entry)).collect();
        let purposes = document.purposes.iter().enumerate().map(|(index, entry)| self.purpose(index, entry)).collect();
        let not_applicable = self.not_applicable();
        let slacks = self.slacks();
        self.selected_by_name();
        self.unused_roles();
        self.unused_secret_logins();
        let identities = &document.identities;
        Intended {
            examples,
            protected: document.protected_namespaces.iter().cloned().collect(),
            identities: Identities {
                at: self.intent.manifest.object.get("identities").map(|_| self.intent.at("/identities")),
                operator: identities.operator.clone(),
                platform_groups: identities.platform_groups.clone(),
                break_glass_users: identities.break_glass.users.clone(),
                break_glass_groups: identities.break_glass.groups.clone(),
            },
            purposes,
            not_applicable,
            slacks,
            vault: vault::roles(self.intent),
            vault_secret_logins: vault::secret_logins(self.intent),
        }
    }

    /// Roles that no store logs in with.
    fn unused_roles(&mut self) {
        let model = self.model;
        let used: BTreeSet<&str> = model.stores.values().filter_map(|store| Some(store.vault_login()?.role)).collect();
        for (index, role) in self.intent.document.vault.roles.iter().enumerate() {
            if !used.contains(role.name.as_str()) {
                let (pointer, shown) = (format!("/vault/roles/{index}/name"), format!("vault.roles[{index}].name"));
                self.unknown(&pointer, &shown, "role that a store logs in with", &role.name, &used);
            }
        }
    }

    /// AppRoles and tokens of stores that log in otherwise.
    fn unused_secret_logins(&mut self) {
        let (model, vault) = (self.model, &self.intent.document.vault);
        let app_roles = vault.app_roles.iter().map(|role| &role.store).enumerate();
        let tokens = vault.tokens.iter().map(|token| &token.store).enumerate();
        let all = app_roles.map(|(index, store)| ("appRoles", "appRole", "an AppRole", index, store));
        let all = all.chain(tokens.map(|(index, store)| ("tokens", "tokenSecretRef", "a token", index, store)));
        for (list, method, with, index, name) in all {
            let stores = model.stores.values().filter(|store| store.vault_logs_in_by(method));
            let known: BTreeSet<&str> = stores.map(|store| store.name.as_str()).collect();
            if !known.contains(name.as_str()) {
                let (pointer, shown) = (format!("/vault/{list}/{index}/store"), format!("vault.{list}[{index}].store"));
                self.unknown(&pointer, &shown, &format!("store that logs in at Vault with {with}"), name, &known);
            }
        }
    }

    fn example(&mut self, index: usize, entry: &ExampleEntry) -> Example {
        let mut wanted = |field: &str, names: &[String]| -> Vec<Wanted> {
            let names = names.iter().enumerate();
            names
                .map(|(place, name)| {
                    let pointer = format!("/examples/{index}/{field}/{place}");
                    let distributions =
                        self.distributions(name, &pointer, &format!("examples[{index}].{field}[{place}]"));
                    Wanted { at: self.intent.at(&pointer), name: name.clone(), distributions }
                })
                .collect()
        };
        Example {
            must_have: wanted("mustHave", &entry.must_have),
            must_not_have: wanted("mustNotHave", &entry.must_not_have),
            at: self.intent.at(&format!("/examples/{index}")),
            name: entry.namespace.name.clone(),
            labels: entry.namespace.labels.clone(),
            reason: entry.reason.clone(),
        }
    }

    fn purpose(&mut self, index: usize, entry: &PurposeEntry) -> Purpose {
        let distributions =
            self.distributions(&entry.copy, &format!("/purposes/{index}/copy"), &format!("purposes[{index}].copy"));
        for (place, key) in entry.keys.iter().enumerate() {
            let model = self.model;
            let named = model.distributions.iter().filter(|distribution| distributions.contains(&distribution.name));
            let known: Vec<&ExpectedKeys> = named.map(|distribution| &distribution.keys).collect();
            let keys: BTreeSet<&str> = known.iter().flat_map(|keys| exact(keys)).collect();
            if known.iter().all(|known| matches!(known, ExpectedKeys::Exactly(_))) && !keys.contains(key.as_str()) {
                let (pointer, shown) =
                    (format!("/purposes/{index}/keys/{place}"), format!("purposes[{index}].keys[{place}]"));
                self.unknown(&pointer, &shown, "key of that copy", key, &keys);
            }
        }
        let known = entry.consumer.as_ref().and_then(|id| Consumer::ALL.iter().find(|known| known.meta().id == id));
        let user = known
            .map_or_else(|| User::Other(entry.used_by.clone().unwrap_or_default()), |consumer| User::Known(*consumer));
        let at = self.intent.at(&format!("/purposes/{index}"));
        Purpose { at, distributions, user, keys: entry.keys.iter().cloned().collect() }
    }

    fn not_applicable(&self) -> BTreeMap<PropertyId, NotApplicable> {
        let entries = self.intent.document.not_applicable.iter().enumerate();
        let resolved = entries.filter_map(|(index, entry)| {
            let at = self.intent.at(&format!("/notApplicable/{index}"));
            Some((entry.property.parse().ok()?, NotApplicable { at, reason: entry.reason.clone() }))
        });
        resolved.collect()
    }

    fn slacks(&mut self) -> BTreeMap<String, Slack> {
        let mut slacks = BTreeMap::new();
        let bounds = &self.intent.document.bounds;
        // The bound for all others gives way to those of single copies.
        let (single, general): (Vec<_>, Vec<_>) =
            bounds.iter().enumerate().partition(|(_, bound)| bound.copy.is_some());
        for (index, bound) in general.into_iter().chain(single) {
            let distributions = match &bound.copy {
                Some(name) => {
                    self.distributions(name, &format!("/bounds/{index}/copy"), &format!("bounds[{index}].copy"))
                }
                None => {
                    let refreshed =
                        self.model.distributions.iter().filter(|distribution| distribution.never_updates().is_none());
                    refreshed.map(|distribution| distribution.name.clone()).collect()
                }
            };
            for name in distributions {
                if let Some(time) = self.slack(index, bound, &name) {
                    let at = self.intent.at(&format!("/bounds/{index}"));
                    slacks.insert(name, Slack { at, time, reason: bound.reason.clone() });
                }
            }
        }
        slacks
    }

    /// The time beside the refresh interval of a distribution, if there is one.
    fn slack(&mut self, index: usize, bound: &BoundEntry, name: &str) -> Option<Duration> {
        let shown = format!("bounds[{index}].propagation");
        let pointer = format!("/bounds/{index}/propagation");
        let Ok(time) = parse_go_duration(&bound.propagation) else {
            let fault = self.intent.fault(&pointer, format!("{shown} is no duration; write one such as 5m30s"));
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
            return None;
        };
        let distribution = self.model.distributions.iter().find(|distribution| distribution.name == name)?;
        let place = self.place_of(name);
        if let Some(why) = distribution.never_updates() {
            let message =
                format!("{shown} is for copies that are never updated, since {why} of {place}; remove one of them");
            self.faults.push(self.intent.fault(&pointer, message));
            return None;
        }
        let slack = time.checked_sub(distribution.refresh_interval).filter(|slack| !slack.is_zero());
        if slack.is_none() {
            let message = format!(
                "{shown} is not longer than the refreshInterval of {place}, so that it cannot be kept; make this longer or that shorter"
            );
            self.faults.push(self.intent.fault(&pointer, message));
        }
        slack
    }

    /// Protected namespaces that a distribution is for by their names.
    fn selected_by_name(&mut self) {
        for (index, name) in self.intent.document.protected_namespaces.iter().enumerate() {
            for distribution in &self.model.distributions {
                if distribution.named_ways().iter().any(|(names, _)| names.contains(name)) {
                    let message = format!(
                        "protectedNamespaces[{index}] is a namespace that {} selects by its name; remove it from one of them",
                        self.place_of(&distribution.name)
                    );
                    self.faults.push(self.intent.fault(&format!("/protectedNamespaces/{index}"), message));
                }
            }
        }
    }

    /// The distributions of a name: the one of that ClusterExternalSecret, or else those whose copies have it. None is a fault.
    fn distributions(&mut self, name: &str, pointer: &str, shown: &str) -> Vec<String> {
        let all = &self.model.distributions;
        if all.iter().any(|distribution| distribution.name == name) {
            return vec![name.to_owned()];
        }
        let found: Vec<String> = all
            .iter()
            .filter(|distribution| distribution.secret == name)
            .map(|distribution| distribution.name.clone())
            .collect();
        if found.is_empty() {
            let known = all
                .iter()
                .flat_map(|distribution| [distribution.name.as_str(), distribution.secret.as_str()])
                .collect();
            self.unknown(pointer, shown, "copy and no ClusterExternalSecret of the configuration", name, &known);
        }
        found
    }

    fn unknown(&mut self, pointer: &str, shown: &str, what: &str, name: &str, known: &BTreeSet<&str>) {
        let next = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None if known.is_empty() => "there is none".to_owned(),
            None => format!("there are {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
        };
        self.faults.push(self.intent.fault(pointer, format!("{shown} names no {what}; {next}")));
    }

    /// Place at which a distribution is written.
    fn place_of(&self, name: &str) -> String {
        let distributed = self.config.cluster_external_secrets.iter().find(|distributed| distributed.name == name);
        distributed.map_or_else(|| name.to_owned(), |distributed| distributed.place.to_string())
    }
}

fn exact(keys: &ExpectedKeys) -> impl Iterator<Item = &str> {
    let keys = match keys {
        ExpectedKeys::Exactly(keys) => Some(keys),
        ExpectedKeys::Unknown { .. } => None,
    };
    keys.into_iter().flatten().map(String::as_str)
}
