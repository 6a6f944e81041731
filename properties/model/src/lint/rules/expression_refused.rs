//! Regular expressions that nothing can compile.

use credence_core::formats::KARGO_LABEL;
use credence_core::id::Requirement;
use regex_syntax::ast::ErrorKind;
use regex_syntax::ast::parse::Parser;

use crate::config::DeclaredDistribution;
use crate::lint::{Context, Finding, Rule, Severity, templates};

pub(super) const RULE: Rule = Rule {
    id: "expression-refused",
    requirement: Requirement::new(2, 1),
    severity: Severity::Error,
    summary: "a regular expression that cannot be compiled",
    help: "Mend the expression, in the syntax of Go's regexp, which has no look-around and no back references: with one that does not compile, nothing is found or renamed.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for declared in context.config.declared_distributions() {
        let refused = expressions(&declared).into_iter().filter_map(|(of, text)| Some((of, text, refused(text)?)));
        findings.extend(
            refused.map(|(of, text, why)| RULE.at(declared.place, format!("{of}: {text:?} cannot be compiled: {why}"))),
        );
    }
    findings
}

/// Every expression of a distribution, by the field that has it.
fn expressions<'a>(declared: &DeclaredDistribution<'a>) -> Vec<(String, &'a str)> {
    let mut expressions = Vec::new();
    for (index, entry) in declared.spec.data_from.iter().enumerate() {
        let found = entry.find.as_ref().and_then(|find| find.name.as_ref()?.regexp.as_deref());
        expressions.extend(found.map(|text| (format!("dataFrom[{index}].find.name.regexp"), text)));
        let steps =
            entry.rewrite.iter().enumerate().filter_map(|(step, rewrite)| Some((step, rewrite.regexp.as_ref()?)));
        expressions.extend(steps.map(|(step, regexp)| {
            (format!("dataFrom[{index}].rewrite[{step}].regexp.source"), regexp.source.as_str())
        }));
    }
    let labels = declared.spec.target.template.as_ref().map(|template| template.labels());
    let is_of_kargo = labels.is_some_and(|labels| labels.contains_key(KARGO_LABEL));
    if is_of_kargo && templates::literal(declared, "repoURLIsRegex") == Some("true") {
        expressions.extend(templates::literal(declared, "repoURL").map(|text| ("repoURL".to_owned(), text)));
    }
    expressions
}

/// Why an expression cannot be compiled, if Go's regexp does not take it either.
fn refused(expression: &str) -> Option<&'static str> {
    match Parser::new().parse(expression).err()?.kind() {
        ErrorKind::ClassUnclosed => Some("a bracket has no end"),
        ErrorKind::EscapeUnexpectedEof => Some("it ends with a backslash"),
        ErrorKind::GroupUnclosed => Some("a group has no end"),
        ErrorKind::GroupUnopened => Some("a group ends that does not begin"),
        // A brace may be a letter for Go.
        ErrorKind::RepetitionMissing if !expression.contains('{') => {
            Some("nothing stands before a repetition; any text is .*")
        }
        ErrorKind::UnsupportedBackreference => Some("there are no back references"),
        ErrorKind::UnsupportedLookAround => Some("there is no look-around"),
        _ => None,
    }
}
