//! Secrets with Argo CD's keys and without its label.

use credence_core::id::Requirement;

use credence_core::formats::ARGO_CD_LABEL;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "argo-cd-label-lost",
    requirement: Requirement::new(4, 2),
    severity: Severity::Warning,
    summary: "a copy has the keys of Argo CD and not its label",
    help: "Set the label argocd.argoproj.io/secret-type to repo-creds or repository: Argo CD finds its Secrets by it alone.",
    check,
};

/// Keys that Argo CD may log in with.
const LOGINS: [&str; 4] = ["password", "bearerToken", "sshPrivateKey", "githubAppPrivateKey"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        let template = distributed.spec.target.template.as_ref();
        let Some(labels) = template.map(|template| template.labels()) else { continue };
        // A template of a label's value says nothing of its key.
        if labels.contains_key(ARGO_CD_LABEL) {
            continue;
        }
        let has = |key: &str| templates::of(&distributed).any(|(name, _)| name == key);
        // Other Secrets have a url and a password as well, but no type of a repository.
        let is_repository =
            templates::literal(&distributed, "type").is_some_and(|kind| ["git", "helm", "oci"].contains(&kind));
        if is_repository && has("url") && LOGINS.iter().any(|login| has(login)) {
            findings.push(
                RULE.at(
                    distributed.place,
                    format!("the keys are those of Argo CD, and label {ARGO_CD_LABEL} is absent"),
                ),
            );
        }
    }
    findings
}
