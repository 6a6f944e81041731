//! Logins with a copy before, during and after each outage of a slot: that a copy stays is not yet that it works.
//!
//! The credential of one source of the slot is issued by the server that checks it, and rotated with the other values, as
//! in p07. Whoever logs in is one that needs nothing of the cluster but the copy, so that it can do so in any outage.

use std::sync::Arc;
use std::time::Duration;

use credence_consumers::running::Consumers;
use credence_core::id::CaseId;
use credence_model::values::World;
use credence_report::unknown::Unknown;
use credence_report::verdict::Outcome;

use super::Scenario;
use crate::observation::{self, Observation};
use crate::p07_credential_types::{Issuer, Trial, consumed};
use crate::testbed::TestBed;

/// One login of a slot, if there is any.
pub(super) enum Login<'a> {
    /// Nobody has a use for a copy of its sources, or nobody can be asked.
    None,
    /// It cannot go on, for this reason.
    Failed(Unknown),
    /// Somebody, with a namespace of their own.
    With(Box<With<'a>>),
}

/// A credential, and who logs in with a copy of it.
pub(super) struct With<'a> {
    issuer: Issuer<'a>,
    trial: Trial<'a>,
}

impl<'a> Login<'a> {
    /// Issues the credential of the scenario's source, and takes a namespace for its copy, which is to be one of those that
    /// feel the outages.
    pub(super) async fn begin(
        env: &'a Arc<TestBed>,
        consumers: Option<&'a Consumers>,
        scenario: &'a Scenario,
        first: CaseId,
    ) -> Login<'a> {
        let (Some((issue, placement)), Some(consumers)) = (&scenario.login, consumers) else { return Self::None };
        let mut choices = consumed(&env.model, &issue.source);
        choices.retain(|choice| scenario.distributions.contains(&choice.distribution.name));
        let turn = usize::try_from(first.index).unwrap_or_default();
        let Some(choice) = turn.checked_rem(choices.len()).map(|turn| choices.swap_remove(turn)) else {
            return Self::None;
        };
        match Issuer::issue(consumers, &env.model, issue, first).await {
            Ok(issuer) => {
                let trial = Trial::begin(env, consumers, first, choice, placement).await;
                Self::With(Box::new(With { issuer, trial }))
            }
            Err(error) => Self::Failed(observation::unknown(&error)),
        }
    }

    /// The same world with the credential as it is issued now.
    pub(super) fn issued(&self, world: &World) -> World {
        let mut world = world.clone();
        if let Self::With(with) = self {
            world.insert(with.issuer.source().clone(), with.issuer.values.clone());
        }
        world
    }

    /// Issues the next credential. That of before is good until [`settle`](Self::settle), but that of an OAuth client, which
    /// has one secret at a time.
    pub(super) async fn rotate(&mut self) {
        if let Self::With(with) = self
            && let Err(error) = with.issuer.rotate().await
        {
            *self = Self::Failed(observation::unknown(&error));
        }
    }

    /// Waits until the copy has the credential of now, after an outage that lasted for `outage`; the one before is good no
    /// more.
    pub(super) async fn settle(&mut self, outage: Duration) {
        let Self::With(with) = self else { return };
        with.trial.settle_after(&with.issuer, outage).await;
        if let Err(error) = with.issuer.withdraw_former().await {
            *self = Self::Failed(observation::unknown(&error));
        }
    }

    /// The copy must let its consumer in.
    pub(super) async fn must_work(&mut self, when: &str) {
        let Self::With(with) = self else { return };
        with.trial.must_be_admitted(&with.issuer, &format!("issued, {when},")).await;
        with.trial.count(&format!("log in {when}"));
    }

    /// Adds what came of it to what the first case of the slot saw.
    pub(super) async fn end(self, seen: &mut Observation) {
        let ended = match self {
            Self::None => return,
            Self::Failed(why) => Observation::of(Outcome::Unknown(why.about("log in during outages"))),
            Self::With(with) => with.trial.end().await,
        };
        let outcome = std::mem::replace(&mut seen.outcome, Outcome::Held);
        seen.outcome = outcome.max(ended.outcome);
        seen.reached.extend(ended.reached);
        for (evidence, times) in ended.operations {
            *seen.operations.entry(evidence).or_default() += times;
        }
    }
}
