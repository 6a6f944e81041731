//! Examples of the intent that selectors and conditions of stores contradict: AND that is written for OR, say.

use credence_core::id::Requirement;
use credence_core::labels::Labels;

use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::{Distribution, Example, NotGiven, Wanted};

pub(super) const RULE: Rule = Rule {
    id: "intent-contradicted",
    requirement: Requirement::new(2, 3),
    severity: Severity::Error,
    summary: "the selectors give a copy to others than the intent says",
    help: "Labels of one selector must all be there; for either of two labels, write two selectors, in the ClusterExternalSecret and in the conditions of its stores. If the selectors are right, correct the example.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    context.model.intended.examples.iter().flat_map(|example| of_example(context, example)).collect()
}

fn of_example(context: &Context<'_>, example: &Example) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wanted in &example.must_have {
        let gives = |distribution: &&Distribution| distribution.gives(example.name.as_deref(), &example.labels).is_ok();
        let mut distributions = named(context, wanted);
        if !distributions.iter().any(gives)
            && let Some(distribution) = distributions.pop()
        {
            let why = match distribution.gives(example.name.as_deref(), &example.labels) {
                Err(NotGiven::NotAdmitted(store)) => format!("store {store} does not admit it"),
                _ => format!("no selector matches it: {}", receivers(distribution)),
            };
            let message = format!("{} must have {} by {}, and {why}", example.namespace(), wanted.name, wanted.at);
            findings.push(RULE.at(context.place(distribution), message));
        }
    }
    for unwanted in &example.must_not_have {
        for distribution in named(context, unwanted) {
            if distribution.gives(example.name.as_deref(), &example.labels).is_ok() {
                let (namespace, name, at) = (example.namespace(), &unwanted.name, &unwanted.at);
                let message =
                    format!("{namespace} must not have {name} by {at}, and gets it: {}", receivers(distribution));
                findings.push(RULE.at(context.place(distribution), message));
            }
        }
    }
    findings
}

fn named<'a>(context: &Context<'a>, wanted: &Wanted) -> Vec<&'a Distribution> {
    let distributions = context.model.distributions.iter();
    distributions.filter(|distribution| wanted.distributions.contains(&distribution.name)).collect()
}

/// Recipients of the copies of a distribution, in words.
fn receivers(distribution: &Distribution) -> String {
    let labelled = |labels: &Labels| {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if labels.is_empty() { "any labels".to_owned() } else { labels.join(" and ") }
    };
    let by_labels = distribution.opt_in_labels().iter().map(labelled).collect::<Vec<_>>();
    let by_name = distribution.named_ways().into_iter().map(|(names, labels)| {
        format!("the name {} and {}", names.into_iter().collect::<Vec<_>>().join(" or "), labelled(&labels))
    });
    let ways: Vec<String> = by_labels.into_iter().chain(by_name).collect();
    if ways.is_empty() {
        "it is given to no namespace at all".to_owned()
    } else {
        format!("it is given to namespaces with {}", ways.join(", or with "))
    }
}
