//! Spellings of yes that Kargo takes for no, and patterns of which nothing says that they are some.

use credence_core::id::Requirement;

use credence_core::formats::KARGO_LABEL;

use crate::config::DeclaredDistribution;
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
        if !is_of_kargo {
            continue;
        }
        let has_flag = template.is_some_and(|template| template.data.contains_key("repoURLIsRegex"));
        let message = match templates::literal(&distributed, "repoURLIsRegex") {
            Some("true") => None,
            Some("false") => unflagged(&distributed),
            Some(flag) => Some(format!("repoURLIsRegex is {flag:?}, which Kargo takes for no")),
            None if has_flag => None,
            None => unflagged(&distributed),
        };
        findings.extend(message.map(|message| RULE.at(distributed.place, message)));
    }
    findings
}

/// Says of a pattern that it is compared as a URL; none of what can be one.
fn unflagged(distributed: &DeclaredDistribution<'_>) -> Option<String> {
    let written = templates::literal(distributed, "repoURL")?;
    let is_pattern = written.starts_with('^') || written.ends_with('$') || written.contains(['\\', '*']);
    is_pattern.then(|| format!("repoURL {written} is a pattern, and Kargo compares it as if it were a URL"))
}
