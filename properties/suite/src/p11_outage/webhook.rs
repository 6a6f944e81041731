//! Namespaces while the operator's webhook is away, and once it is back.
//!
//! The webhook is asked of each deletion of an ExternalSecret, and what it cannot be asked of is refused (the chart's
//! `validatingwebhook.yaml`). So while it is away, a namespace with an ExternalSecret cannot go, nor can an ExternalSecret
//! that no label asks for any more. That is known upstream. What is claimed here is that neither is so for ever: once the
//! webhook is back, both must go within the time that those who try again allow themselves.
//!
//! Nothing of this is generated: it is done once in a run, after the cases, with two namespaces of its own.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_cluster::capability::Capability;
use credence_cluster::cluster::Component;
use credence_cluster::operator::WEBHOOK_NOT_CALLED;
use credence_core::labels::Labels;
use credence_model::model::{Model, expected_in};
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{CheckRecord, Outcome, Violation, violated};
use credence_watch::observer::View;
use credence_watch::wait::{self, Progress};
use futures::FutureExt;
use futures::future::join;
use kube::api::DeleteParams;
use tokio::time::Instant;

use super::breakage;
use crate::observation::{self, cause_of};
use crate::oracle::{self, Expected, Names};
use crate::stop::Stop;
use crate::testbed::TestBed;
use crate::testbed::background::Background;
use crate::testbed::known_bugs::WEBHOOK_AWAY;
use crate::testbed::namespaces::{self, Lease, NamespaceError};
use crate::testbed::operator_api;
use crate::testbed::operator_resync::asked;
use crate::testbed::settle::{DELETION, Past, settle};

/// The checks, by what is done.
const DELETED: &str = "namespace deleted while the webhook is away";
const UNLABELLED: &str = "labels removed while the webhook is away";
/// Why a check that was interrupted cannot tell.
const STOPPED: &str = "stopped before the check had ended";

/// The longest pause of Kubernetes' namespace controller after a failure. The first is 5 ms, each other twice the one
/// before (pkg/controller/namespace/namespace_controller.go, `nsControllerRateLimiter`).
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The longest pause that the namespace controller can be in after it has failed for that long: the pauses until then add
/// up to no more than that time, and the next is their sum and less than a second more.
fn pause_after(failing: Duration) -> Duration {
    failing.saturating_add(Duration::from_secs(1)).min(LONGEST_PAUSE)
}

/// Why the checks cannot be made here, if so.
pub(super) fn skipped(env: &TestBed) -> Option<String> {
    if let Err(why) = env.cluster.supports(Capability::Webhook) {
        return Some(why.to_owned());
    }
    asked(&env.model).is_none().then(|| "no namespace asks for a copy by its labels".to_owned())
}

/// Makes the checks. What is changed for them is changed back even if nobody waits for them any more.
pub(super) async fn checks(env: &Arc<TestBed>, under_way: &Background, stop: &Stop) -> Vec<CheckRecord> {
    let played = under_way.to_the_end(play(Arc::clone(env), stop.clone())).await;
    match played.unwrap_or_else(|| Err(Unknown::new(Cause::Panicked, "the check panicked"))) {
        Ok(checks) => checks.into(),
        Err(why) => [DELETED, UNLABELLED].map(|what| CheckRecord::unknown(what, why.clone())).into(),
    }
}

async fn play(env: Arc<TestBed>, stop: Stop) -> Result<[CheckRecord; 2], Unknown> {
    // The cases' own clean-up deletes ExternalSecrets, too.
    env.namespaces.cleaned().await;
    let labels = asked(&env.model)
        .ok_or_else(|| Unknown::new(Cause::SetUpFailed, "no namespace asks for a copy by its labels"))?;
    let webhook_case = WebhookCase::set(&env, labels).await.map_err(|error| observation::unknown(&error))?;
    let checks = webhook_case.play(&stop).await;
    webhook_case.clear().await;
    checks
}

/// Two namespaces with copies.
struct WebhookCase<'a> {
    env: &'a Arc<TestBed>,
    labels: Labels,
    /// The one that is deleted.
    deleted: String,
    /// The one that loses its labels.
    unlabelled: Lease,
}

/// Observed state of a namespace while the webhook was away.
#[derive(Debug, Clone, Copy, Default)]
struct Meanwhile {
    /// Time until nothing was left, if nothing was.
    gone: Option<Duration>,
    /// True if the API server refused the deletion because it could not call the webhook.
    refused: bool,
}

/// An outage of the webhook.
#[derive(Debug, Clone, Copy)]
struct Away {
    lasted: Duration,
    /// Since when it answers again.
    back: Instant,
}

impl<'a> WebhookCase<'a> {
    async fn set(env: &'a Arc<TestBed>, labels: Labels) -> Result<Self, NamespaceError> {
        let client = &env.cluster.client;
        let deleted = env.namespaces.create(client, &labels).await?;
        let unlabelled = env.namespaces.lease(client).await?;
        namespaces::set_labels(client, FIELD_MANAGER, &unlabelled.name, &labels).await?;
        Ok(Self { env, labels, deleted, unlabelled })
    }

    async fn play(&self, stop: &Stop) -> Result<[CheckRecord; 2], Unknown> {
        let names = [&self.deleted, &self.unlabelled.name];
        let worlds = names.map(|name| (name.as_str(), expected_in(&self.env.model, name, &self.labels)));
        let bound = self.env.provisioning_bound();
        let settled = settle(self.env, &worlds, bound, Past::Relabelled, &mut Vec::new()).await;
        let missing = match settled {
            Outcome::Held => None,
            Outcome::Violated(Violation { reason, .. }) => Some(Unknown::new(Cause::TimedOut, reason)),
            Outcome::Unknown(unknown) => Some(unknown),
        };
        if let Some(missing) = missing {
            return Err(missing.about("no copies to begin with"));
        }
        self.env.cluster.stop(Component::Webhook).await.map_err(|error| observation::unknown(&error))?;
        let began = Instant::now();
        // Whatever happens meanwhile, the webhook has to come back: nothing else works without it.
        let meanwhile = AssertUnwindSafe(self.meanwhile(stop)).catch_unwind().await;
        breakage::start(self.env, Component::Webhook).await.map_err(|error| observation::unknown(&error))?;
        let away = Away { lasted: began.elapsed(), back: Instant::now() };
        let [deleted, unlabelled] =
            meanwhile.unwrap_or_else(|_| Err(Unknown::new(Cause::Panicked, "the check panicked")))?;
        tokio::select! {
            biased;
            () = stop.requested() => Err(Unknown::new(Cause::Interrupted, STOPPED)),
            (deleted, unlabelled) = join(self.deletion(deleted, away), self.removal(unlabelled, away)) => {
                Ok([deleted, unlabelled])
            }
        }
    }

    /// Deletes the one namespace and takes the labels off the other, and sees for how long as this takes otherwise whether
    /// they go.
    async fn meanwhile(&self, stop: &Stop) -> Result<[Meanwhile; 2], Unknown> {
        let client = &self.env.cluster.client;
        namespaces::delete(client, &self.deleted).await.map_err(|error| observation::unknown(&error))?;
        let keys = self.labels.keys();
        let unlabelled = namespaces::remove_labels(client, FIELD_MANAGER, &self.unlabelled.name, keys).await;
        unlabelled.map_err(|error| observation::unknown(&error))?;
        let (asked, names) = (Instant::now(), Names::of(&self.env.model));
        let [mut deleted, mut unlabelled] = [Meanwhile::default(); 2];
        let look = |view: &View<'_>| {
            match view.namespace(&self.deleted) {
                None => drop(deleted.gone.get_or_insert_with(|| asked.elapsed())),
                Some(seen) => deleted.refused |= seen.remaining.iter().any(|what| what.contains(WEBHOOK_NOT_CALLED)),
            }
            if oracle::exact(view, &self.unlabelled.name, &Expected::new(), &names).is_ok() {
                unlabelled.gone.get_or_insert_with(|| asked.elapsed());
            }
            match (deleted.gone, unlabelled.gone) {
                (Some(_), Some(_)) => Progress::Done(()),
                _ => Progress::NotYet("something is still there".to_owned()),
            }
        };
        tokio::select! {
            biased;
            () = stop.requested() => return Err(Unknown::new(Cause::Interrupted, STOPPED)),
            // What is still there is no violation yet, and no ExternalSecret can be written that the watches would show.
            watched = wait::at_most(&self.env.observer, "both gone", Model::provisioning_bound(2), look) => {
                watched.map_err(|error| Unknown::new(cause_of(&error), error.to_string()))?;
            }
        }
        if unlabelled.gone.is_none() {
            unlabelled.refused = self.is_refused().await.map_err(|error| observation::unknown(&error))?;
        }
        Ok([deleted, unlabelled])
    }

    /// True if the deletion of an ExternalSecret is refused, for want of the webhook, where none is asked for any more.
    async fn is_refused(&self) -> Result<bool, kube::Error> {
        let namespace = &self.unlabelled.name;
        let api = operator_api::api(&self.env.cluster.client, "ExternalSecret", Some(namespace));
        for distribution in expected_in(&self.env.model, namespace, &self.labels).values() {
            match api.delete(&distribution.external_secret, &DeleteParams::default().dry_run()).await {
                Err(kube::Error::Api(status)) if status.message.contains(WEBHOOK_NOT_CALLED) => return Ok(true),
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                outcome => drop(outcome?),
            }
        }
        Ok(false)
    }

    /// Outcome of the namespace that was deleted.
    async fn deletion(&self, meanwhile: Meanwhile, away: Away) -> CheckRecord {
        let bound = pause_after(away.lasted) + DELETION;
        let what = format!("namespace {} gone", self.deleted);
        let gone = wait::until(&self.env.observer, &what, bound, |view| match view.namespace(&self.deleted) {
            None => Progress::Done(()),
            Some(seen) => Progress::NotYet(format!("finalizers {:?}, {}", seen.finalizers, seen.remaining.join("; "))),
        });
        let after = match gone.await {
            Ok(()) => Outcome::Held,
            Err(error) => observation::failed(&error),
        };
        record(DELETED, &format!("namespace {}", self.deleted), meanwhile, away, after, bound)
    }

    /// Outcome of the namespace that lost its labels. An ExternalSecret that its ClusterExternalSecret has dropped from
    /// its status is never tried again, which is known by itself (see [`orphaned`](crate::testbed::known_bugs::orphaned)).
    async fn removal(&self, meanwhile: Meanwhile, away: Away) -> CheckRecord {
        let bound = Model::provisioning_bound(2);
        let worlds = [(self.unlabelled.name.as_str(), Expected::new())];
        let after = settle(self.env, &worlds, bound, Past::Relabelled, &mut Vec::new()).await;
        let what = format!("the ExternalSecret in namespace {}", self.unlabelled.name);
        record(UNLABELLED, &what, meanwhile, away, after, bound)
    }

    async fn clear(self) {
        // One that cannot be deleted now goes with the cluster, as all that its webhook is part of.
        namespaces::delete(&self.env.cluster.client, &self.deleted).await.ok();
        self.env.namespaces.give_back(self.env, self.unlabelled, self.labels.into_keys().collect());
    }
}

/// Record of a check, with its times. `after` is what came of its subject once the webhook was back.
fn record(what: &str, subject: &str, meanwhile: Meanwhile, away: Away, after: Outcome, bound: Duration) -> CheckRecord {
    let mut times =
        BTreeMap::from([("webhook away".to_owned(), away.lasted), ("allowed after it was back".to_owned(), bound)]);
    if let Some(gone) = meanwhile.gone {
        times.insert("gone while it was away".to_owned(), gone);
    } else if after == Outcome::Held {
        times.insert("gone after it was back".to_owned(), away.back.elapsed());
    }
    CheckRecord { what: what.to_owned(), outcome: judge(subject, meanwhile, away.lasted, after), times }
}

/// The verdict on one subject.
fn judge(subject: &str, meanwhile: Meanwhile, lasted: Duration, after: Outcome) -> Outcome {
    let stayed = format!("{subject} stayed while the webhook was away for {lasted:.1?}");
    match after {
        Outcome::Held if meanwhile.gone.is_none() && meanwhile.refused => Outcome::Violated(Violation {
            reason: format!("{stayed}, since its deletion was refused, and went when the webhook was back"),
            known: Some(WEBHOOK_AWAY),
        }),
        Outcome::Violated(Violation { reason, known: Some(known) }) => Outcome::Violated(Violation {
            reason: format!("{stayed}, and stayed when it was back: {reason}"),
            known: Some(known),
        }),
        Outcome::Violated(Violation { reason, known: None }) => {
            violated(format!("{stayed}, and stayed when it was back, with nothing to explain it: {reason}"))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use credence_report::verdict::{Known, unknown};
    use rstest::rstest;

    use super::super::tests::reference;
    use super::*;
    use crate::testbed::known_bugs::EXTERNAL_SECRET_STAYS;

    fn still_there(known: Option<Known>) -> Outcome {
        Outcome::Violated(Violation { reason: "still there".to_owned(), known })
    }

    #[rstest]
    #[case::nothing_was_refused(Some(1), false, Outcome::Held, Ok(()))]
    #[case::gone_in_spite_of_a_refusal(Some(9), true, Outcome::Held, Ok(()))]
    #[case::late_without_a_refusal(None, false, Outcome::Held, Ok(()))]
    #[case::refused_until_it_was_back(None, true, Outcome::Held, Err(Some("eso#2015")))]
    #[case::orphaned(None, true, still_there(Some(EXTERNAL_SECRET_STAYS)), Err(Some("eso#1255")))]
    #[case::for_ever(None, true, still_there(None), Err(None))]
    #[case::made_again(Some(1), false, still_there(None), Err(None))]
    fn what_stays_only_until_the_webhook_is_back_is_known_and_what_stays_for_ever_is_not(
        #[case] gone: Option<u64>,
        #[case] refused: bool,
        #[case] after: Outcome,
        #[case] expected: Result<(), Option<&str>>,
    ) {
        let meanwhile = Meanwhile { gone: gone.map(Duration::from_secs), refused };
        let found = match judge("it", meanwhile, Duration::from_secs(20), after) {
            Outcome::Held => Ok(()),
            Outcome::Violated(violation) => Err(violation.known.map(|known| known.id)),
            Outcome::Unknown(why) => panic!("{why}"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_outage_of_the_watches_is_no_evidence() {
        let outcome = judge("it", Meanwhile::default(), Duration::ZERO, unknown(Cause::WatchStale, "stale"));
        assert_eq!(outcome, unknown(Cause::WatchStale, "stale"));
    }

    #[rstest]
    #[case::short(Duration::from_secs(20), Duration::from_secs(21))]
    #[case::never_longer_than_a_minute(Duration::from_hours(1), Duration::from_mins(1))]
    fn the_namespace_controller_pauses_as_long_as_it_has_failed(#[case] failing: Duration, #[case] pause: Duration) {
        assert_eq!(pause_after(failing), pause);
    }

    #[test]
    fn a_namespace_of_the_reference_configuration_can_ask_by_its_labels() {
        assert!(asked(&reference()).is_some_and(|labels| !labels.is_empty()));
    }
}
