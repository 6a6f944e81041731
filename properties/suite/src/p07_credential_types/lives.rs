//! The lives of a slot's credentials, which its cases go through with them.

use std::sync::Arc;

use credence_consumers::running::Consumers;
use credence_core::id::{CaseId, agent};
use credence_model::config::SourceRef;
use credence_report::unknown::{Cause, Unknown};
use futures::future::{join_all, try_join_all};

use super::backstage::BackstageTrial;
use super::issue::Issue;
use super::issuer::Issuer;
use super::round_robin::{self, Deal};
use super::trial::Trial;
use super::{Lives, Placement, ROTATED};
use crate::observation::{self, Observation};
use crate::testbed::TestBed;
use crate::testbed::sources::ExclusiveLease;

/// Leads the credentials of a slot through their lives, with all cases at each step.
pub(super) async fn live(
    env: &Arc<TestBed>,
    consumers: &Consumers,
    lives: &Lives,
    cases: &[(CaseId, Placement)],
) -> Result<Vec<Observation>, Unknown> {
    let Some((first, _)) = cases.first() else { return Ok(Vec::new()) };
    // In the order of their sources, so that slots do not wait for each other in a circle.
    let mut issues: Vec<&Issue> = lives.issues.iter().collect();
    issues.sort_by_key(|issue| &issue.source);
    let sources: Vec<&SourceRef> = issues.iter().map(|issue| &issue.source).collect();
    let round_robin = Deal::of(&env.model);
    // Before the credentials, for which the slot may have to wait until others are done with their sources.
    let begun = cases.iter().map(|(id, placement)| {
        let backstage = lives.backstage.as_ref().filter(|_| round_robin::is_first(*id));
        let choice = round_robin.choice(*id, &sources);
        async move {
            match (backstage, choice) {
                (Some(copies), _) => {
                    Ok(Subject::Backstage(Box::new(BackstageTrial::begin(env, consumers, *id, copies).await)))
                }
                (None, Some(choice)) => {
                    let issuer = choice.source;
                    let trial = Trial::begin(env, consumers, *id, choice, placement).await;
                    Ok(Subject::Copy(Box::new(trial), issuer))
                }
                (None, None) => Err(Unknown::new(Cause::SetUpFailed, "the sources of this slot have no copy to use")),
            }
        }
    });
    let mut subjects = try_join_all(begun).await?;
    let lived = live_through(env, consumers, issues, &mut subjects, *first).await;
    // What the cases made is removed, however far they came.
    let seen = join_all(subjects.into_iter().map(Subject::end)).await;
    lived.map(|()| seen)
}

/// Takes the credentials from one step of their lives to the next, and the cases with them.
async fn live_through(
    env: &TestBed,
    consumers: &Consumers,
    issues: Vec<&Issue>,
    subjects: &mut [Subject<'_>],
    first: CaseId,
) -> Result<(), Unknown> {
    let mut credentials = Vec::new();
    for issue in issues {
        let lease = env.sources.rotate(&issue.source).await;
        let no_source = || Unknown::new(Cause::SetUpFailed, format!("there is no source {}", issue.source));
        let lease = lease.ok_or_else(no_source)?;
        let issuer =
            Issuer::issue(consumers, &env.model, issue, first).await.map_err(|error| observation::unknown(&error))?;
        credentials.push((lease, issuer));
    }
    write(env, &mut credentials, first).await?;
    every(subjects, &credentials, &[Step::Settle, Step::MustBeAdmitted("issued"), Step::MustBeDeniedElsewhere]).await;

    for (_, issuer) in &mut credentials {
        issuer.rotate().await.map_err(|error| observation::unknown(&error))?;
    }
    write(env, &mut credentials, first).await?;
    every(subjects, &credentials, &[Step::Settle]).await;
    for (_, issuer) in &mut credentials {
        issuer.withdraw_former().await.map_err(|error| observation::unknown(&error))?;
    }
    every(subjects, &credentials, &[Step::MustBeAdmitted(ROTATED)]).await;

    let mut overwritten = false;
    for (_, issuer) in &mut credentials {
        // Without new values it is revoked where it is checked, and the copies stay as they are.
        if let Some(wrong) = issuer.end().await.map_err(|error| observation::unknown(&error))? {
            issuer.values = wrong;
            overwritten = true;
        }
    }
    if overwritten {
        write(env, &mut credentials, first).await?;
        every(subjects, &credentials, &[Step::Settle, Step::MustBeRefused]).await;
    } else {
        every(subjects, &credentials, &[Step::MustBeRefused]).await;
    }
    // Others may have the sources while what the cases made is removed.
    Ok(())
}

/// A credential of the slot: the right to write its source, and the server's side of it.
type Credentials<'a> = Vec<(ExclusiveLease, Issuer<'a>)>;

/// Writes the sources in the name of the first case of the slot.
async fn write(env: &TestBed, credentials: &mut Credentials<'_>, case: CaseId) -> Result<(), Unknown> {
    for (lease, issuer) in credentials {
        let written = lease.write(&env.client_for(case), &agent(case), &issuer.values).await;
        written.map_err(|error| observation::unknown(&error))?;
    }
    Ok(())
}

/// A step in the life of a credential.
#[derive(Debug, Clone, Copy)]
enum Step {
    Settle,
    MustBeAdmitted(&'static str),
    MustBeDeniedElsewhere,
    MustBeRefused,
}

enum Subject<'a> {
    /// A copy, and which credential of the slot it is of.
    Copy(Box<Trial<'a>>, usize),
    Backstage(Box<BackstageTrial<'a>>),
}

impl Subject<'_> {
    async fn take(&mut self, step: Step, credentials: &Credentials<'_>) {
        match self {
            Self::Copy(trial, issuer) => {
                let (_, issuer) = &credentials[*issuer];
                match step {
                    Step::Settle => trial.settle(issuer).await,
                    Step::MustBeAdmitted(how) => trial.must_be_admitted(issuer, how).await,
                    Step::MustBeDeniedElsewhere => trial.must_be_denied_elsewhere(issuer).await,
                    Step::MustBeRefused => trial.must_be_refused(issuer).await,
                }
            }
            Self::Backstage(trial) => {
                let issuers: Vec<&Issuer<'_>> = credentials.iter().map(|(_, issuer)| issuer).collect();
                match step {
                    Step::Settle => trial.settle(&issuers).await,
                    Step::MustBeAdmitted(how) => trial.must_be_admitted(&issuers, how).await,
                    Step::MustBeDeniedElsewhere => trial.must_be_refused_with_wrong_values().await,
                    Step::MustBeRefused => trial.must_be_refused().await,
                }
            }
        }
    }

    async fn end(self) -> Observation {
        match self {
            Self::Copy(trial, _) => trial.end().await,
            Self::Backstage(trial) => trial.end().await,
        }
    }
}

/// Takes the steps with each case, which waits for no other between them.
async fn every(subjects: &mut [Subject<'_>], credentials: &Credentials<'_>, steps: &[Step]) {
    let taken = subjects.iter_mut().map(async |subject| {
        for step in steps {
            subject.take(*step, credentials).await;
        }
    });
    join_all(taken).await;
}
