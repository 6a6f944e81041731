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
use credence_core::id::{CaseId, PropertyId, Requirement};
use credence_core::text::Reason;
use credence_core::uses::Use;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::copy::Reached;
use credence_report::report::PropertyMeta;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::Outcome;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use tokio::time::timeout;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, pick};
use crate::observation::Observation;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::Need;
use crate::testbed::TestBed;

mod backstage;
mod backstage_copies;
mod denied_login;
mod fixture;
mod issue;
mod issuer;
mod judged;
mod lives;
mod names;
mod namespace;
mod not_held;
mod round_robin;
#[cfg(test)]
mod testing;
mod trial;

pub(crate) use issue::strategy as issue_strategy;
pub(crate) use issue::{CredentialKind, Issue};
pub(crate) use issuer::Issuer;
pub(crate) use judged::consumed;
pub(crate) use namespace::labels_of_argo_cd;

use round_robin::Deal;

pub(crate) use backstage_copies::BackstageCopies;

pub(crate) use trial::Trial;

pub(crate) struct CredentialTypes;

/// Use of a copy by one case. Which copy that is follows from the case's number, so that a few cases meet every consumer.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
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

/// Lives of the credentials of a slot, which its cases go through with them.
#[derive(Debug, Clone)]
pub(crate) struct Lives {
    /// One credential; two where the first case is that of Backstage, which needs both.
    issues: Vec<Issue>,
    /// The copies of Backstage, by their distributions' names.
    backstage: Option<BackstageCopies>,
}

/// Slots of which one has a case of Backstage: it takes a minute, and so there are few.
const SLOTS_PER_PORTAL: u32 = 10;
/// Number of that slot among them: a run of few cases has it as well.
const PORTAL_SLOT: u32 = 0;
/// Time by which the death of a consumer may be known later than what follows from it: of a container the engine tells.
const DEATH: Duration = Duration::from_secs(2);

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
    const NEEDS: &'static [Need] = &[Need::Consumers, Need::Renderings];
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
        let with_names = names::names_travel(model, source, distributions);
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
            (Err(why), _) => (used.consumer, Err(why.to_string().into())),
            (Ok(_), Some(here)) => (here, Ok(())),
            (Ok(_), None) => (used.consumer, Err(absent.get(&used.consumer).cloned().unwrap_or_default().into())),
        };
        Judges::Logins(uses.into_iter().map(login).collect())
    }

    fn is_telling(&self, _model: &Model, _lives: &Lives, _case: &Placement) -> bool {
        true
    }

    fn applies(&self, env: &TestBed) -> Result<(), Reason> {
        let absent = &env.model.absent_consumers;
        if Consumer::ALL.iter().any(|consumer| !absent.contains_key(consumer)) {
            return Ok(());
        }
        let reasons: BTreeSet<&str> = absent.values().map(String::as_str).collect();
        Err(Vec::from_iter(reasons).join("; ").into())
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
            seen = lives::live(env, consumers, lives, cases) => seen.unwrap_or_else(all_unknown),
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

/// Word for a credential that has replaced another.
const ROTATED: &str = "rotated";

/// Counts a login with a credential that was just issued or rotated.
fn count_login(observation: &mut Observation, consumer: Consumer, how: &str) {
    observation.count(consumer.operation());
    if how == ROTATED {
        observation.count(&format!("{}, after a rotation", consumer.operation()));
    }
}
