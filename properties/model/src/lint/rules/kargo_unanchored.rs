//! Patterns of Kargo that are for look-alikes as well.

use credence_core::id::Requirement;

use credence_core::formats::KARGO_LABEL;
use credence_core::kargo_lookup::{CredentialKind, Rule as KargoRule};
use credence_core::scope::Scope;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "kargo-unanchored",
    requirement: Requirement::new(4, 2),
    severity: Severity::Warning,
    summary: "Kargo sends the credential to look-alikes of the repositories",
    help: "Begin the pattern with ^ and the scheme, if there is one, write each dot as \\., and end host and owner with a slash: Kargo searches it anywhere in a URL.",
    check,
};

/// The name of a repository that patterns for all of an owner's take.
const ANY: &str = "app";

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        let template = distributed.spec.target.template.as_ref();
        let kind = template.and_then(|template| template.labels().get(KARGO_LABEL));
        let kind = match kind.map(String::as_str) {
            Some("git") => CredentialKind::Git,
            Some("image") => CredentialKind::Image,
            _ => continue,
        };
        let is_regex = templates::literal(&distributed, "repoURLIsRegex") == Some("true");
        let Some(pattern) = templates::literal(&distributed, "repoURL").filter(|_| is_regex) else { continue };
        // A pattern that spells out no repository is not understood.
        let Some(example) = KargoRule::new(kind, pattern, true).example(ANY) else { continue };
        let scope = Scope::Kargo { kind, repo_url: pattern.to_owned(), is_regex };
        if let Some(other) = scope.let_in(&example).first() {
            let message = format!("repoURL, which is for {example}, is for {} as well: {}", other.what, other.url);
            findings.push(RULE.at(distributed.place, message));
        }
    }
    findings
}
