//! A slot in time on one source: namespaces that depend on it, and new values that are written to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_core::text::Reason;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};
use credence_model::values::Values;
use credence_report::unknown::{Cause, Unknown};
#[cfg(feature = "faults")]
use credence_watch::observer::ExternalSecretSeen;
use credence_watch::observer::View;
use credence_watch::wait::{self, WaitError};
use kube::Client;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use tokio::time::Instant;

#[cfg(feature = "faults")]
use crate::faults::{self, OwnFault};
use crate::generate::{self, Pick};
use crate::observation::{Observation, cause_of};
use crate::oracle::{self, Known};
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease, NamespaceError};
use crate::testbed::sources::ExclusiveLease;

/// Everything that the cases of a slot share: a source, the values that it starts with, and those that follow.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// Source whose values change, one of the model's.
    pub source: SourceRef,
    /// Its values at the beginning.
    pub initial: Values,
    /// The rotations, in the order in which they are written.
    pub steps: Vec<Step>,
}

/// New values, written some time after the ones before.
#[derive(Debug, Clone)]
pub struct Step {
    /// Pause before these values are written; the first step of a rotation is written at once.
    pub after: Duration,
    /// All values of the source from then on, by key.
    pub values: Values,
}

impl Rotation {
    /// Generates a rotation of one of the `sources`, taken in turn by the number of the slot, with `steps` drawn from
    /// that range and pauses of up to `longest`.
    pub fn strategy(
        model: &Model,
        sources: &[&SourceRef],
        slot: u32,
        steps: std::ops::RangeInclusive<usize>,
        longest: Duration,
    ) -> Option<BoxedStrategy<Self>> {
        let turn = usize::try_from(slot).ok()?.checked_rem(sources.len())?;
        let source = (*sources.get(turn)?).clone();
        let keys = &model.sources.get(&source)?.keys;
        let values = || generate::values_of(model, &source, keys);
        let pause = (0..=u64::try_from(longest.as_millis()).ok()?).prop_map(Duration::from_millis);
        let step = (pause, values()).prop_map(|(after, values)| Step { after, values });
        let strategy = (values(), proptest::collection::vec(step, steps)).prop_map(move |(initial, steps)| Self {
            source: source.clone(),
            initial,
            steps,
        });
        Some(strategy.boxed())
    }

    /// Values of its source, as those of no other.
    pub fn of_source<'a>(&'a self, values: &'a Values) -> (&'a SourceRef, &'a Values) {
        (&self.source, values)
    }

    /// The values at the end, and the ones before them.
    pub(crate) fn last_two(&self) -> (&Values, &Values) {
        #[cfg(feature = "faults")]
        if faults::is_on(OwnFault::PreviousValue) {
            return (&self.initial, &self.initial);
        }
        let mut all = std::iter::once(&self.initial).chain(self.steps.iter().map(|step| &step.values)).rev();
        let last = all.next().unwrap_or(&self.initial);
        (all.next().unwrap_or(last), last)
    }
}

/// Takes a source for a slot and writes the values that it begins with; without them, no case of the slot can tell.
///
/// # Errors
/// The observation that each case of the slot ends with.
pub async fn begin(
    env: &TestBed,
    client: &Client,
    manager: &str,
    source: &SourceRef,
    initial: &Values,
) -> Result<ExclusiveLease, Observation> {
    let Some(mut lease) = env.sources.rotate(source).await else {
        return Err(Observation::unknown(Cause::SetUpFailed, format!("there is no source {source}")));
    };
    lease.write(client, manager, initial).await?;
    Ok(lease)
}

/// Writes the values of `steps` in turn, each after its pause but the first at once. Gives the instant at which the last
/// were written, or why they could not be.
///
/// # Errors
/// The refusal of the API server, as text for every case of the slot.
pub async fn write(env: &TestBed, steps: &[Step], lease: &mut ExclusiveLease) -> Result<Instant, Unknown> {
    let mut written = Instant::now();
    for (number, step) in steps.iter().enumerate() {
        if number > 0 {
            wait::pass(step.after).await;
        }
        let write = lease.write(&env.cluster.client, FIELD_MANAGER, &step.values);
        written = write.await.map_err(|error| Unknown::new(cause_of(&error), error.to_string()))?;
    }
    Ok(written)
}

/// A namespace that holds a copy of the slot's source.
pub struct Dependent<'a> {
    /// Distribution that the copy must be like.
    pub distribution: &'a Distribution,
    /// Namespace that holds the copy.
    pub namespace: String,
    lease: Option<Lease>,
    labels: BTreeMap<String, String>,
}

impl<'a> Dependent<'a> {
    /// Takes a namespace for `distribution`; it asks for nothing until [`ask`](Self::ask). A distribution that selects by name
    /// has its own namespaces, which ask from the beginning and which every case may look at: the cases of a slot wait for
    /// each other, so that none may wait for a namespace that another one has.
    ///
    /// # Errors
    /// When no namespace can be had.
    pub async fn lease(
        env: &TestBed,
        client: &Client,
        distribution: &'a Distribution,
        way: Pick,
    ) -> Result<Dependent<'a>, NamespaceError> {
        let ways = distribution.opt_in_labels();
        if ways.is_empty() {
            let standing = |(names, labels): (BTreeSet<String>, Labels)| {
                names.into_iter().find(|name| labels.is_empty() || env.namespaces.stands(name, &labels))
            };
            let standing: Vec<String> = distribution.named_ways().into_iter().filter_map(standing).collect();
            if standing.is_empty() {
                return Err(NamespaceError::NotOurs { copy: distribution.name.clone() });
            }
            return Ok(Self::standing(distribution, way.of::<String>(&standing)));
        }
        let lease = env.namespaces.lease(client).await?;
        let labels = way.of(&ways).clone();
        Ok(Self { distribution, namespace: lease.name.clone(), lease: Some(lease), labels })
    }

    /// A namespace that is no case's own and asks for the copy by labels that it always has.
    pub fn standing(distribution: &'a Distribution, namespace: &str) -> Self {
        Self { distribution, namespace: namespace.to_owned(), lease: None, labels: BTreeMap::new() }
    }

    /// True if the namespace holds no copy before it asks; one that is selected by name has always asked.
    pub fn is_new(&self) -> bool {
        self.lease.is_some()
    }

    /// Labels the namespace so that it asks for the copy.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn ask(&self, client: &Client, case: CaseId) -> Result<(), NamespaceError> {
        if self.lease.is_none() {
            return Ok(());
        }
        namespaces::set_labels(client, &agent(case), &self.namespace, &self.labels).await
    }

    /// Takes the labels off the namespace again, so that it asks for nothing.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn opt_out(&self, client: &Client, case: CaseId) -> Result<(), NamespaceError> {
        namespaces::remove_labels(client, &agent(case), &self.namespace, self.labels.keys()).await
    }

    /// Waits until the copy is what the distribution promises of a source with these `values`.
    ///
    /// # Errors
    /// When that does not happen within the bound; the error says what was wrong last.
    pub(crate) async fn until_matches_source(
        &self,
        env: &TestBed,
        values: &impl Known,
        bound: Duration,
    ) -> Result<(), WaitError> {
        until_copy_matches_source(env, &self.namespace, self.distribution, values, bound).await
    }

    /// Checks that the copy is there, and what the distribution promises of a source with these `values`.
    ///
    /// # Errors
    /// The fault, in words.
    pub fn look(&self, env: &TestBed, view: &View<'_>, values: &impl Known) -> Result<(), Reason> {
        check_copy(view, &self.namespace, self.distribution, &env.sources.rendered(values))
    }

    /// Gives the namespace back, to lose the labels that it asked by; nothing if the case holds none.
    pub(crate) fn give_back(self, env: &Arc<TestBed>) {
        if let Some(lease) = self.lease {
            env.namespaces.give_back(env, lease, self.labels.into_keys().collect::<BTreeSet<_>>());
        }
    }
}

/// Waits until the copy of `distribution` in `namespace` is what it promises of a source with these `values`.
///
/// # Errors
/// When that does not happen within the bound; the error says what was wrong last.
pub(crate) async fn until_copy_matches_source(
    env: &TestBed,
    namespace: &str,
    distribution: &Distribution,
    values: &impl Known,
    bound: Duration,
) -> Result<(), WaitError> {
    let what = format!("copy {namespace}/{} like its source", distribution.secret);
    let values = env.sources.rendered(values);
    wait::until(&env.observer, &what, bound, |view| check_copy(view, namespace, distribution, &values).into()).await
}

fn check_copy(
    view: &View<'_>,
    namespace: &str,
    distribution: &Distribution,
    values: &impl Known,
) -> Result<(), Reason> {
    #[cfg(feature = "faults")]
    if faults::is_on(OwnFault::ReadsReady)
        && view.external_secret(namespace, &distribution.external_secret).is_some_and(ExternalSecretSeen::says_ready)
    {
        return Ok(());
    }
    match view.secret(namespace, &distribution.secret) {
        None => Err(oracle::missing(view, namespace, &distribution.secret, distribution).into()),
        Some(secret) => oracle::matches_source(distribution, secret, values),
    }
}

/// The distributions that are made from a source.
pub(crate) fn targets_of<'a>(model: &'a Model, source: &SourceRef) -> Vec<&'a Distribution> {
    let of_source = model.distributions.iter().filter(|distribution| distribution.sources().contains(source));
    of_source.filter(|distribution| distribution.can_be_selected()).collect()
}

/// The sources that can be given values, and of which some namespace can have a copy, in order.
pub(crate) fn copied_sources(model: &Model) -> Vec<&SourceRef> {
    let known = model.sources.iter().filter(|(_, about)| !about.keys.is_empty());
    known.map(|(source, _)| source).filter(|source| !targets_of(model, source).is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use credence_core::credential::Credential;
    use credence_model::values::mixtures;

    use super::*;

    #[test]
    fn mixtures_take_each_key_from_any_side() {
        let values = |a: &str, b: &str| {
            Values::from([("a".to_owned(), Credential::new(a)), ("b".to_owned(), Credential::new(b))])
        };
        let all: BTreeSet<String> = mixtures(&[&values("1", "1"), &values("2", "2")])
            .iter()
            .map(|mixture| mixture.values().filter_map(Credential::expose_str).collect())
            .collect();
        assert_eq!(all, BTreeSet::from(["11", "12", "21", "22"].map(str::to_owned)));
    }
}
