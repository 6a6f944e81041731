//! Faults at a moment, as far as metadata and statuses tell.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use credence_model::config::SourceRef;
use credence_model::model::{Distribution, ExpectedKeys};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::secret::Secret;
use super::state::{ExternalSecret, State};
use super::status::StoreState;

/// Something that is wrong with one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Finding<'a> {
    /// Name of the ClusterExternalSecret that the object is of.
    pub credential: &'a str,
    /// Fault of the object.
    pub problem: Problem,
    /// Namespace of the object; empty for one of the whole cluster.
    pub namespace: &'a str,
    /// The Secret, or the ExternalSecret for problems of one.
    pub name: &'a str,
}

/// Possible faults of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Problem {
    /// A namespace asks for a copy that does not exist.
    Missing,
    /// A copy is in a namespace that does not ask for it: a right that was taken away and still works.
    Unasked,
    /// A copy was last read from the source before the source was written, and the bound for that has passed.
    Stale,
    /// An ExternalSecret has not been refreshed within its interval and the bound, and reports no failure: the operator
    /// does not run, or cannot keep up.
    Overdue,
    /// An ExternalSecret reports a failure, or is not the ClusterExternalSecret's own.
    Failed,
    /// A copy is not as the operator left it.
    Drifted(Part),
    /// A Secret passes for one of the distribution, and the operator did not make it.
    HandMade(Sign),
}

/// The part of a copy that is not as the operator left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Somebody else wrote a value last.
    Data,
    /// The operator's hash of the data is gone, or somebody else wrote it.
    Hash,
    /// A label that the configuration asks for, or the operator's own, is gone or different.
    Labels,
    /// The hash is not that of the other copies, although all were read from the same source since it was last written.
    Content,
}

/// Signs by which a Secret passes for one of the distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sign {
    /// It has the name of a copy.
    Name,
    /// It has all labels of a copy, or the label by which a consumer finds one.
    Labels,
    /// It is a pull secret, and the configuration distributes pull secrets.
    Type,
}

impl Part {
    /// Every part; each is a label value of one metric.
    pub const ALL: [Self; 4] = [Self::Data, Self::Hash, Self::Labels, Self::Content];

    /// Its stable name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Hash => "hash",
            Self::Labels => "labels",
            Self::Content => "content",
        }
    }
}

impl Sign {
    /// Every sign; each is a label value of one metric.
    pub const ALL: [Self; 3] = [Self::Name, Self::Labels, Self::Type];

    /// Its stable name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Labels => "labels",
            Self::Type => "type",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Unasked => f.write_str("unasked"),
            Self::Stale => f.write_str("stale"),
            Self::Overdue => f.write_str("overdue"),
            Self::Failed => f.write_str("failed"),
            Self::Drifted(part) => write!(f, "drifted: {}", part.as_str()),
            Self::HandMade(sign) => write!(f, "hand-made: {}", sign.as_str()),
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One credential, which is one ClusterExternalSecret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential<'a> {
    /// Name of the ClusterExternalSecret.
    pub name: &'a str,
    /// The namespaces that ask for it.
    pub dependents: u64,
    /// The copies that are there in those namespaces.
    pub copies: u64,
    /// Time within which an update of its source must reach each of them.
    pub bound: Duration,
    /// Number of objects that have which problem.
    pub problems: BTreeMap<Problem, u64>,
}

/// Facts that are known of the distribution at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health<'a> {
    /// Every credential of the configuration, by name.
    pub credentials: Vec<Credential<'a>>,
    /// Time at which each source was last written, in whole seconds of the API server; `None` if it does not exist.
    pub sources: Vec<(&'a SourceRef, Option<Timestamp>)>,
    /// Every store that the credentials are read through, by name.
    pub stores: BTreeMap<&'a str, StoreState>,
    /// Everything that is wrong, one entry for each object and fault.
    pub findings: Vec<Finding<'a>>,
}

impl State {
    /// Counts and faults at `now`, by which bounds are measured.
    pub fn health(&self, now: Timestamp) -> Health<'_> {
        let mut survey = Survey { state: self, now, bounds: self.bounds(), counts: Vec::new(), findings: Vec::new() };
        survey.counts.resize_with(self.model.distributions.len(), Counts::default);
        survey.dependents();
        survey.contents();
        survey.others();
        let Survey { bounds, counts, findings, .. } = survey;
        let distributions = self.model.distributions.iter().zip(bounds).zip(counts);
        let credentials = distributions.map(|((distribution, bound), counts)| Credential {
            name: &distribution.name,
            dependents: counts.dependents,
            copies: counts.copies,
            bound,
            problems: counts.problems,
        });
        let sources = self.model.secret_sources();
        let sources = sources.map(|source| {
            let known = self.sources.get(&source.namespace, &source.name);
            (source, known.map(|known| known.written))
        });
        // Only the stores of the whole cluster are watched.
        let stores = self.model.distributions.iter().flat_map(|distribution| &distribution.stores);
        let stores = stores.filter(|store| store.namespace().is_none()).map(|store| {
            let known = self.stores.get("", &store.name).copied();
            (store.name.as_str(), known.unwrap_or(StoreState::Absent))
        });
        Health { credentials: credentials.collect(), sources: sources.collect(), stores: stores.collect(), findings }
    }

    /// Time within which an update must reach the copies of each credential, while the operator refreshes all of them.
    fn bounds(&self) -> Vec<Duration> {
        let all = u32::try_from(self.external_secrets.iter().count()).unwrap_or(u32::MAX);
        let distributions = self.model.distributions.iter();
        distributions
            .map(|distribution| self.model.propagation_bound(distribution, all, self.workers).limit())
            .collect()
    }
}

#[derive(Default)]
struct Counts<'a> {
    dependents: u64,
    copies: u64,
    problems: BTreeMap<Problem, u64>,
    /// The namespaces whose copies were read since the sources were last written, by the hash of their data.
    contents: BTreeMap<u64, Vec<&'a str>>,
}

struct Survey<'a> {
    state: &'a State,
    now: Timestamp,
    bounds: Vec<Duration>,
    counts: Vec<Counts<'a>>,
    findings: Vec<Finding<'a>>,
}

impl<'a> Survey<'a> {
    fn find(&mut self, credential: usize, problem: Problem, namespace: &'a str, name: &'a str) {
        *self.counts[credential].problems.entry(problem).or_default() += 1;
        let credential = &self.state.model.distributions[credential].name;
        self.findings.push(Finding { credential, problem, namespace, name });
    }

    /// Copies that the namespaces that ask must hold.
    fn dependents(&mut self) {
        let state = self.state;
        for (_, namespace, known) in state.namespaces.iter().filter(|(_, _, known)| !known.is_terminating) {
            for credential in &known.asks_for {
                self.dependent(namespace, *credential);
            }
        }
    }

    fn dependent(&mut self, namespace: &'a str, credential: usize) {
        let state = self.state;
        let distribution = &state.model.distributions[credential];
        self.counts[credential].dependents += 1;
        let external = state.external_secrets.get(namespace, &distribution.external_secret);
        if let Some(external) = external {
            let bound = self.bounds[credential];
            let last = external.refreshed.max(external.created);
            if external.is_failed || external.credential != Some(credential) {
                self.find(credential, Problem::Failed, namespace, &distribution.external_secret);
            } else if distribution.never_updates().is_none() && last.is_some_and(|last| self.has_passed(last, bound)) {
                self.find(credential, Problem::Overdue, namespace, &distribution.external_secret);
            }
        }
        let Some(secret) = state.secrets.get(namespace, &distribution.secret) else {
            return self.find(credential, Problem::Missing, namespace, &distribution.secret);
        };
        if !secret.is_copy_of(distribution) {
            // It is counted as hand-made, with all others.
            return;
        }
        self.counts[credential].copies += 1;
        self.copy(namespace, credential, secret, external);
    }

    fn copy(&mut self, namespace: &'a str, credential: usize, secret: &Secret, external: Option<&ExternalSecret>) {
        let state = self.state;
        let distribution = &state.model.distributions[credential];
        let drifted = [
            (Part::Data, secret.has_foreign_data(distribution)),
            (Part::Hash, secret.has_foreign_hash()),
            (Part::Labels, secret.has_foreign_labels(credential, distribution)),
        ];
        for (part, _) in drifted.into_iter().filter(|(_, has)| *has) {
            self.find(credential, Problem::Drifted(part), namespace, &distribution.secret);
        }
        let read = last_read(distribution, secret, external);
        let bound = self.bounds[credential];
        let sources = distribution.sources().into_iter();
        let sources = sources.filter_map(|source| state.sources.get(&source.namespace, &source.name));
        let unread: Vec<_> = sources.filter(|source| !has_read(distribution, read, source.written)).collect();
        if unread.iter().any(|source| self.has_passed(source.seen, bound)) {
            self.find(credential, Problem::Stale, namespace, &distribution.secret);
        }
        if let (true, Some(hash)) = (unread.is_empty(), secret.managed_fields.hash) {
            self.counts[credential].contents.entry(hash).or_default().push(namespace);
        }
    }

    /// Copies that are unlike most of their credential's.
    fn contents(&mut self) {
        for credential in 0..self.counts.len() {
            let distribution = &self.state.model.distributions[credential];
            // A template that reads objects of each namespace makes copies that differ rightly.
            if matches!(distribution.keys, ExpectedKeys::Unknown { .. }) {
                continue;
            }
            let mut groups: Vec<_> = std::mem::take(&mut self.counts[credential].contents).into_values().collect();
            groups.sort_by_key(Vec::len);
            groups.pop();
            for namespace in groups.into_iter().flatten() {
                self.find(credential, Problem::Drifted(Part::Content), namespace, &distribution.secret);
            }
        }
    }

    /// Secrets that no namespace asks for, and those that the operator did not make.
    fn others(&mut self) {
        let state = self.state;
        for (namespace, name, secret) in state.secrets.iter() {
            let Some(credential) = state.credential_of(namespace, name, secret) else { continue };
            let distribution = &state.model.distributions[credential];
            let known = state.namespaces.get("", namespace);
            if !state.is_name_of_copies(name) {
                self.find(credential, Problem::HandMade(Sign::Labels), namespace, name);
            } else if !secret.is_copy_of(distribution) {
                self.find(credential, Problem::HandMade(Sign::Name), namespace, name);
            } else if known.is_some_and(|known| !known.is_terminating && !known.asks_for.contains(&credential)) {
                self.find(credential, Problem::Unasked, namespace, name);
            }
        }
        for (namespace, name, ()) in state.pull_secrets.iter() {
            let credential = state.pull_secret_credential();
            if let Some(credential) = credential.filter(|_| state.secrets.get(namespace, name).is_none()) {
                self.find(credential, Problem::HandMade(Sign::Type), namespace, name);
            }
        }
    }

    fn has_passed(&self, since: Timestamp, bound: Duration) -> bool {
        let elapsed = Duration::try_from(self.now.duration_since(since));
        elapsed.is_ok_and(|elapsed| elapsed > bound)
    }
}

/// Time at which a copy was last read from its sources, in whole seconds; a refresh that found nothing to change counts.
fn last_read(distribution: &Distribution, secret: &Secret, external: Option<&ExternalSecret>) -> Option<Timestamp> {
    match external {
        // The operator refreshes an immutable copy, says that it succeeded, and changes nothing.
        Some(external) if !distribution.immutable => external.refreshed,
        _ => secret.managed_fields.operator_wrote,
    }
}

/// True if a read at `read` saw what was written at `written`. A read within the same second may have come before;
/// where there is only ever one read, there is no later one to tell.
fn has_read(distribution: &Distribution, read: Option<Timestamp>, written: Timestamp) -> bool {
    match distribution.never_updates() {
        None => read.is_some_and(|read| read > written),
        Some(_) => read.is_some_and(|read| read >= written),
    }
}
