//! Recipients of a copy, in words: the labels and names that ask for it, and those that keep a namespace from it.

use std::collections::BTreeSet;

use credence_core::labels::Labels;
use regex::Regex;

use crate::model::{Distribution, Model};
use crate::selector::{LabelSelector, NAME_LABEL, opt_ins};

/// A value that no selector names.
const ANY_VALUE: &str = "credence-any-value";

/// Recipients of a copy, one line for each way.
pub(super) fn receivers(model: &Model, distribution: &Distribution) -> Vec<String> {
    if let Some(namespace) = distribution.namespace() {
        let asks = match distribution.named_ways().into_iter().next() {
            Some((_, labels)) if !labels.is_empty() => {
                format!(" with {}", written(model, distribution, Some(namespace), &labels))
            }
            _ => String::new(),
        };
        return vec![format!("namespace {namespace}{asks}, whatever any selector says")];
    }
    let by_labels = distribution.opt_in_labels().into_iter().map(|labels| {
        let who = if labels.is_empty() {
            "namespaces of any name, whatever their labels".to_owned()
        } else {
            format!("namespaces with {}", written(model, distribution, None, &labels))
        };
        format!("{who}{}", exceptions(distribution, None, &labels))
    });
    let mut receivers: Vec<String> = by_labels.collect();
    receivers.extend(distribution.named_ways().into_iter().map(|(names, labels)| {
        let name = names.first().map(String::as_str);
        let with = if labels.is_empty() {
            String::new()
        } else {
            format!(" with {}", written(model, distribution, name, &labels))
        };
        let exceptions = exceptions(distribution, name, &labels);
        let patterns = patterns(distribution, &names);
        let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        if patterns.is_empty() {
            format!("namespaces {names}{with}{exceptions}")
        } else {
            format!("namespaces whose name matches {}, such as {names}{with}{exceptions}", patterns.join(" or "))
        }
    }));
    if receivers.is_empty() {
        receivers
            .push("nobody: it selects no namespace that its stores admit, so that no property judges it".to_owned());
    }
    receivers
}

/// The expressions of store conditions that `names` were found for; none if the configuration has written the names themselves.
fn patterns<'a>(distribution: &'a Distribution, names: &BTreeSet<String>) -> Vec<&'a str> {
    let selected: BTreeSet<String> =
        opt_ins(&distribution.selection).into_iter().filter_map(|way| way.names).flatten().collect();
    let conditions = || distribution.stores.iter().flat_map(|store| &store.conditions);
    let is_written = |name: &String| selected.contains(name) || conditions().any(|one| one.namespaces.contains(name));
    if names.iter().all(is_written) {
        return Vec::new();
    }
    let matching = conditions().flat_map(|condition| &condition.namespace_regexes);
    matching.filter(|regex| names.iter().any(|name| regex.is_match(name))).map(Regex::as_str).collect()
}

/// Labels, each with all the values with which this distribution gives its copy. Other distributions may want other values of the
/// same label.
fn written(model: &Model, distribution: &Distribution, name: Option<&str>, labels: &Labels) -> String {
    let gives = |key: &String, value: &str| {
        let mut labels = labels.clone();
        labels.insert(key.clone(), value.to_owned());
        distribution.gives(name, &labels).is_ok()
    };
    let written = labels.iter().map(|(key, value)| {
        if !model.is_switch(key) && gives(key, ANY_VALUE) {
            return format!("{key}, whatever its value");
        }
        let others = model.opt_in_values(key);
        // With another value, another selector may give it, from which other labels keep it.
        let is_like = |other: &str| {
            let mut with = labels.clone();
            with.insert(key.clone(), other.to_owned());
            exceptions(distribution, name, &with) == exceptions(distribution, name, labels)
        };
        let others = others.into_iter();
        let others = others.filter(|other| *other != value.as_str() && gives(key, other) && is_like(other));
        let values: Vec<&str> = std::iter::once(value.as_str()).chain(others).collect();
        format!("{key}={}", values.join("|"))
    });
    written.collect::<Vec<_>>().join(" and ")
}

/// Exceptions that keep a namespace with these labels from the copy: a name or another label.
fn exceptions(distribution: &Distribution, name: Option<&str>, labels: &Labels) -> String {
    let conditions = distribution.stores.iter().flat_map(|store| &store.conditions);
    let conditions = conditions.filter_map(|condition| condition.namespace_selector.as_ref());
    let selectors = distribution.selection.selectors.iter().chain(conditions);
    let excluded: BTreeSet<(&str, Option<&str>)> = selectors.flat_map(LabelSelector::excluded).collect();
    let keeps = |(key, value): &(&str, Option<&str>)| {
        if *key == NAME_LABEL {
            return name.is_none() && value.is_some_and(|value| distribution.gives(Some(value), labels).is_err());
        }
        let mut with = labels.clone();
        with.insert((*key).to_owned(), value.unwrap_or(ANY_VALUE).to_owned());
        !labels.contains_key(*key) && distribution.gives(name, &with).is_err()
    };
    let kept = excluded.into_iter().filter(keeps).map(|(key, value)| match value {
        Some(name) if key == NAME_LABEL => name.to_owned(),
        Some(value) => format!("with {key}={value}"),
        None => format!("with {key}"),
    });
    let kept: Vec<String> = kept.collect();
    if kept.is_empty() { String::new() } else { format!(", but none {}", named(&kept)) }
}

/// The exceptions as a list: names are introduced once.
fn named(kept: &[String]) -> String {
    let (labels, names): (Vec<&str>, Vec<&str>) =
        kept.iter().map(String::as_str).partition(|exception| exception.starts_with("with "));
    let names = (!names.is_empty()).then(|| format!("called {}", names.join(" or ")));
    names.into_iter().chain(labels.into_iter().map(str::to_owned)).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;
    use crate::config::Config;

    /// Recipients of the first of two distributions, of which the other one wants `env: other`.
    fn of(selectors: &str, conditions: &str) -> Vec<String> {
        let distribution = |name: &str, selectors: &str| {
            format!(
                "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: {name}}}\nspec:\n  \
                 namespaceSelectors: {selectors}\n  externalSecretSpec:\n    \
                 secretStoreRef: {{kind: ClusterSecretStore, name: s}}\n    \
                 data: [{{secretKey: a, remoteRef: {{key: b, property: c}}}}]\n---\n"
            )
        };
        let text = format!(
            "{}{}apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: s}}\nspec:\n  \
             provider: {{kubernetes: {{remoteNamespace: central}}}}\n  conditions: {conditions}\n",
            distribution("one", selectors),
            distribution("two", "[{matchLabels: {env: other}}]"),
        );
        let manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
        let model = Model::derive(&Config::from_manifests(manifests).unwrap());
        receivers(&model, &model.distributions[0])
    }

    #[rstest]
    #[case::a_value_that_another_wants("[{matchLabels: {env: prod}}]", "[]", &["namespaces with env=prod"])]
    #[case::values(
        "[{matchExpressions: [{key: env, operator: In, values: [prod, other]}]}]",
        "[]",
        &["namespaces with env=prod|other"]
    )]
    #[case::values_of_which_a_store_admits_one(
        "[{matchExpressions: [{key: env, operator: In, values: [prod, other]}]}]",
        "[{namespaceSelector: {matchLabels: {env: prod}}}]",
        &["namespaces with env=prod"]
    )]
    #[case::any_value("[{matchExpressions: [{key: team, operator: Exists}]}]", "[]", &["namespaces with team, whatever its value"])]
    #[case::everybody("[{}]", "[]", &["namespaces of any name, whatever their labels"])]
    #[case::but_some_names(
        "[{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, dev]}]}]",
        "[]",
        &["namespaces of any name, whatever their labels, but none called dev or kube-system"]
    )]
    #[case::but_some_labels(
        "[{matchLabels: {env: prod}, matchExpressions: [{key: skip, operator: DoesNotExist}, {key: tier, operator: NotIn, values: [lab]}]}]",
        "[]",
        &["namespaces with env=prod, but none with skip or with tier=lab"]
    )]
    #[case::a_store_that_excludes(
        "[{matchLabels: {env: prod}}]",
        "[{namespaceSelector: {matchExpressions: [{key: skip, operator: DoesNotExist}]}}]",
        &["namespaces with env=prod, but none with skip"]
    )]
    #[case::what_another_selector_takes_after_all(
        "[{matchLabels: {env: prod}, matchExpressions: [{key: skip, operator: DoesNotExist}]}, {matchLabels: {env: prod}}]",
        "[]",
        &["namespaces with env=prod", "namespaces with env=prod"]
    )]
    #[case::values_of_which_another_selector_has_an_exception(
        "[{matchLabels: {tier: gold}}, {matchLabels: {tier: silver}, matchExpressions: [{key: old, operator: DoesNotExist}]}]",
        "[]",
        &["namespaces with tier=gold", "namespaces with tier=silver, but none with old"]
    )]
    #[case::names_by_expression(
        "[{matchLabels: {env: prod}}]",
        "[{namespaceRegexes: ['^team-.*-prod$']}]",
        &["namespaces whose name matches ^team-.*-prod$, such as team-credence-prod with env=prod"]
    )]
    #[case::written_names("[{matchLabels: {env: prod}}]", "[{namespaces: [shop]}]", &["namespaces shop with env=prod"])]
    #[case::a_name("[{matchLabels: {kubernetes.io/metadata.name: shop}}]", "[]", &["namespaces shop"])]
    fn recipients_are_those_of_this_distribution_alone(
        #[case] selectors: &str,
        #[case] conditions: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(of(selectors, conditions), expected);
    }
}
