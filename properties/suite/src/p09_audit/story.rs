//! Events in the namespace of a case, and whether a log explains all of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use credence_cluster::operator;
use credence_core::credential::Credential;
use credence_core::text::Reason;
use credence_model::config::SourceRef;
use credence_model::lint::{GARBAGE_COLLECTOR, NAMESPACE_CONTROLLER};
use credence_model::model::Distribution;
use credence_watch::observer::SecretEvent;

use super::accounts::reader;
use super::is_updated;
use super::trail::{Fact, Trail, Writer};

/// Kubernetes' own controllers that remove Secrets, as kube-controller-manager names them: each with an account of its own
/// (`--use-service-account-credentials`), or all by one.
const COLLECTORS: [&str; 3] = [GARBAGE_COLLECTOR, NAMESPACE_CONTROLLER, "system:kube-controller-manager"];
/// Verbs that make a version of an object.
const WRITES: [&str; 3] = ["create", "update", "patch"];

/// Operations of a case, and what was observed of it.
pub(super) struct Story {
    pub(super) namespace: String,
    pub(super) facts: Vec<Fact>,
    /// Values that must not be in the log.
    pub(super) values: Vec<Credential>,
    /// Every change to a Secret of the namespace.
    pub(super) events: Vec<SecretEvent>,
    pub(super) distributions: Vec<Distribution>,
    /// The source that was changed, if one was.
    pub(super) updated: Option<SourceRef>,
}

/// Number of times that a log explains something, by what it explains.
pub(super) type Told = BTreeMap<&'static str, u64>;

impl Story {
    /// Looks for a request behind each change to a Secret that was seen, and for the reads that each copy was made of.
    /// `agent` is what the people of the case call their program; requests of anybody else but the operator and Kubernetes'
    /// controllers, such as what the suite does for itself, explain nothing.
    ///
    /// # Errors
    /// What the log does not tell.
    pub(super) fn explained_by(&self, trail: &Trail, agent: &str) -> Result<Told, Reason> {
        let mut told = Told::new();
        self.writes(trail, agent, &mut told)?;
        self.removals(trail, agent, &mut told)?;
        for distribution in &self.distributions {
            self.operator(trail, distribution, &mut told)?;
            self.reads(trail, distribution, &mut told)?;
        }
        Ok(told)
    }

    fn is_copy(&self, name: &str) -> bool {
        self.distributions.iter().any(|distribution| distribution.secret == name)
    }

    fn writes(&self, trail: &Trail, agent: &str, told: &mut Told) -> Result<(), Reason> {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for event in &self.events {
            // Marking a Secret for deletion is a version as well, and is logged as its deletion.
            if let Some(secret) = event.secret.as_ref().filter(|secret| !secret.deleting) {
                versions.entry(&event.name).or_default().insert(&secret.resource_version);
            }
        }
        let operator = operator::user();
        for (name, versions) in versions {
            let writer = if self.is_copy(name) { Writer::User(&operator) } else { Writer::Agent(agent) };
            let (seen, writes) = (versions.len(), trail.count(&[writer], &WRITES, &self.namespace, name));
            if writes < seen {
                let by = if self.is_copy(name) { operator.as_str() } else { "people" };
                return Err(
                    format!("{name} had {seen} versions, and the audit log tells of {writes} writes by {by}").into()
                );
            }
            *told.entry("write explained").or_default() += seen as u64;
        }
        Ok(())
    }

    fn removals(&self, trail: &Trail, agent: &str, told: &mut Told) -> Result<(), Reason> {
        let mut removals: BTreeMap<&str, usize> = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.secret.is_none()) {
            *removals.entry(&event.name).or_default() += 1;
        }
        let collectors = COLLECTORS.map(Writer::User);
        let people = Writer::Agent(agent);
        for (name, seen) in removals {
            let mut all = collectors.to_vec();
            all.push(people);
            let single = trail.count(&all, &["delete"], &self.namespace, name);
            // A request without a name: that of the namespace's controller is for everything in it, that of people only for
            // what they made, which they know by a label.
            let whole = if self.is_copy(name) { &collectors[..] } else { &all[..] };
            let collective = trail.count(whole, &["deletecollection"], &self.namespace, "");
            if single + collective < seen {
                return Err(format!(
                    "{name} was removed {seen} times, and the audit log tells of {single} deletions by people and \
                     Kubernetes' controllers, and of {collective} of all Secrets at once"
                )
                .into());
            }
            *told
                .entry(if self.is_copy(name) { "removal of a copy explained" } else { "removal explained" })
                .or_default() += seen as u64;
        }
        Ok(())
    }

    /// Writes of the operator itself: each copy is made, and updated where its source was changed.
    fn operator(&self, trail: &Trail, distribution: &Distribution, told: &mut Told) -> Result<(), Reason> {
        let operator = operator::user();
        let by_operator = |verbs: &[&str]| {
            let writer = [Writer::User(&operator)];
            trail.count(&writer, verbs, &self.namespace, &distribution.secret) > 0
        };
        if !by_operator(&["create"]) {
            let (namespace, name) = (&self.namespace, &distribution.secret);
            return Err(format!("no entry of the audit log says: {operator} create {namespace}/{name}").into());
        }
        *told.entry("copy made by the operator").or_default() += 1;
        if self.updated.as_ref().is_some_and(|source| is_updated(distribution, source)) {
            if !by_operator(&["update", "patch"]) {
                let (namespace, name) = (&self.namespace, &distribution.secret);
                return Err(format!("no entry of the audit log says: {operator} update {namespace}/{name}").into());
            }
            *told.entry("copy updated by the operator").or_default() += 1;
        }
        Ok(())
    }

    fn reads(&self, trail: &Trail, distribution: &Distribution, told: &mut Told) -> Result<(), Reason> {
        let (operator, copy) = (operator::user(), (self.namespace.as_str(), distribution.secret.as_str()));
        let reads = reads_of(distribution);
        for reader in distribution.stores.iter().filter_map(reader) {
            let kind = if !trail.tells_of_tokens() {
                // The account of the store is told by each read; which token it used cannot be.
                let has_read = trail.has_read(&reader, &reads, &operator, copy);
                has_read.then_some("reads attributed to the account of their store")
            } else {
                match trail.readers(&reader, &reads, &operator, copy) {
                    None | Some(0) => None,
                    Some(1) => Some("reads attributed to their copy"),
                    Some(_) => Some("reads attributed to one of several copies"),
                }
            };
            let Some(kind) = kind else {
                return Err(format!(
                    "no entries of the audit log say which reads by {reader} made {}/{}",
                    copy.0, copy.1
                )
                .into());
            };
            *told.entry(kind).or_default() += 1;
        }
        Ok(())
    }
}

/// Number of times that the operator at least reads each source of a copy: once for each single value, and once for
/// each whole source.
fn reads_of(distribution: &Distribution) -> BTreeMap<(&str, &str), usize> {
    let named = distribution.keys_named();
    let times = |source: &SourceRef| named.iter().filter(|name| **name == source.name).count().max(1);
    let sources = distribution.sources().into_iter().filter(|source| source.is_secret());
    sources.map(|source| ((source.namespace.as_str(), source.name.as_str()), times(source))).collect()
}

#[cfg(test)]
mod tests {
    use credence_cluster::evidence::audit::AuditEntry;
    use credence_model::model::testing::reference;
    use credence_watch::observer::SecretSeen;
    use rstest::rstest;
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    const AGENT: &str = "case";

    fn distribution() -> Distribution {
        let model = reference();
        let mut distributions = model.distributions.into_iter();
        distributions
            .find(|distribution| !distribution.opt_in_labels().is_empty())
            .expect("the reference selects by labels")
    }

    fn event(name: &str, version: Option<&str>) -> SecretEvent {
        let secret = version.map(|version| SecretSeen {
            uid: "1".into(),
            owners: Vec::new(),
            type_: "Opaque".into(),
            labels: BTreeMap::new(),
            data: BTreeMap::new(),
            resource_version: version.into(),
            deleting: false,
        });
        SecretEvent { at: Instant::now(), name: name.into(), secret }
    }

    fn entry(user: &str, agent: &str, verb: &str, namespace: &str, name: &str) -> AuditEntry {
        let entry = json!({
            "auditID": "1", "level": "Metadata", "stage": "ResponseComplete", "verb": verb,
            "user": { "username": user }, "userAgent": agent, "responseStatus": { "code": 200 },
            "objectRef": { "resource": "secrets", "namespace": namespace, "name": name },
        });
        serde_json::from_value(entry).unwrap()
    }

    /// A copy that is made, updated after a change of its source, and collected.
    fn story(distribution: &Distribution) -> Story {
        let name = distribution.secret.as_str();
        Story {
            namespace: "a".into(),
            facts: Vec::new(),
            values: Vec::new(),
            events: vec![event(name, Some("1")), event(name, Some("2")), event(name, None)],
            distributions: vec![distribution.clone()],
            updated: distribution.sources().into_iter().next().cloned(),
        }
    }

    /// The log of that, but for the entries of these verbs.
    fn log(distribution: &Distribution, without: &[&str]) -> Vec<AuditEntry> {
        let (operator, copy) = (operator::user(), distribution.secret.as_str());
        let reads = distribution.stores.iter().filter_map(reader).flat_map(|reader| {
            let get = |source: &SourceRef| entry(&reader, "eso", "get", &source.namespace, &source.name);
            distribution.fields.iter().map(|field| get(&field.source)).collect::<Vec<_>>()
        });
        let rest = [
            entry(&operator, "eso", "create", "a", copy),
            entry(&operator, "eso", "update", "a", copy),
            entry(COLLECTORS[0], "kcm", "delete", "a", copy),
        ];
        reads.chain(rest).filter(|entry| !without.contains(&entry.verb.as_str())).collect()
    }

    #[test]
    fn a_log_that_has_all_of_it_explains_all_of_it() {
        let distribution = distribution();
        let told = story(&distribution).explained_by(&Trail::new(log(&distribution, &[])), AGENT).unwrap();
        for kind in ["copy made by the operator", "copy updated by the operator", "removal of a copy explained"] {
            assert_eq!(told.get(kind), Some(&1), "{told:?}");
        }
    }

    #[rstest]
    #[case::who_made_it("create", "versions")]
    #[case::who_updated_it("update", "versions")]
    #[case::who_removed_it("delete", "was removed 1 times")]
    #[case::who_read_its_source("get", "which reads")]
    fn a_log_without_the_entries_of_one_verb_leaves_something_open(#[case] verb: &str, #[case] expected: &str) {
        let distribution = distribution();
        let why = story(&distribution).explained_by(&Trail::new(log(&distribution, &[verb])), AGENT).unwrap_err();
        assert!(why.as_str().contains(expected), "{why}");
    }

    #[rstest]
    #[case::of_the_suite("admin", "credence", "deletecollection", "")]
    #[case::of_the_suite_by_name("admin", "credence", "delete", "copy")]
    #[case::of_people_who_remove_what_they_made("admin", AGENT, "deletecollection", "")]
    fn a_request_of_somebody_else_does_not_explain_that_a_copy_went(
        #[case] user: &str,
        #[case] agent: &str,
        #[case] verb: &str,
        #[case] name: &str,
    ) {
        let distribution = distribution();
        let name = if name.is_empty() { "" } else { distribution.secret.as_str() };
        let mut entries = log(&distribution, &["delete"]);
        entries.push(entry(user, agent, verb, "a", name));
        story(&distribution).explained_by(&Trail::new(entries), AGENT).unwrap_err();
    }

    #[test]
    fn a_write_of_people_does_not_explain_a_version_of_a_copy() {
        let distribution = distribution();
        let mut entries = log(&distribution, &["update"]);
        entries.push(entry("admin", AGENT, "update", "a", &distribution.secret));
        story(&distribution).explained_by(&Trail::new(entries), AGENT).unwrap_err();
    }
}
