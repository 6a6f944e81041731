//! p07: the real consumer authenticates with the copy, and fails with a wrong or revoked one.
//!
//! The cases of a slot live through the life of one credential: it is issued by the server that checks it, rotated, and
//! then revoked there, or overwritten with something wrong. At each step every case has the consumer of its copy log in,
//! for real: the kubelet pulls an image nobody pulled before, Argo CD syncs a new commit, and so on. Beside the first
//! login, each case tries one that must be denied although the credential is good; that of Backstage, one with wrong values.
//!
//! The oracle is the log of the server, not what the consumer says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use credence_consumers::running::Consumers;
use credence_core::consumer::Consumer;
use credence_core::id::{CaseId, PropertyId, Requirement, agent};
use credence_core::uses::Use;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::copy::Reached;
use credence_report::report::PropertyMeta;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::Outcome;
use futures::future::{join_all, try_join_all};
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use tokio::time::timeout;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, pick};
use crate::observation::{self, Observation};
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::Need;
use crate::testbed::TestBed;
use crate::testbed::sources::ExclusiveLease;

mod backstage;
mod backstage_copies;
mod denied_login;
mod fixture;
mod issue;
mod issuer;
mod judged;
mod round_robin;
mod trial;

pub(crate) use issue::strategy as issue_strategy;
pub use issue::{CredentialKind, End, Issue, Secret};
pub(crate) use issuer::Issuer;
pub(crate) use judged::consumed;
pub use judged::labels_of_argo_cd;

use round_robin::Deal;

pub use backstage_copies::BackstageCopies;

use backstage::BackstageTrial;
pub(crate) use trial::Trial;

/// The property.
pub struct CredentialTypes;

/// Use of a copy by one case. Which copy that is follows from the case's number, so that a few cases meet every consumer.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The way in which its namespace asks for it.
    way: Pick,
    /// The place where its consumer uses it, by its number among those that it is for.
    place: Pick,
    /// The login that must be denied, by its place among those that its consumer can try.
    denied_login: Pick,
}

impl Placement {
    pub(crate) fn strategy() -> BoxedStrategy<Self> {
        (pick(), pick(), pick()).prop_map(|(way, place, denied_login)| Self { way, place, denied_login }).boxed()
    }
}

/// What the cases of a slot live through.
#[derive(Debug, Clone)]
pub struct Lives {
    /// One credential; two where the first case is that of Backstage, which needs both.
    issues: Vec<Issue>,
    /// The copies of Backstage, by their distributions' names.
    backstage: Option<BackstageCopies>,
}

/// Slots of which one has a case of Backstage: it takes a minute, and so there are few.
const SLOTS_PER_PORTAL: u32 = 10;
/// Which of them: a run of few cases has it as well.
const PORTAL_SLOT: u32 = 0;
/// Time by which the death of a consumer may be known later than what follows from it: of a container the engine tells.
const DEATH: Duration = Duration::from_secs(2);

/// Its claims on requirements.
const CLAIMS: [Claim; 4] = [
    Claim::new(
        4,
        1,
        "a real kubelet, or a client by its rules, pulls with the copy, and its server saw the user of the \
         credential",
    ),
    Claim::new(
        4,
        2,
        "Argo CD and Kargo, or clients by their rules, log in to Git with the copy, and the forge saw the user of \
         the credential",
    ),
    Claim::new(
        4,
        3,
        "an OAuth client signs in with the copy, and the forge took it for the client that the credential is of",
    ),
    Claim::new(4, 4, "a TLS server takes certificate and key of the copy, and a client verifies the handshake"),
];

impl Property for CredentialTypes {
    type Shared = Lives;
    type Case = Placement;
    type Fixture = Consumers;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(7),
        title: "credential types",
        claim: "the real consumer authenticates with the copy, and fails with a wrong or revoked one",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::Consumers];
    const CASES_PER_SLOT: u32 = 10;
    const NOTHING: &'static str = "no copy is for a consumer that can run here";
    const LANES: usize = 3;
    const BEGINS_FIRST: bool = true;
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::Rotated, policies: PolicyUse::Passed };

    fn namespaces(&self, _model: &Model) -> u32 {
        product(Self::LANES, Self::CASES_PER_SLOT)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Lives>> {
        if slot % SLOTS_PER_PORTAL == PORTAL_SLOT
            && let Some((copies, sources)) = BackstageCopies::of(model)
        {
            let [client, account] = sources.map(|source| issue::strategy(model, source, true));
            let lives = (client?, account?).prop_map(move |(client, account)| Lives {
                issues: vec![client.with_tokens(), account.with_tokens()],
                backstage: Some(copies.clone()),
            });
            return Some(lives.boxed());
        }
        let source = Deal::of(model).turn_in(slot)?;
        let distributions = judged::consumed(model, source).into_iter().map(|choice| choice.distribution);
        let with_names = judged::names_travel(model, source, distributions);
        let issue = issue::strategy(model, source, with_names)?;
        Some(issue.prop_map(|issue| Lives { issues: vec![issue], backstage: None }).boxed())
    }

    fn case(&self, _model: &Model, _lives: &Lives) -> BoxedStrategy<Placement> {
        Placement::strategy()
    }

    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges {
        let is_issued = |source: &&SourceRef| CredentialKind::of_source(model, source).is_some();
        if !distribution.sources().iter().any(is_issued) {
            return Judges::NotHere(
                "nobody here issues what its source holds, by the names of its keys and what reads it".to_owned(),
            );
        }
        let uses = distribution.uses(&model.endpoints);
        if uses.is_empty() {
            return Judges::NotApplicable("no consumer is known that uses it".to_owned());
        }
        let absent = &model.absent_consumers;
        let login = |used: Use<'_>| match (used.endpoints, used.consumer.available(absent)) {
            (Err(why), _) => (used.consumer, Err(why.to_string())),
            (Ok(_), Some(here)) => (here, Ok(())),
            (Ok(_), None) => (used.consumer, Err(absent.get(&used.consumer).cloned().unwrap_or_default())),
        };
        Judges::Logins(uses.into_iter().map(login).collect())
    }

    fn is_telling(&self, _model: &Model, _lives: &Lives, _case: &Placement) -> bool {
        true
    }

    fn applies(&self, env: &TestBed) -> Result<(), String> {
        let absent = &env.model.absent_consumers;
        if Consumer::ALL.iter().any(|consumer| !absent.contains_key(consumer)) {
            return Ok(());
        }
        let reasons: BTreeSet<&str> = absent.values().map(String::as_str).collect();
        Err(Vec::from_iter(reasons).join("; "))
    }

    fn not_covered(&self, model: &Model, reached: &BTreeSet<&Reached>) -> BTreeMap<Requirement, String> {
        let tried: BTreeSet<Requirement> = reached.iter().filter_map(|one| Some(one.consumer?.requirement())).collect();
        let missing = CLAIMS.iter().map(|claim| claim.requirement).filter(|requirement| !tried.contains(requirement));
        let why = |requirement: Requirement| {
            let of_it = |consumer: &&Consumer| consumer.requirement() == requirement;
            if Consumer::ALL.iter().filter(of_it).all(|consumer| model.absent_consumers.contains_key(consumer)) {
                return Some(absences(model, requirement));
            }
            let copies = model.sources.keys().flat_map(|source| judged::consumed(model, source));
            let is_there = copies.into_iter().any(|choice| choice.consumer.requirement() == requirement);
            match is_there {
                // Without any case, what kept them from running says why.
                true if reached.is_empty() => None,
                true => Some("no case reached a copy for such a consumer; run more cases".to_owned()),
                false => Some(NO_COPY.to_owned()),
            }
        };
        missing.filter_map(|requirement| Some((requirement, why(requirement)?))).collect()
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let absent = env.model.absent_consumers.iter();
        let unjudged = round_robin::not_judged(&env.model);
        absent
            .map(|(consumer, reason)| SkippedCheck {
                weakens: vec![consumer.requirement()],
                ..SkippedCheck::new(consumer.operation(), reason)
            })
            .chain(unjudged.iter().map(|(what, reason)| SkippedCheck::new(what, reason)))
            .collect()
    }

    fn not_reached(&self, model: &Model, cases: u32) -> Vec<SkippedCheck> {
        round_robin::not_reached(model, cases).iter().map(|(what, reason)| SkippedCheck::new(what, reason)).collect()
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        consumers: &Consumers,
        lives: &Lives,
        cases: &[(CaseId, Placement)],
    ) -> Vec<Observation> {
        let all_unknown = |why: Unknown| vec![Observation::of(Outcome::Unknown(why)); cases.len()];
        let lost = |death: String| all_unknown(Unknown::new(Cause::PartLost, death));
        let died = consumers.died();
        tokio::pin!(died);
        let seen = tokio::select! {
            biased;
            // What a case sees of a consumer that has died is no evidence.
            death = &mut died => return lost(death),
            seen = live(env, consumers, lives, cases) => seen.unwrap_or_else(all_unknown),
        };
        if seen.iter().any(|observation| observation.outcome != Outcome::Held)
            && let Ok(death) = timeout(DEATH, died).await
        {
            return lost(death);
        }
        seen
    }
}

/// Why a requirement has no case although there is a consumer for it.
const NO_COPY: &str = "no copy is for a consumer of it that can be tried here";

/// Why no consumer that a requirement is about can run here.
fn absences(model: &Model, requirement: Requirement) -> String {
    let absent = model.absent_consumers.iter().filter(|(consumer, _)| consumer.requirement() == requirement);
    absent.map(|(consumer, reason)| format!("{}: {reason}", consumer.operation())).collect::<Vec<_>>().join("; ")
}

/// What is called a credential that has replaced another.
const ROTATED: &str = "rotated";

/// Counts a login with a credential that was just issued or rotated.
fn count_login(observation: &mut Observation, consumer: Consumer, how: &str) {
    observation.count(consumer.operation());
    if how == ROTATED {
        observation.count(&format!("{}, after a rotation", consumer.operation()));
    }
}

/// Leads the credentials of a slot through their lives, with all cases at each step.
async fn live(
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

/// Subject of a case.
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
