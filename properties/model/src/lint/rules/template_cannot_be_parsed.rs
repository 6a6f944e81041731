//! Templates that the operator cannot parse.

use credence_core::id::Requirement;
use serde_json::Value;

use crate::config::{DeclaredDistribution, spec_in};
use crate::lint::{Context, Finding, Rule, Severity};
use crate::template::fault;

pub(super) const RULE: Rule = Rule {
    id: "template-cannot-be-parsed",
    requirement: Requirement::new(3, 3),
    severity: Severity::Error,
    summary: "a template that cannot be parsed",
    help: "Mend the template: the controller parses it only when it makes a copy, and then never makes one.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let faults = |declared: DeclaredDistribution<'_>| -> Vec<Finding> {
        let faulty = templates(declared.object).into_iter().filter_map(|(of, text)| Some((of, fault(text)?)));
        faulty.map(|(of, fault)| RULE.at(declared.place, format!("template of {of}: {fault}"))).collect()
    };
    context.config.declared_distributions().flat_map(faults).collect()
}

/// All templates that an object has in itself, by what they make.
fn templates(object: &Value) -> Vec<(String, &str)> {
    let template = &spec_in(object)["target"]["template"];
    let of = |field: &'static str, what: &'static str| {
        let texts = template.pointer(field).and_then(Value::as_object).into_iter().flatten();
        texts.filter_map(move |(name, text)| Some((format!("{what}{name}"), text.as_str()?)))
    };
    let from = template["templateFrom"].as_array().into_iter().flatten().enumerate();
    let literals = from.filter_map(|(index, from)| Some((format!("templateFrom[{index}]"), from["literal"].as_str()?)));
    of("/data", "")
        .chain(of("/metadata/labels", "label "))
        .chain(of("/metadata/annotations", "annotation "))
        .chain(literals)
        .collect()
}
