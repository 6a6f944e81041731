//! Subject of p10: a distribution of the configuration with its stores and their rights, once more under other names.
//!
//! The labels that the copy looks at have keys of their own, and its selectors one label more, so that it reaches no
//! namespace but those of its cases, and the configuration's own objects reach none of these.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::{Applier, ApplyError, RUN_LABEL};
use credence_core::labels::Labels;
use credence_core::operator_api::EXTERNAL_SECRETS_API;
use credence_model::model::Distribution;
use credence_model::selector::NAME_LABEL;
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::{Api, Client};
use serde_json::{Map, Value, json};

use super::enforcement_point::{self, EnforcedPolicy, EnforcementPoint};
use crate::testbed::TestBed;
use crate::testbed::bindings::Binding;
use crate::testbed::known_bugs::Maker;
use crate::testbed::operator_api;

/// Label that tells the namespaces of a subject from all others.
const SCOPE_LABEL: &str = "credence.dev/policy";
/// Label that a changed policy looks at.
const GRANT: &str = "credence.dev/grant";
/// Time that the copies of a subject may stay after it is gone before the next run has to sweep them.
const GONE: Duration = Duration::from_secs(60);

/// The set-up of p10 failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubjectError {
    /// An object or the rights of a store could not be read.
    #[error(transparent)]
    Read(#[from] ApiError),
    #[error("failed to apply the objects that policies are tested with")]
    Apply(#[from] ApplyError),
}

/// The values of the grant label that a policy allows; none if it does not look at it.
pub(super) type Allowed = Option<BTreeSet<String>>;

/// A distribution under other names.
pub(super) struct Subject<'a> {
    pub(super) distribution: &'a Distribution,
    enforced: EnforcedPolicy,
    /// The name of all its objects; of a store, with its number behind it.
    name: String,
    /// Its own label keys, by those of the configuration.
    keys: BTreeMap<String, String>,
    applier: Applier,
    spec: Value,
    stores: Vec<Store>,
}

/// Copy of a central store for the suite's own ClusterExternalSecret.
struct Store {
    name: String,
    spec: Value,
    account: Option<Account>,
}

/// The ServiceAccount of a store, in the namespace of the sources.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) namespace: String,
    pub(super) name: String,
    rules: Vec<PolicyRule>,
}

impl<'a> Subject<'a> {
    /// Reads a distribution and its stores as they are deployed, and applies them under `name`; `number` is unique among the
    /// subjects of a run.
    pub(super) async fn create(
        env: &'a TestBed,
        client: &Client,
        distribution: &'a Distribution,
        enforced: EnforcedPolicy,
        number: u32,
    ) -> Result<Self, SubjectError> {
        let name = format!("credence-{}-policy-{number}", env.namespaces.run());
        let keys = enforcement_point::keys(distribution).into_iter().enumerate();
        let keys = keys.map(|(n, key)| (key.to_owned(), format!("credence.dev/policy-{number}-{n}"))).collect();
        let spec = spec_of(client, "ClusterExternalSecret", &distribution.name).await?;
        let mut stores = Vec::new();
        for (n, store) in distribution.stores.iter().enumerate() {
            let name = format!("{name}-{n}");
            let spec = spec_of(client, "ClusterSecretStore", &store.name).await?;
            let provider = store.kubernetes.as_ref();
            let account =
                provider.and_then(|provider| Some((provider.remote_namespace.as_str(), provider.service_account()?)));
            let account = match account.and_then(|(place, account)| Some((place, account.namespace.as_ref()?, account)))
            {
                Some((place, namespace, account)) => {
                    let rules = rules_of(client, place, namespace, &account.name).await?;
                    Some(Account { namespace: place.to_owned(), name: name.clone(), rules })
                }
                None => None,
            };
            stores.push(Store { name, spec, account });
        }
        let applier = Applier::discover(client).await?;
        let subject = Self { distribution, enforced, name, keys, applier, spec, stores };
        subject.applier.apply_all(&subject.rights(env)).await?;
        subject.allow(env, &None).await?;
        Ok(subject)
    }

    /// The maker of its copies.
    pub(super) fn maker(&self) -> Maker<'_> {
        Maker { name: &self.name, external_secret: &self.distribution.external_secret }
    }

    /// The accounts of its stores.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.stores.iter().filter_map(|store| store.account.as_ref())
    }

    /// The labels with which a namespace asks, in the way that `pick` picks, with its value of the grant label.
    pub(super) fn labels(&self, way: crate::generate::Pick, grant: Option<&str>) -> Labels {
        let way = way.of(&self.enforced.ways).iter();
        let mut labels: Labels = way.map(|(key, value)| (self.key(key), value.clone())).collect();
        labels.insert(SCOPE_LABEL.to_owned(), self.name.clone());
        labels.extend(grant.map(|grant| (GRANT.to_owned(), grant.to_owned())));
        labels
    }

    /// The keys of all labels that a namespace can have for it.
    pub(super) fn label_keys(&self) -> BTreeSet<String> {
        self.keys.values().cloned().chain([SCOPE_LABEL.to_owned(), GRANT.to_owned()]).collect()
    }

    fn key(&self, key: &str) -> String {
        self.keys.get(key).map_or(key, String::as_str).to_owned()
    }

    /// Changes its policy, where the configuration keeps it, so that these values of the grant label are allowed. What
    /// admits is changed before what selects.
    pub(super) async fn allow(&self, env: &TestBed, allowed: &Allowed) -> Result<(), SubjectError> {
        let enforcement_point = self.enforced.enforcement_point;
        for store in &self.stores {
            let allowed = allowed.as_ref().filter(|_| enforcement_point != EnforcementPoint::Selectors);
            self.applier.apply(&self.store(env, store, allowed)).await?;
        }
        let allowed = allowed.as_ref().filter(|_| enforcement_point != EnforcementPoint::Conditions);
        Ok(self.applier.apply(&self.distribution(env, allowed)).await?)
    }

    /// Takes the rights of its stores' accounts away, in one of two ways, or gives them back.
    pub(super) async fn set_rights(&self, env: &TestBed, rights: Rights) -> Result<(), SubjectError> {
        for object in self.rights(env) {
            let changed = match (rights, object["kind"].as_str()) {
                (Rights::Given, _) => self.applier.apply(&object).await,
                (Rights::Unbound, Some("RoleBinding")) => self.applier.remove(&object).await,
                (Rights::Emptied, Some("Role")) => {
                    let mut emptied = object.clone();
                    emptied["rules"] = json!([]);
                    self.applier.apply(&emptied).await
                }
                _ => Ok(()),
            };
            changed?;
        }
        Ok(())
    }

    /// Removes everything, its copies first.
    pub(super) async fn remove(&self, env: &TestBed) -> Result<(), SubjectError> {
        self.applier.remove(&self.distribution(env, None)).await?;
        let secret = &self.distribution.secret;
        let what = format!("all copies {secret} of {} gone", self.name);
        let gone: Result<(), WaitError> = wait::until(&env.observer, &what, GONE, |view| {
            let holds =
                |seen: &credence_watch::observer::NamespaceSeen| seen.labels.get(SCOPE_LABEL) == Some(&self.name);
            let mut namespaces = view.namespaces().filter(|(_, seen)| holds(seen));
            match namespaces.find(|(namespace, _)| view.secret(namespace, secret).is_some()) {
                Some((namespace, _)) => Progress::NotYet(format!("{namespace} holds it")),
                None => Progress::Done(()),
            }
        })
        .await;
        for store in &self.stores {
            self.applier.remove(&self.store(env, store, None)).await?;
        }
        for object in self.rights(env) {
            self.applier.remove(&object).await?;
        }
        // What stayed is found again when the namespaces are given back.
        drop(gone);
        Ok(())
    }

    fn metadata(&self, env: &TestBed, name: &str, namespace: Option<&str>) -> Value {
        let labels = json!({ RUN_LABEL: env.namespaces.run() });
        json!({ "name": name, "namespace": namespace, "labels": labels })
    }

    fn rights(&self, env: &TestBed) -> Vec<Value> {
        const GROUP: &str = "rbac.authorization.k8s.io";
        let objects = self.accounts().flat_map(|Account { namespace, name, rules }| {
            let metadata = self.metadata(env, name, Some(namespace));
            [
                json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata }),
                json!({ "apiVersion": format!("{GROUP}/v1"), "kind": "Role", "metadata": metadata, "rules": rules }),
                json!({ "apiVersion": format!("{GROUP}/v1"), "kind": "RoleBinding", "metadata": metadata,
                    "roleRef": { "apiGroup": GROUP, "kind": "Role", "name": name },
                    "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }] }),
            ]
        });
        objects.collect()
    }

    fn store(&self, env: &TestBed, store: &Store, allowed: Option<&BTreeSet<String>>) -> Value {
        let mut spec = store.spec.clone();
        for condition in spec.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(selector) = condition.get_mut("namespaceSelector") {
                self.rewrite(selector, allowed);
            }
        }
        if let (Some(Account { namespace, name, .. }), Some(auth)) =
            (&store.account, spec.pointer_mut("/provider/kubernetes/auth"))
        {
            *auth = json!({ "serviceAccount": { "name": name, "namespace": namespace } });
        }
        json!({ "apiVersion": EXTERNAL_SECRETS_API, "kind": "ClusterSecretStore",
            "metadata": self.metadata(env, &store.name, None), "spec": spec })
    }

    fn distribution(&self, env: &TestBed, allowed: Option<&BTreeSet<String>>) -> Value {
        let mut spec = self.spec.clone();
        let deprecated = spec.as_object_mut().and_then(|spec| spec.remove("namespaceSelector"));
        let listed = spec.get("namespaceSelectors").and_then(Value::as_array).cloned();
        let selectors = deprecated.into_iter().chain(listed.into_iter().flatten()).map(|mut selector| {
            self.rewrite(&mut selector, allowed);
            fields(&mut selector, "matchLabels").insert(SCOPE_LABEL.to_owned(), json!(self.name));
            selector
        });
        spec["namespaceSelectors"] = selectors.collect();
        // Those namespaces are not ours.
        spec.as_object_mut().and_then(|spec| spec.remove("namespaces"));
        spec["externalSecretName"] = json!(self.distribution.external_secret);
        spec["externalSecretSpec"]["target"]["name"] = json!(self.distribution.secret);
        let names: BTreeMap<&str, &str> = self
            .distribution
            .stores
            .iter()
            .zip(&self.stores)
            .map(|(old, new)| (old.name.as_str(), new.name.as_str()))
            .collect();
        rename_stores(&mut spec["externalSecretSpec"], &names);
        json!({ "apiVersion": EXTERNAL_SECRETS_API, "kind": "ClusterExternalSecret",
            "metadata": self.metadata(env, &self.name, None), "spec": spec })
    }

    /// Gives a label selector our keys, and lets it look at the grant label as well.
    fn rewrite(&self, selector: &mut Value, allowed: Option<&BTreeSet<String>>) {
        let labels = std::mem::take(fields(selector, "matchLabels"));
        *fields(selector, "matchLabels") = labels.into_iter().map(|(key, value)| (self.key(&key), value)).collect();
        let mut expressions = selector.get("matchExpressions").and_then(Value::as_array).cloned().unwrap_or_default();
        for expression in &mut expressions {
            if let Some(key) = expression["key"].as_str().filter(|key| *key != NAME_LABEL) {
                expression["key"] = json!(self.key(key));
            }
        }
        expressions.extend(allowed.map(|values| json!({ "key": GRANT, "operator": "In", "values": values })));
        selector["matchExpressions"] = json!(expressions);
    }
}

/// The rights of a store's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// The rights of the configuration.
    Given,
    /// Its RoleBinding is gone.
    Unbound,
    /// Its Role has no rules.
    Emptied,
}

/// A field that holds an object, made if it is not there.
fn fields<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    if !object[field].is_object() {
        object[field] = json!({});
    }
    // It was made an object one line above.
    object[field].as_object_mut().expect("an object")
}

/// Puts other names in the place of the stores' names in the spec of an ExternalSecret.
fn rename_stores(spec: &mut Value, names: &BTreeMap<&str, &str>) {
    let rename = |reference: Option<&mut Value>| {
        if let Some(name) = reference.and_then(|reference| reference.get_mut("name"))
            && let Some(new) = name.as_str().and_then(|old| names.get(old))
        {
            *name = json!(new);
        }
    };
    rename(spec.get_mut("secretStoreRef"));
    for list in ["data", "dataFrom"] {
        for entry in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            rename(entry.pointer_mut("/sourceRef/storeRef"));
        }
    }
}

async fn spec_of(client: &Client, kind: &str, name: &str) -> Result<Value, SubjectError> {
    let object = operator_api::api(client, kind, None).get(name).await.map_err(unread(&format!("{kind} {name}")))?;
    Ok(object.data["spec"].clone())
}

/// Rules of an account in the namespace `place`.
async fn rules_of(
    client: &Client,
    place: &str,
    namespace: &str,
    account: &str,
) -> Result<Vec<PolicyRule>, SubjectError> {
    let mut rules = Vec::new();
    for binding in Binding::effective(client, place).await? {
        if !binding.names(namespace, account) {
            continue;
        }
        let object = format!("{} {}", binding.role.kind, binding.role.name);
        let found = if binding.role.kind == "ClusterRole" {
            let role = Api::<ClusterRole>::all(client.clone()).get(&binding.role.name).await;
            role.map_err(unread(&object))?.rules
        } else {
            let role = Api::<Role>::namespaced(client.clone(), place).get(&binding.role.name).await;
            role.map_err(unread(&object))?.rules
        };
        // A Role has no rules about anything but resources.
        rules.extend(found.into_iter().flatten().filter(|rule| rule.non_resource_urls.is_none()));
    }
    Ok(rules)
}

fn unread(object: &str) -> impl Fn(kube::Error) -> SubjectError + use<> {
    ApiError::of("read", object)
}
