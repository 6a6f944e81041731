//! Part of the report about each claim of a property.

use std::collections::BTreeMap;

use credence_core::id::Requirement;
use serde::{Deserialize, Serialize};

use super::text::printable;
use crate::claim::{Claim, ClaimVerdict, SkippedCheck};
use crate::verdict::Verdict;

/// One claim of a property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimReport {
    /// The requirement that it is about.
    pub requirement: Requirement,
    /// Statement that the cases are to prove.
    pub proof: String,
    /// This run's verdict on it.
    pub verdict: ClaimVerdict,
    /// Parts of it that were not tried, and why.
    pub reason: Option<String>,
}

impl ClaimReport {
    fn of(claim: &Claim, verdict: ClaimVerdict, reason: Option<String>) -> Self {
        Self { requirement: claim.requirement, proof: claim.proof.to_owned(), verdict, reason }
    }

    /// Verdicts on the claims of a property that ended with `verdict`, without what could not be tried here.
    pub(super) fn tried(
        claims: &[Claim],
        verdict: Verdict,
        not_covered: &BTreeMap<Requirement, String>,
        skipped: &[SkippedCheck],
    ) -> Vec<Self> {
        let one = |claim: &Claim| {
            if let Some(why) = not_covered.get(&claim.requirement) {
                return Self::of(claim, ClaimVerdict::NotCovered, Some(printable(why)));
            }
            let missing = skipped.iter().filter(|check| check.weakens.contains(&claim.requirement));
            let missing: Vec<String> = missing.map(|check| printable(&format!("without {}", check.what))).collect();
            match (ClaimVerdict::from(verdict), missing.is_empty()) {
                (ClaimVerdict::Held, false) => Self::of(claim, ClaimVerdict::HeldInPart, Some(missing.join("; "))),
                (verdict, _) => Self::of(claim, verdict, None),
            }
        };
        claims.iter().map(one).collect()
    }

    /// Verdicts on the claims of a property that was not tried.
    pub(super) fn skipped(claims: &[Claim], reason: &str) -> Vec<Self> {
        let why = format!("skipped: {}", printable(reason));
        claims.iter().map(|claim| Self::of(claim, ClaimVerdict::NotCovered, Some(why.clone()))).collect()
    }

    /// The same claim once its property has come to a heavier verdict.
    pub(super) fn weigh(&mut self, verdict: Verdict) {
        if self.verdict != ClaimVerdict::NotCovered {
            self.verdict = self.verdict.merge(verdict.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::META;

    #[test]
    fn a_skipped_check_makes_the_claims_that_it_weakens_held_in_part() {
        let skipped = [SkippedCheck::new("a check", "no root").weakens(&META.claims[..1])];
        let claims = ClaimReport::tried(META.claims, Verdict::Held, &BTreeMap::new(), &skipped);
        assert_eq!(
            (claims[0].verdict, claims[0].reason.as_deref()),
            (ClaimVerdict::HeldInPart, Some("without a check"))
        );
        assert_eq!((claims[1].verdict, &claims[1].reason), (ClaimVerdict::Held, &None));
        let violated = ClaimReport::tried(META.claims, Verdict::Violated, &BTreeMap::new(), &skipped);
        assert!(violated.iter().all(|claim| claim.verdict == ClaimVerdict::Violated));
    }

    #[test]
    fn a_claim_without_anything_to_prove_it_stays_not_covered_whatever_its_property_comes_to() {
        let why = BTreeMap::from([(META.claims[0].requirement, "no kubelet".to_owned())]);
        let mut claims = ClaimReport::tried(META.claims, Verdict::Held, &why, &[]);
        claims.iter_mut().for_each(|claim| claim.weigh(Verdict::Violated));
        assert_eq!(claims[0].verdict, ClaimVerdict::NotCovered);
        assert_eq!(claims[1].verdict, ClaimVerdict::Violated);
    }
}
