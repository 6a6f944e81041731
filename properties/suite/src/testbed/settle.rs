//! Waiting until namespaces hold exactly what their labels ask for, and telling upstream bugs from everything else.

use std::collections::BTreeSet;
use std::time::Duration;

use credence_core::labels::Labels;
use credence_model::model::{Distribution, Model, expected_in};
use credence_report::verdict::{self, Outcome, Violation, violated};
use credence_watch::observer::View;
use credence_watch::wait::{self, Progress, WaitError};
use kube::Client;
use tokio::time::Instant;

use crate::observation::{self, cause_of};
use crate::oracle::{self, Expected, Names};
use crate::testbed::TestBed;
use crate::testbed::known_bugs::{self, EXTERNAL_SECRET_STAYS, FINALIZER_STAYS, Maker};
use crate::testbed::namespaces::{self, NamespaceError};

/// Time that a namespace may take to go. An ExternalSecret whose copy goes first fails, because nothing can be created in
/// the namespace any more, and ESO comes back to failures after 1, 2, 4 s and so on (`common.go`, `BuildRateLimiter`):
/// 127 s for seven of them. More than 30 s were seen on a busy machine; the claim is that nothing stays, not how soon it goes.
pub(crate) const DELETION: Duration = Duration::from_secs(130);
/// A namespace that only finalizers hold back is believed to hang after this long: ESO answers to a deletion at once,
/// or not at all.
const HANGING: Duration = Duration::from_secs(2);

/// Labels for a namespace that is labelled last: those of `control`, and those that ask for each distribution that selects by one
/// of the `touched` keys.
///
/// Every ClusterExternalSecret works by itself, so each that must not serve the other namespaces of a case has to be seen
/// at work after they had their labels.
pub(crate) fn control_labels(model: &Model, touched: &BTreeSet<&str>, control: &Labels) -> Labels {
    let mut control_labels = control.clone();
    for ways in model.distributions.iter().map(Distribution::opt_in_labels) {
        let looked_at = |way: &&Labels| way.keys().any(|key| touched.contains(key.as_str()));
        for (key, value) in ways.iter().find(looked_at).into_iter().flatten() {
            control_labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    control_labels
}

/// Past of the namespaces of a case before their last labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// Nothing: what appears, even for a moment, is due to their labels.
    Fresh,
    /// Other labels: ESO may still be at work on those, and pass through states of before.
    Relabelled,
}

/// Waits until each namespace holds exactly what is expected, and then for as long as an absence needs. Adds to the
/// latencies how long the first took.
pub async fn settle(
    env: &TestBed,
    worlds: &[(&str, Expected<'_>)],
    bound: Duration,
    past: Past,
    latencies: &mut Vec<Duration>,
) -> Outcome {
    settle_by(env, &known_bugs::makers(&env.model), worlds, bound, past, latencies).await
}

/// Same as [`settle`], for copies of other makers than the configuration's own ClusterExternalSecrets, under the same names.
pub(crate) async fn settle_by(
    env: &TestBed,
    makers: &[Maker<'_>],
    worlds: &[(&str, Expected<'_>)],
    bound: Duration,
    past: Past,
    latencies: &mut Vec<Duration>,
) -> Outcome {
    let first = match try_settle(env, worlds, bound, past).await {
        Ok(took) => {
            latencies.push(took);
            return Outcome::Held;
        }
        Err(error) => observation::failed(&error),
    };
    let Outcome::Violated(violation) = first else { return first };
    let asked = worlds.iter().map(|(name, expected)| {
        (*name, expected.values().map(|distribution| distribution.external_secret.as_str()).collect::<BTreeSet<_>>())
    });
    let orphaned = match known_bugs::orphaned(env, makers, &asked.collect()).await {
        Ok(orphaned) if orphaned.is_empty() => return Outcome::Violated(violation),
        Ok(orphaned) => orphaned,
        Err(error) => return verdict::unknown(cause_of(&error), error.to_string()),
    };
    // They must be all that is wrong, now and once they are swept: a bug that is known excuses nothing else.
    let names = Names::of(&env.model).forgiving(&env.model, &orphaned);
    let rest = env
        .observer
        .look(|view| worlds.iter().try_for_each(|(name, expected)| oracle::exact(view, name, expected, &names)));
    if rest.is_err() {
        return Outcome::Violated(violation);
    }
    if let Err(error) = known_bugs::sweep(&env.cluster.client, &orphaned).await {
        return verdict::unknown(cause_of(&error), error.to_string());
    }
    match try_settle(env, worlds, bound, Past::Relabelled).await {
        Ok(_) => Outcome::Violated(Violation { known: Some(EXTERNAL_SECRET_STAYS), ..violation }),
        Err(error) => observation::failed(&error),
    }
}

async fn try_settle(
    env: &TestBed,
    worlds: &[(&str, Expected<'_>)],
    bound: Duration,
    past: Past,
) -> Result<Duration, WaitError> {
    let names = Names::of(&env.model);
    let what = "exactly the copies that the labels ask for";
    let look =
        |view: &View<'_>| worlds.iter().try_for_each(|(name, expected)| oracle::exact(view, name, expected, &names));
    if past == Past::Relabelled {
        return wait::settled(&env.observer, what, bound, env.hold(), look).await;
    }
    // What every namespace has anyway may still be on its way out, where labels decline it.
    // In namespaces that are not of the pool, cases before may have left something that goes only now.
    let pooled = worlds.iter().filter(|(name, _)| env.namespaces.is_pooled(name));
    let without_labels = pooled.map(|(name, expected)| {
        let anyway = expected_in(&env.model, name, &Labels::new());
        (
            *name,
            anyway
                .into_iter()
                .chain(expected.iter().map(|(name, distribution)| (name.clone(), *distribution)))
                .collect(),
        )
    });
    let tolerated: Vec<(&str, Expected<'_>)> = without_labels.collect();
    let undue =
        |view: &View<'_>| tolerated.iter().find_map(|(name, expected)| oracle::extra(view, name, expected, &names));
    let begin = Instant::now();
    let served = |view: &View<'_>| match look(view) {
        Ok(()) => Progress::Done(()),
        // Nothing of before can be to blame for what is undue, so that it goes again makes it no better.
        Err(why) => undue(view).map_or(Progress::NotYet(why.into()), Progress::Never),
    };
    wait::until(&env.observer, what, bound, served).await?;
    let took = begin.elapsed();
    wait::hold(&env.observer, what, env.hold(), look).await.map(|()| took)
}

/// Deletes a namespace and waits until it is gone. `labels` are those that it has.
///
/// # Errors
/// When the API server refuses.
pub async fn deletion(env: &TestBed, client: &Client, name: &str, labels: &Labels) -> Result<Outcome, NamespaceError> {
    namespaces::delete(client, name).await?;
    let asked: BTreeSet<String> =
        expected_in(&env.model, name, labels).values().map(|distribution| distribution.name.clone()).collect();
    let what = format!("namespace {name} gone");
    let look = |view: &View<'_>| match view.namespace(name) {
        None => Progress::Done(None),
        Some(seen) => match known_bugs::stale_finalizers(seen, &asked) {
            Some(stale) => Progress::Done(Some(stale)),
            None => Progress::NotYet(format!("finalizers {:?}, {}", seen.finalizers, seen.remaining.join("; "))),
        },
    };
    let stale = match wait::until(&env.observer, &what, DELETION, look).await {
        Ok(None) => return Ok(Outcome::Held),
        Ok(Some(stale)) => stale,
        Err(error) => return Ok(observation::failed(&error)),
    };
    let gone = |view: &View<'_>| match view.namespace(name) {
        None => Progress::Done(()),
        Some(seen) => Progress::NotYet(format!("finalizers {:?}", seen.finalizers)),
    };
    match wait::until(&env.observer, &what, HANGING, gone).await {
        Ok(()) => return Ok(Outcome::Held),
        Err(error @ WaitError::WatchStale { .. }) => return Ok(observation::failed(&error)),
        Err(WaitError::TimedOut { .. } | WaitError::Impossible { .. }) => {}
    }
    // A policy that keeps the operator from releasing the namespace is the configuration's own fault.
    let reason = format!("namespace {name} lost its label and then could not be deleted: {stale} held it back");
    let may_release = match known_bugs::operator_may_release(&env.cluster, name).await {
        Ok(may_release) => may_release,
        Err(error) => return Ok(Outcome::Unknown(observation::unknown(&error))),
    };
    namespaces::remove_finalizers(client, name).await?;
    Ok(match wait::until(&env.observer, &what, DELETION, gone).await {
        Ok(()) if may_release => Outcome::Violated(Violation { reason, known: Some(FINALIZER_STAYS) }),
        Ok(()) => violated(format!("{reason}, which the operator may not change")),
        Err(error) => observation::failed(&error),
    })
}
