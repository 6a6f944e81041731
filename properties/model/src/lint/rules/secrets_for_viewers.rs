//! ClusterRoles that add Secrets to Kubernetes' own roles for people who may not read them.

use credence_core::id::Requirement;
use serde_json::Value;

use crate::config::SourcePosition;
use crate::lint::admission::texts;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "secrets-for-viewers",
    requirement: Requirement::new(5, 2),
    severity: Severity::Warning,
    summary: "a ClusterRole adds what opens Secrets to a role that everybody with it then has",
    help: "Take the aggregation label away, or the rule: view is for people who may not read Secrets, and edit and admin let nobody become somebody else.",
    check,
};

/// The beginning of the labels by which a ClusterRole becomes a part of another one.
const AGGREGATE: &str = "rbac.authorization.k8s.io/aggregate-to-";

/// Verbs by which somebody becomes somebody else, or gives rights that he has not.
const ASCENDING: [&str; 4] = ["impersonate", "bind", "escalate", "*"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for role in context.config.of_kind("rbac.authorization.k8s.io", "ClusterRole") {
        let labels = role.object.pointer("/metadata/labels").and_then(Value::as_object);
        let into = labels.into_iter().flatten().filter(|(_, value)| *value == "true");
        let into: Vec<&str> = into.filter_map(|(key, _)| key.strip_prefix(AGGREGATE)).collect();
        let rules = || role.object.get("rules").and_then(Value::as_array).into_iter().flatten();
        for one in into {
            let opens = match one {
                "view" => rules().any(reads_secrets) || rules().any(ascends),
                "edit" | "admin" => rules().any(ascends),
                _ => false,
            };
            if opens {
                let message = format!("gives what opens Secrets to everybody who has ClusterRole {one}");
                findings.push(RULE.at(&SourcePosition::of(role), message));
            }
        }
    }
    findings
}

fn has(rule: &Value, field: &str, words: &[&str]) -> bool {
    texts(rule, field).any(|word| words.contains(&word))
}

fn reads_secrets(rule: &Value) -> bool {
    has(rule, "apiGroups", &["", "*"])
        && has(rule, "resources", &["secrets", "*"])
        && has(rule, "verbs", &["get", "list", "watch", "*"])
}

/// True for a rule by which somebody becomes another user or group, or gives rights. Kubernetes' own edit has ServiceAccounts of its
/// namespace already.
fn ascends(rule: &Value) -> bool {
    let of_people = has(rule, "apiGroups", &["", "*"]) && has(rule, "resources", &["users", "groups", "*"]);
    let of_roles = has(rule, "apiGroups", &["rbac.authorization.k8s.io", "*"])
        && has(rule, "resources", &["roles", "clusterroles", "*"]);
    (of_people || of_roles) && has(rule, "verbs", &ASCENDING)
}
