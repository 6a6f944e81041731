//! Policies from which an object can be exempted by whoever writes it.

use std::sync::LazyLock;

use credence_core::id::Requirement;
use regex::Regex;
use serde_json::Value;

use crate::lint::admission::{Duty, Policy};
use crate::lint::{Context, Finding, Rule, Severity};
use crate::selector::NAME_LABEL;

pub(super) const RULE: Rule = Rule {
    id: "policy-with-opt-out",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a label or an annotation that anybody may set exempts from a policy",
    help: "Exempt by the user who asks, or by a label of namespaces that the policy about labels keeps for the platform: labels and annotations of an object are chosen by whoever is to be judged.",
    check,
};

/// An annotation in an expression.
static ANNOTATIONS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bobject\.metadata\.\??annotations\b").expect("a constant"));

fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = Policy::all(context.config, context.model);
    let guards: Vec<&Policy<'_>> =
        policies.iter().filter(|policy| policy.duty == Duty::Labels && policy.denies()).collect();
    // Where nothing of the configuration guards labels of namespaces, something else may.
    let is_free = |key: &str| {
        let beginning = key.split_inclusive('/').next().unwrap_or(key);
        key != NAME_LABEL && !guards.is_empty() && !guards.iter().any(|policy| policy.expressions.contains(beginning))
    };
    let mut findings = Vec::new();
    for policy in &policies {
        let by_object = policy.selectors("objectSelector").into_iter().flat_map(left_out);
        // The object of a policy about namespaces is the namespace.
        let by_namespace = policy.selectors("namespaceSelector").into_iter().flat_map(left_out);
        let by_namespace = by_namespace.filter(|key| is_free(key));
        let label = by_object.chain(by_namespace).next().map(|key| format!("label {key}"));
        let annotated = || policy.match_conditions().any(|expression| ANNOTATIONS.is_match(expression));
        let mark = label.or_else(|| annotated().then(|| "an annotation of the object".to_owned()));
        findings.extend(mark.map(|mark| RULE.at(&policy.place(), format!("{mark} decides whether it is asked"))));
    }
    findings
}

/// The keys of labels that a selector must not find, or not with some values.
fn left_out(selector: &Value) -> Vec<&str> {
    let requirements = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let negative =
        requirements.filter(|one| ["DoesNotExist", "NotIn"].iter().any(|operator| one["operator"] == *operator));
    negative.filter_map(|one| one["key"].as_str()).collect()
}
