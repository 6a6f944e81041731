//! Prefixes of Argo CD's repositories without a boundary.

use credence_core::id::Requirement;

use credence_core::formats::ARGO_CD_LABEL;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "argo-cd-url-without-slash",
    requirement: Requirement::new(4, 2),
    severity: Severity::Warning,
    summary: "Argo CD sends the credential to look-alikes of the URL",
    help: "End the url with a slash: Argo CD compares by prefix, so https://host/org is also for https://host/org-of-somebody-else.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        let template = distributed.spec.target.template.as_ref();
        let kind = template.and_then(|template| template.labels().get(ARGO_CD_LABEL));
        if !kind.is_some_and(|kind| ["repo-creds", "repo-write-creds"].contains(&kind.as_str())) {
            continue;
        }
        if templates::literal(&distributed, "url").is_some_and(|url| !has_boundary(url)) {
            findings.push(RULE.at(distributed.place, "url does not end with a slash"));
        }
    }
    findings
}

/// True for a URL that only a path below it continues, and for that of one repository.
fn has_boundary(url: &str) -> bool {
    ["/", ":", ".git"].iter().any(|end| url.ends_with(end))
}
