//! Values of Argo CD's label that it overlooks.

use credence_core::id::Requirement;

use credence_core::formats::ARGO_CD_LABEL;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "argo-cd-secret-type",
    requirement: Requirement::new(4, 2),
    severity: Severity::Error,
    summary: "a label value that Argo CD does not know",
    help: "Use repository, repo-creds, repository-write, repo-write-creds, scm-creds or cluster: Argo CD overlooks a Secret with another value.",
    check,
};

const KNOWN: [&str; 6] = ["cluster", "repo-creds", "repo-write-creds", "repository", "repository-write", "scm-creds"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        if let Some(value) = distribution.labels.get(ARGO_CD_LABEL).filter(|value| !KNOWN.contains(&value.as_str())) {
            findings.push(RULE.at(
                context.place(distribution),
                format!("label {ARGO_CD_LABEL} is {value:?}, which Argo CD overlooks"),
            ));
        }
    }
    findings
}
