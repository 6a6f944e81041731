//! Spellings of yes that Kargo takes for no.

use credence_core::id::Requirement;

use credence_core::formats::KARGO_LABEL;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "kargo-regex-flag",
    requirement: Requirement::new(4, 2),
    severity: Severity::Error,
    summary: "a flag that Kargo takes for no",
    help: "Write repoURLIsRegex: \"true\": Kargo takes only this spelling for yes, and compares the pattern as if it were a URL.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        let template = distributed.spec.target.template.as_ref();
        let is_of_kargo = template.is_some_and(|template| template.labels().contains_key(KARGO_LABEL));
        let flag = templates::literal(&distributed, "repoURLIsRegex").filter(|_| is_of_kargo);
        if let Some(flag) = flag.filter(|flag| !["true", "false"].contains(flag)) {
            findings.push(RULE.at(distributed.place, format!("repoURLIsRegex is {flag:?}, which Kargo takes for no")));
        }
    }
    findings
}
