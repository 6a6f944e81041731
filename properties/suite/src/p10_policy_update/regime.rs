//! Where a configuration says who may have a copy. Pure.

use std::collections::BTreeSet;

use credence_core::labels::Labels;
use credence_model::model::{Target, selecting_labels};
use credence_model::selector::{NAME_LABEL, NamespaceSelection, effective_labels, opt_ins};

/// A name that no configuration selects.
const ANY_NAME: &str = "credence-any";

/// Where a change of policy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Regime {
    /// The stores let everybody in: only selectors decide.
    Selectors,
    /// Selectors and store conditions agree, and are changed together.
    Both,
    /// Selectors ask for more than the store conditions admit, so that conditions are what keeps namespaces out.
    Conditions,
}

/// How a target is governed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Governed {
    /// Where its policy is written.
    pub(super) regime: Regime,
    /// The ways to be entitled to a copy: labels that are selected, and admitted by every store.
    pub(super) ways: Vec<Labels>,
}

impl Governed {
    /// How `target` is governed; none if no label entitles a namespace of any name to it.
    pub(super) fn of(target: &Target) -> Option<Self> {
        let mut regime = match target.stores.iter().all(|store| store.conditions.is_empty()) {
            true => Regime::Selectors,
            false => Regime::Both,
        };
        let mut ways = Vec::new();
        for asked in selecting_labels(target).into_iter().filter(|labels| !labels.is_empty()) {
            if is_admitted(target, &asked) {
                ways.push(asked);
            } else if let Some(more) = admitted_with_more(target, &asked) {
                regime = Regime::Conditions;
                ways.push(more);
            }
        }
        (!ways.is_empty()).then_some(Self { regime, ways })
    }
}

/// The label keys that decide about a target.
pub(super) fn keys(target: &Target) -> BTreeSet<&str> {
    let conditions = target.stores.iter().flat_map(|store| &store.conditions);
    let conditions = conditions.filter_map(|condition| condition.namespace_selector.as_ref());
    let keys = target.selection.keys().chain(conditions.flat_map(|selector| selector.keys()));
    keys.filter(|key| *key != NAME_LABEL).collect()
}

fn is_admitted(target: &Target, labels: &Labels) -> bool {
    let labels = effective_labels(ANY_NAME, labels);
    target.selection.matches(&labels) && target.stores.iter().all(|store| store.admits(&labels))
}

/// Labels that every store admits, made of those that ask and of those that a condition wants beside them.
fn admitted_with_more(target: &Target, asked: &Labels) -> Option<Labels> {
    let conditions = target.stores.iter().flat_map(|store| &store.conditions);
    let wanted = conditions
        .filter_map(|condition| condition.namespace_selector.as_ref())
        .flat_map(|selector| opt_ins(&NamespaceSelection { selectors: vec![selector.clone()], names: Vec::new() }));
    let candidates = wanted.filter(|way| way.names.is_none()).map(|way| {
        let mut labels = way.labels;
        labels.extend(asked.clone());
        labels
    });
    candidates.into_iter().find(|labels| is_admitted(target, labels))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use credence_model::config::Bundle;
    use credence_model::model::Model;
    use rstest::rstest;

    use super::*;

    fn target(conditions: &str) -> Target {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: s}}\n\
             spec: {{provider: {{kubernetes: {{}}}}, conditions: {conditions}}}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: c}}\n\
             spec:\n  namespaceSelectors: [{{matchLabels: {{ask: 'true'}}}}]\n  externalSecretSpec:\n    \
             secretStoreRef: {{kind: ClusterSecretStore, name: s}}\n    \
             data: [{{secretKey: t, remoteRef: {{key: pat, property: token}}}}]\n"
        );
        let bundle = Bundle::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
        Model::derive(&bundle).targets.remove(0)
    }

    #[rstest]
    #[case::open_store("[]", Some((Regime::Selectors, "ask")))]
    #[case::agreeing("[{namespaceSelector: {matchLabels: {ask: 'true'}}}]", Some((Regime::Both, "ask")))]
    #[case::wider("[{namespaceRegexes: ['.']}]", Some((Regime::Both, "ask")))]
    #[case::narrower(
        "[{namespaces: [a]}, {namespaceSelector: {matchLabels: {ask: 'true', approved: 'true'}}}]",
        Some((Regime::Conditions, "approved ask"))
    )]
    #[case::contradicting("[{namespaceSelector: {matchLabels: {ask: 'false'}}}]", None)]
    #[case::by_name("[{namespaces: [a]}]", None)]
    fn the_regime_is_where_the_configuration_keeps_namespaces_out(
        #[case] conditions: &str,
        #[case] expected: Option<(Regime, &str)>,
    ) {
        let governed = Governed::of(&target(conditions));
        let told = governed.as_ref().map(|governed| {
            (governed.regime, governed.ways[0].keys().map(String::as_str).collect::<Vec<_>>().join(" "))
        });
        assert_eq!(told.as_ref().map(|(regime, way)| (*regime, &**way)), expected);
    }

    #[test]
    fn keys_are_those_of_selectors_and_conditions() {
        let target = target("[{namespaceSelector: {matchLabels: {ask: 'true', approved: 'true'}}}]");
        assert_eq!(keys(&target), ["approved", "ask"].into());
    }
}
