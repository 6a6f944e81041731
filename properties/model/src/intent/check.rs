//! Parts of an intent that contradict each other.

use std::collections::BTreeMap;
use std::hash::Hash;

use super::document::{BoundEntry, ExampleEntry, PurposeEntry};
use super::{Intent, IntentFault};
use crate::selector::check_label;

/// Every contradiction of an intent with itself.
pub(super) fn contradictions(intent: &Intent) -> Vec<IntentFault> {
    let mut faults = Vec::new();
    for (index, example) in intent.document.examples.iter().enumerate() {
        of_example(intent, index, example, &mut faults);
    }
    for (index, purpose) in intent.document.purposes.iter().enumerate() {
        of_purpose(intent, index, purpose, &mut faults);
    }
    let document = &intent.document;
    repeated(
        intent,
        "/notApplicable",
        "property",
        document.not_applicable.iter().map(|one| &one.property),
        &mut faults,
    );
    repeated(intent, "/bounds", "copy", document.bounds.iter().map(|BoundEntry { copy, .. }| copy), &mut faults);
    repeated(intent, "/protectedNamespaces", "", &document.protected_namespaces, &mut faults);
    faults
}

fn of_example(intent: &Intent, index: usize, example: &ExampleEntry, faults: &mut Vec<IntentFault>) {
    let pointer = format!("/examples/{index}");
    let shown = format!("examples[{index}]");
    let ExampleEntry { namespace, must_have, must_not_have, .. } = example;
    if must_have.is_empty() && must_not_have.is_empty() {
        let message = format!("{shown} says nothing of any copy; add mustHave or mustNotHave, or remove it");
        faults.push(intent.fault(&pointer, message));
    }
    for (key, value) in &namespace.labels {
        if check_label(key, value).is_err() {
            let at = format!("{pointer}/namespace/labels/{}", key.replace('~', "~0").replace('/', "~1"));
            let message =
                format!("{shown}.namespace has a label that Kubernetes refuses; correct its key or its value");
            faults.push(intent.fault(&at, message));
        }
    }
    let protected = namespace.name.as_ref().filter(|name| intent.document.protected_namespaces.contains(name));
    if protected.is_some() && !must_have.is_empty() {
        let message = format!(
            "{shown} wants a copy in a namespace that protectedNamespaces keeps free of all copies; remove it from one of them"
        );
        faults.push(intent.fault(&format!("{pointer}/mustHave"), message));
    }
    // What stands further up has been compared already.
    for (first, other) in intent.document.examples[..=index].iter().enumerate() {
        if other.namespace != *namespace {
            continue;
        }
        let denied = must_not_have.iter().enumerate().map(|(at, name)| ("mustNotHave", at, name, &other.must_have));
        let wanted = must_have.iter().enumerate().map(|(at, name)| ("mustHave", at, name, &other.must_not_have));
        for (field, at, _, against) in denied.chain(wanted).filter(|(_, _, name, against)| against.contains(name)) {
            // Within one example, one side of it tells.
            if first == index && field == "mustHave" {
                continue;
            }
            let other = if field == "mustHave" { "mustNotHave" } else { "mustHave" };
            let place =
                against.iter().position(|one| example_name(example, field, at) == Some(one)).unwrap_or_default();
            let message = format!(
                "{shown}.{field}[{at}] is also in {other} of the same namespace, at {}; remove one of them",
                intent.at(&format!("/examples/{first}/{other}/{place}"))
            );
            faults.push(intent.fault(&format!("{pointer}/{field}/{at}"), message));
        }
    }
}

fn example_name<'a>(example: &'a ExampleEntry, field: &str, at: usize) -> Option<&'a String> {
    if field == "mustHave" { example.must_have.get(at) } else { example.must_not_have.get(at) }
}

fn of_purpose(intent: &Intent, index: usize, purpose: &PurposeEntry, faults: &mut Vec<IntentFault>) {
    let next = match (&purpose.consumer, &purpose.used_by) {
        (Some(_), Some(_)) => "has both consumer and usedBy; keep consumer if a run is to try the copy with it",
        (None, None) => "names nobody; add consumer, or usedBy for whom credence does not know",
        _ => return,
    };
    faults.push(intent.fault(&format!("/purposes/{index}"), format!("purposes[{index}] {next}")));
}

/// Adds those of a list that say twice what may be said once.
pub(super) fn repeated<T: Eq + Hash + Ord>(
    intent: &Intent,
    list: &str,
    field: &str,
    names: impl IntoIterator<Item = T>,
    faults: &mut Vec<IntentFault>,
) {
    let step = if field.is_empty() { String::new() } else { format!("/{field}") };
    let mut seen = BTreeMap::new();
    for (index, name) in names.into_iter().enumerate() {
        let pointer = format!("{list}/{index}{step}");
        if let Some(first) = seen.insert(name, index) {
            let shown = format!(
                "{}[{index}]{}",
                list[1..].replace('/', "."),
                if field.is_empty() { String::new() } else { format!(".{field}") }
            );
            let first = intent.at(&format!("{list}/{first}{step}"));
            faults.push(intent.fault(&pointer, format!("{shown} is the same as at {first}; remove one of them")));
        }
    }
}
