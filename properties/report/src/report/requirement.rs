//! The acceptance criteria, and what a run says about each.

use credence_core::id::{PropertyId, Requirement};
use serde::{Deserialize, Serialize};

use super::PropertyReport;
use crate::claim::ClaimVerdict;

/// Every acceptance criterion, in order; "The store must …".
pub const REQUIREMENTS: [(Requirement, &str); 25] = [
    (Requirement::new(1, 1), "be the one source of truth for shared credentials"),
    (Requirement::new(1, 2), "bring an update of a source to every dependent namespace by itself"),
    (Requirement::new(1, 3), "prevent hand-made copies of credentials beside it"),
    (Requirement::new(1, 4), "leave an audit trail of access and distribution"),
    (
        Requirement::new(1, 5),
        "keep cached copies working while the source is unavailable, retry, and recover by itself",
    ),
    (Requirement::new(2, 1), "provision a new namespace as soon as it carries the label"),
    (Requirement::new(2, 2), "aim distribution by selectors"),
    (Requirement::new(2, 3), "follow label changes, both ways"),
    (Requirement::new(2, 4), "support three patterns: by label, by namespace name, by expression"),
    (Requirement::new(2, 5), "clean up what is no longer asked for"),
    (Requirement::new(3, 1), "give each copy the Kubernetes type its purpose needs"),
    (Requirement::new(3, 2), "make several formats from one source"),
    (Requirement::new(3, 3), "template formats"),
    (Requirement::new(3, 4), "validate formats before distribution"),
    (Requirement::new(3, 5), "change a format without breaking consumers during the transition"),
    (Requirement::new(4, 1), "serve registry credentials"),
    (Requirement::new(4, 2), "serve Git credentials (Argo CD and Kargo)"),
    (Requirement::new(4, 3), "serve OAuth credentials"),
    (Requirement::new(4, 4), "serve TLS credentials"),
    (Requirement::new(4, 5), "take a new credential type by configuration alone"),
    (Requirement::new(5, 1), "serve authorised namespaces only"),
    (Requirement::new(5, 2), "keep the sources closed to the unauthorised"),
    (Requirement::new(5, 3), "encrypt at rest and in transit"),
    (Requirement::new(5, 4), "log every secret operation, with enough to investigate, and never the values"),
    (Requirement::new(5, 5), "apply policy changes to access by itself"),
];

/// Parts of requirements that no property proves, each with what is missing: whatever a run says, they are not held.
pub const UNPROVED: [(Requirement, &str); 2] = [
    (Requirement::new(3, 4), "no case writes a source that is not valid, so that nothing is seen to be held back"),
    (
        Requirement::new(5, 3),
        "in transit, what is searched goes between parts that are set up with TLS whatever the configuration says",
    ),
];

/// Part of the run about one requirement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequirementReport {
    /// Its number, such as `2.3`.
    pub id: Requirement,
    /// Demand of the requirement, in a few words.
    pub title: String,
    /// Sum of the claims on it.
    pub verdict: ClaimVerdict,
    /// Every claim that did not hold whole, and what no claim proves.
    pub reason: Option<String>,
    /// The properties with a claim on it, executed or not.
    pub properties: Vec<PropertyId>,
}

/// One entry for each requirement, in order.
pub(super) fn trace(properties: &[PropertyReport]) -> Vec<RequirementReport> {
    REQUIREMENTS.iter().map(|(id, title)| trace_one(*id, title, properties)).collect()
}

fn trace_one(id: Requirement, title: &str, properties: &[PropertyReport]) -> RequirementReport {
    let mut verdicts = Vec::new();
    let mut ids = Vec::new();
    let mut notes = Vec::new();
    let claims = properties.iter().flat_map(|property| property.claims.iter().map(move |claim| (property.id, claim)));
    for (property, claim) in claims.filter(|(_, claim)| claim.requirement == id) {
        verdicts.push(claim.verdict);
        ids.push(property);
        let why = claim.reason.as_deref().unwrap_or_default();
        match claim.verdict {
            ClaimVerdict::Held => {}
            ClaimVerdict::NotCovered => notes.push(format!("{property}: {why}")),
            ClaimVerdict::HeldInPart => notes.push(format!("{property} held in part: {why}")),
            verdict => notes.push(format!("{property} {verdict}")),
        }
    }
    let unproved = UNPROVED.iter().filter(|(requirement, _)| *requirement == id);
    for (_, why) in unproved {
        verdicts.push(ClaimVerdict::NotCovered);
        notes.push(format!("not proved by any property: {why}"));
    }
    let verdict = verdicts.into_iter().reduce(ClaimVerdict::merge).unwrap_or(ClaimVerdict::NotCovered);
    if verdict == ClaimVerdict::NotCovered && !ids.is_empty() {
        notes.insert(0, "no executed property".into());
    } else if ids.is_empty() && notes.is_empty() {
        notes.push("no property claims it".into());
    }
    let reason = (!notes.is_empty()).then(|| notes.join("; "));
    RequirementReport { id, title: title.into(), verdict, reason, properties: ids }
}
