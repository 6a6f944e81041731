//! Places at which a configuration says who may have a copy. Pure.

use std::collections::BTreeSet;

use credence_core::labels::Labels;
use credence_model::model::{Distribution, selecting_labels};
use credence_model::selector::{NAME_LABEL, NamespaceSelection, effective_labels, opt_ins};

/// A name that no configuration selects.
const ANY_NAME: &str = "credence-any";

/// Place at which a change of policy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EnforcementPoint {
    /// The stores let everybody in: only selectors decide.
    Selectors,
    /// Selectors and store conditions agree, and are changed together.
    Both,
    /// Selectors ask for more than the store conditions admit, so that conditions are what keeps namespaces out.
    Conditions,
}

/// Enforcement of the policy of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EnforcedPolicy {
    /// Place at which its policy is written.
    pub(super) enforcement_point: EnforcementPoint,
    /// The ways to be entitled to a copy: labels that are selected, and admitted by every store.
    pub(super) ways: Vec<Labels>,
}

impl EnforcedPolicy {
    /// Enforcement of the policy of `distribution`; none if no label entitles a namespace of any name to it.
    pub(super) fn of(distribution: &Distribution) -> Option<Self> {
        let mut enforcement_point = if distribution.stores.iter().all(|store| store.conditions.is_empty()) {
            EnforcementPoint::Selectors
        } else {
            EnforcementPoint::Both
        };
        let mut ways = Vec::new();
        for asked in selecting_labels(distribution).into_iter().filter(|labels| !labels.is_empty()) {
            if is_admitted(distribution, &asked) {
                ways.push(asked);
            } else if let Some(more) = admitted_with_more(distribution, &asked) {
                enforcement_point = EnforcementPoint::Conditions;
                ways.push(more);
            }
        }
        (!ways.is_empty()).then_some(Self { enforcement_point, ways })
    }
}

/// The label keys that decide about a distribution.
pub(super) fn keys(distribution: &Distribution) -> BTreeSet<&str> {
    let conditions = distribution.stores.iter().flat_map(|store| &store.conditions);
    let conditions = conditions.filter_map(|condition| condition.namespace_selector.as_ref());
    let keys = distribution.selection.keys().chain(conditions.flat_map(|selector| selector.keys()));
    keys.filter(|key| *key != NAME_LABEL).collect()
}

fn is_admitted(distribution: &Distribution, labels: &Labels) -> bool {
    let labels = effective_labels(ANY_NAME, labels);
    distribution.selection.matches(&labels) && distribution.stores.iter().all(|store| store.admits(&labels))
}

/// Labels that every store admits, made of those that ask and of those that a condition wants beside them.
fn admitted_with_more(distribution: &Distribution, asked: &Labels) -> Option<Labels> {
    let conditions = distribution.stores.iter().flat_map(|store| &store.conditions);
    let wanted = conditions
        .filter_map(|condition| condition.namespace_selector.as_ref())
        .flat_map(|selector| opt_ins(&NamespaceSelection { selectors: vec![selector.clone()], names: Vec::new() }));
    let candidates = wanted.filter(|way| way.names.is_none()).map(|way| {
        let mut labels = way.labels;
        labels.extend(asked.clone());
        labels
    });
    candidates.into_iter().find(|labels| is_admitted(distribution, labels))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use credence_model::config::Config;
    use credence_model::model::Model;
    use rstest::rstest;

    use super::*;

    fn distribution(conditions: &str) -> Distribution {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: s}}\n\
             spec: {{provider: {{kubernetes: {{}}}}, conditions: {conditions}}}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: c}}\n\
             spec:\n  namespaceSelectors: [{{matchLabels: {{ask: 'true'}}}}]\n  externalSecretSpec:\n    \
             secretStoreRef: {{kind: ClusterSecretStore, name: s}}\n    \
             data: [{{secretKey: t, remoteRef: {{key: pat, property: token}}}}]\n"
        );
        let config = Config::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
        Model::derive(&config).distributions.remove(0)
    }

    #[rstest]
    #[case::open_store("[]", Some((EnforcementPoint::Selectors, "ask")))]
    #[case::agreeing("[{namespaceSelector: {matchLabels: {ask: 'true'}}}]", Some((EnforcementPoint::Both, "ask")))]
    #[case::wider("[{namespaceRegexes: ['.']}]", Some((EnforcementPoint::Both, "ask")))]
    #[case::narrower(
        "[{namespaces: [a]}, {namespaceSelector: {matchLabels: {ask: 'true', approved: 'true'}}}]",
        Some((EnforcementPoint::Conditions, "approved ask"))
    )]
    #[case::contradicting("[{namespaceSelector: {matchLabels: {ask: 'false'}}}]", None)]
    #[case::by_name("[{namespaces: [a]}]", None)]
    fn the_enforcement_point_is_where_the_configuration_keeps_namespaces_out(
        #[case] conditions: &str,
        #[case] expected: Option<(EnforcementPoint, &str)>,
    ) {
        let enforced = EnforcedPolicy::of(&distribution(conditions));
        let told = enforced.as_ref().map(|enforced| {
            (enforced.enforcement_point, enforced.ways[0].keys().map(String::as_str).collect::<Vec<_>>().join(" "))
        });
        assert_eq!(told.as_ref().map(|(enforcement_point, way)| (*enforcement_point, &**way)), expected);
    }

    #[test]
    fn keys_are_those_of_selectors_and_conditions() {
        let distribution = distribution("[{namespaceSelector: {matchLabels: {ask: 'true', approved: 'true'}}}]");
        assert_eq!(keys(&distribution), ["approved", "ask"].into());
    }
}
