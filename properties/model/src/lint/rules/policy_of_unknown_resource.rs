//! Policies about resources that there are not.

use credence_core::id::Requirement;
use credence_core::manifest::Manifest;
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use serde_json::Value;

use crate::config::{Config, SourcePosition};
use crate::lint::admission::{self, texts};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "policy-of-unknown-resource",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a policy is about a resource that there is not, so it is never asked",
    help: "Write the plural in small letters, as kubectl api-resources has it, its version, and its group: that of Secrets and namespaces is \"\".",
    check,
};

/// The kinds of the core group (Kubernetes, pkg/apis/core).
const CORE: [&str; 17] = [
    "bindings",
    "componentstatuses",
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "pods",
    "podtemplates",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "serviceaccounts",
    "services",
];
/// The kinds that External Secrets Operator distributes by, each with its version.
const DISTRIBUTION: [(&str, &str); 6] = [
    ("clusterexternalsecrets", "v1"),
    ("clusterpushsecrets", "v1alpha1"),
    ("clustersecretstores", "v1"),
    ("externalsecrets", "v1"),
    ("pushsecrets", "v1alpha1"),
    ("secretstores", "v1"),
];
/// Words for the core group that are none.
const NO_GROUPS: [&str; 2] = ["core", "v1"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_new = serves_one_version(context.config);
    let bindings = context.config.of_kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding");
    for object in admission::policies(context.config).chain(bindings) {
        let found = rules(object).find_map(|rule| fault(rule, is_new));
        findings.extend(found.map(|fault| RULE.at(&SourcePosition::of(object), fault)));
    }
    findings
}

/// True unless the configuration is for an operator that serves older versions, too.
fn serves_one_version(config: &Config) -> bool {
    !config
        .manifests
        .iter()
        .any(|one| one.group() == EXTERNAL_SECRETS_GROUP && one.object["apiVersion"] == "external-secrets.io/v1beta1")
}

fn rules(object: &Manifest) -> impl Iterator<Item = &Value> {
    let parts = ["/spec/matchConstraints/resourceRules", "/spec/matchResources/resourceRules"];
    parts.into_iter().filter_map(|part| object.object.pointer(part)?.as_array()).flatten()
}

/// The reason why a rule matches nothing of a group that it names.
fn fault(rule: &Value, is_new: bool) -> Option<String> {
    let groups: Vec<&str> = texts(rule, "apiGroups").collect();
    let resources: Vec<&str> = texts(rule, "resources").filter_map(|resource| resource.split('/').next()).collect();
    if let Some(group) = groups.iter().find(|group| NO_GROUPS.contains(group)) {
        return Some(format!("there is no API group {group:?}; that of Secrets and namespaces is \"\""));
    }
    let [group] = groups[..] else { return None };
    let known: Vec<&str> = match group {
        "" => CORE.to_vec(),
        EXTERNAL_SECRETS_GROUP => DISTRIBUTION.map(|(resource, _)| resource).to_vec(),
        _ => return None,
    };
    if let Some(resource) = resources.iter().find(|resource| **resource != "*" && !known.contains(resource)) {
        return Some(format!("there is no resource {resource:?} in API group {group:?}"));
    }
    let versions: Vec<&str> = texts(rule, "apiVersions").collect();
    let of = |resource: &str| match group {
        "" => Some("v1"),
        _ => DISTRIBUTION.iter().find(|(known, _)| *known == resource).map(|(_, version)| *version),
    };
    let is_served = |version: &str| versions.is_empty() || versions.iter().any(|one| *one == "*" || *one == version);
    let mut others = resources.iter().filter_map(|resource| Some((resource, of(resource)?)));
    let (resource, version) = others.find(|(_, version)| is_new && !is_served(version))?;
    Some(format!("{resource} are served in {version}, and it asks for {}", versions.join(", ")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::right(&[""], &["v1"], &["secrets"], false)]
    #[case::part(&[""], &["*"], &["namespaces/status", "namespaces/finalize"], false)]
    #[case::all(&["*"], &["*"], &["*"], false)]
    #[case::singular(&[""], &["v1"], &["secret"], true)]
    #[case::kind(&[""], &["v1"], &["Secret"], true)]
    #[case::core(&["core"], &["v1"], &["secrets"], true)]
    #[case::of_the_operator(&["external-secrets.io"], &["v1"], &["externalsecret"], true)]
    #[case::older_version(&["external-secrets.io"], &["v1beta1"], &["externalsecrets"], true)]
    #[case::pushed(&["external-secrets.io"], &["v1"], &["pushsecrets"], true)]
    #[case::several_versions(&["external-secrets.io"], &["v1", "v1alpha1"], &["pushsecrets", "secretstores"], false)]
    #[case::of_others(&["apps"], &["v1"], &["deployment"], false)]
    fn a_rule_names_what_there_is(
        #[case] groups: &[&str],
        #[case] versions: &[&str],
        #[case] resources: &[&str],
        #[case] is_fault: bool,
    ) {
        let rule = json!({ "apiGroups": groups, "apiVersions": versions, "resources": resources });
        assert_eq!(fault(&rule, true).is_some(), is_fault);
    }
}
