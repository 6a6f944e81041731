//! Namespaces that get a copy: labels and names that satisfy a selection and the conditions of all stores it reads through.

use std::collections::BTreeSet;

use credence_core::labels::Labels;
use regex::Regex;

use super::Distribution;
use crate::config::{ClusterSecretStore, StoreCondition};
use crate::matching;
use crate::selector::{LabelSelector, NamespaceSelection, OptIn, effective_labels, is_dns_label, opt_ins};

/// The name of a namespace whose name does not matter.
pub(super) const ANY_NAME: &str = "credence-witness";
/// Text in the name of a namespace where an expression takes any.
const FILLER: &str = "credence";
/// Alternatives of an expression that get a name of their own, at most.
const MOST_ALTERNATIVES: usize = 6;

/// The ways for a namespace to get a copy of `distribution`: those of its selection, each with what the stores ask for beside it.
///
/// Empty for a distribution that gives its copy to nobody: it selects none, or only those that a store does not admit.
pub(super) fn ways(distribution: &Distribution) -> Vec<OptIn> {
    let mut ways = opt_ins(&distribution.selection);
    for store in &distribution.stores {
        ways = ways.into_iter().flat_map(|way| admitted(store, way)).collect();
    }
    ways.retain(|way| is_one(distribution, way));
    ways
}

/// The ways to be admitted by a store as well: the way itself if that is enough.
fn admitted(store: &ClusterSecretStore, way: OptIn) -> Vec<OptIn> {
    let is_enough = |name: &str| store.admits(&effective_labels(name, &way.labels));
    match &way.names {
        None if is_enough(ANY_NAME) => return vec![way],
        Some(names) if names.iter().any(|name| is_enough(name)) => {
            let names = names.iter().filter(|name| is_enough(name)).cloned().collect();
            return vec![OptIn { names: Some(names), ..way }];
        }
        _ => {}
    }
    store.conditions.iter().flat_map(|condition| of_condition(condition, &way)).collect()
}

/// Labels and name of `way` once a condition admits it.
fn of_condition(condition: &StoreCondition, way: &OptIn) -> Vec<OptIn> {
    let by_label = condition.namespace_selector.iter().flat_map(|selector| both(selector, way));
    let named = (!condition.namespaces.is_empty()).then(|| condition.namespaces.iter().cloned().collect());
    let by_regex = condition.namespace_regexes.iter().map(|regex| match &way.names {
        Some(names) => names.iter().filter(|name| regex.is_match(name)).cloned().collect(),
        None => names_for(regex),
    });
    let by_name = named.into_iter().chain(by_regex).filter_map(|names| with_names(way, &names));
    by_label.chain(by_name).collect()
}

/// The ways to satisfy a selector and `way`.
fn both(selector: &LabelSelector, way: &OptIn) -> Vec<OptIn> {
    let selection = NamespaceSelection { selectors: vec![selector.clone()], names: Vec::new() };
    let joined = opt_ins(&selection).into_iter().filter_map(|other| {
        let agree = other.labels.iter().all(|(key, value)| way.labels.get(key).is_none_or(|own| own == value));
        let mut labels = way.labels.clone();
        labels.extend(other.labels);
        let way = OptIn { labels, names: way.names.clone() };
        let way = match other.names {
            Some(names) => with_names(&way, &names)?,
            None => way,
        };
        agree.then_some(way)
    });
    joined.collect()
}

/// `way` for namespaces with one of these names alone, if it allows any of them.
fn with_names(way: &OptIn, names: &BTreeSet<String>) -> Option<OptIn> {
    let names: BTreeSet<String> = match &way.names {
        Some(own) => own.intersection(names).cloned().collect(),
        None => names.clone(),
    };
    (!names.is_empty()).then(|| OptIn { labels: way.labels.clone(), names: Some(names) })
}

/// Names of namespaces in which `regex` matches, one for each of its alternatives; none if none is found.
fn names_for(regex: &Regex) -> BTreeSet<String> {
    // It was read with the syntax of the same library.
    let Ok(parsed) = regex_syntax::parse(regex.as_str()) else { return BTreeSet::new() };
    let texts: BTreeSet<String> =
        (0..MOST_ALTERNATIVES).map(|number| matching::text(&parsed, FILLER, number)).collect();
    texts.iter().filter_map(|text| completed(regex, text)).collect()
}

/// The name of a namespace that is or has in it what a part of it must be.
fn completed(regex: &Regex, text: &str) -> Option<String> {
    let ends = ["", FILLER, "-credence", "0"];
    let names = ["", FILLER].into_iter().flat_map(|begin| ends.map(|end| format!("{begin}{text}{end}")));
    names.into_iter().find(|name| is_dns_label(name) && regex.is_match(name))
}

/// True if a namespace that goes this way gets the copy: the joined parts may exclude each other.
fn is_one(distribution: &Distribution, way: &OptIn) -> bool {
    let gets = |name: &str| {
        let labels = effective_labels(name, &way.labels);
        distribution.selection.matches(&labels) && distribution.stores.iter().all(|store| store.admits(&labels))
    };
    way.names.as_ref().map_or_else(|| gets(ANY_NAME), |names| names.iter().all(|name| gets(name)))
}

impl Distribution {
    /// The labels with which a namespace of any name gets a copy, one map for each way; none if the name decides.
    pub fn opt_in_labels(&self) -> Vec<Labels> {
        ways(self).into_iter().filter(|way| way.names.is_none()).map(|way| way.labels).collect()
    }

    /// The names of which a namespace must have one to get a copy, with the labels that it needs beside, one for each way;
    /// none if no way depends on a name.
    pub fn named_ways(&self) -> Vec<(BTreeSet<String>, Labels)> {
        ways(self).into_iter().filter_map(|way| Some((way.names?, way.labels))).collect()
    }

    /// True if any namespace can get a copy.
    pub fn can_be_selected(&self) -> bool {
        !ways(self).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use crate::config::Config;
    use crate::model::{Model, expected_in};
    use crate::selector::is_dns_label;

    /// The ways of a selection of `selector` and `namespaces` through a store with `conditions`, as `NAMES LABELS`.
    fn ways(selector: &str, conditions: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: s}}\nspec:\n  \
             provider: {{kubernetes: {{remoteNamespace: central}}}}\n  conditions: {conditions}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: t}}\nspec:\n  \
             namespaceSelectors: [{selector}]\n  externalSecretSpec:\n    \
             secretStoreRef: {{kind: ClusterSecretStore, name: s}}\n    \
             data: [{{secretKey: a, remoteRef: {{key: b, property: c}}}}]\n"
        );
        let manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
        let model = Model::derive(&Config::from_manifests(manifests).unwrap());
        let distribution = &model.distributions[0];
        assert_eq!(distribution.can_be_selected(), !super::ways(distribution).is_empty());
        for way in super::ways(distribution) {
            let names = way.names.clone().unwrap_or_else(|| ["any".to_owned()].into());
            assert!(
                names.iter().all(|name| !expected_in(&model, name, &way.labels).is_empty()),
                "{way:?} gets no copy"
            );
        }
        let written = |labels: &std::collections::BTreeMap<String, String>| {
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
        };
        let mut ways: Vec<String> =
            distribution.opt_in_labels().iter().map(|labels| format!("* {}", written(labels))).collect();
        let named = distribution.named_ways().into_iter();
        ways.extend(named.map(|(names, labels)| {
            format!("{} {}", names.into_iter().collect::<Vec<_>>().join("|"), written(&labels)).trim_end().to_owned()
        }));
        ways
    }

    #[rstest]
    #[case::open_store("{matchLabels: {a: x}}", "[]", &["* a=x"])]
    #[case::the_same_label("{matchLabels: {a: x}}", "[{namespaceSelector: {matchLabels: {a: x}}}]", &["* a=x"])]
    #[case::one_more_label("{matchLabels: {a: x}}", "[{namespaceSelector: {matchLabels: {b: z}}}]", &["* a=x,b=z"])]
    #[case::either_condition(
        "{matchLabels: {a: x}}",
        "[{namespaceSelector: {matchLabels: {b: z}}}, {namespaces: [shop]}]",
        &["* a=x,b=z", "shop a=x"]
    )]
    #[case::another_value("{matchLabels: {a: x}}", "[{namespaceSelector: {matchLabels: {a: z}}}]", &[])]
    #[case::names("{matchLabels: {a: x}}", "[{namespaces: [shop, blog]}]", &["blog|shop a=x"])]
    #[case::regex("{matchLabels: {a: x}}", "[{namespaceRegexes: ['^team-']}]", &["team-credence a=x"])]
    #[case::regex_to_the_end("{matchLabels: {a: x}}", "[{namespaceRegexes: ['^team-.*-prod$']}]", &["team-credence-prod a=x"])]
    #[case::regex_of_classes("{matchLabels: {a: x}}", "[{namespaceRegexes: ['^[a-z]{3}-[0-9]+$']}]", &["cre-00000000 a=x"])]
    #[case::regex_of_alternatives("{matchLabels: {a: x}}", "[{namespaceRegexes: ['^(dev|prod)-app$']}]", &["dev-app|prod-app a=x"])]
    #[case::regex_in_the_middle("{matchLabels: {a: x}}", "[{namespaceRegexes: ['-eu-']}]", &["credence-eu-credence a=x"])]
    #[case::regex_of_no_name("{matchLabels: {a: x}}", "[{namespaceRegexes: ['^A_$']}]", &[])]
    #[case::any_regex("{matchLabels: {a: x}}", "[{namespaceRegexes: ['.*']}]", &["* a=x"])]
    #[case::label_and_name(
        "{matchLabels: {a: x, kubernetes.io/metadata.name: shop}}",
        "[]",
        &["shop a=x"]
    )]
    #[case::name_alone("{matchLabels: {kubernetes.io/metadata.name: shop}}", "[{namespaces: [shop]}]", &["shop"])]
    #[case::names_that_differ("{matchLabels: {kubernetes.io/metadata.name: shop}}", "[{namespaces: [blog]}]", &[])]
    #[case::everybody("{}", "[{namespaceSelector: {}}]", &["* "])]
    fn a_witness_satisfies_selection_and_conditions(
        #[case] selector: &str,
        #[case] conditions: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(ways(selector, conditions), expected);
    }

    #[rstest]
    #[case::a_letter("a", true)]
    #[case::a_digit("1", true)]
    #[case::a_hyphen_inside("a-1", true)]
    #[case::a_hyphen_before("-a", false)]
    #[case::a_hyphen_behind("a-", false)]
    #[case::a_capital("aBc", false)]
    #[case::a_dot("a.b", false)]
    #[case::nothing("", false)]
    fn names_of_namespaces_are_labels_of_dns(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_dns_label(text), expected);
    }

    #[test]
    fn names_of_namespaces_have_63_letters_at_most() {
        assert!(is_dns_label(&"a".repeat(63)) && !is_dns_label(&"a".repeat(64)));
    }
}
