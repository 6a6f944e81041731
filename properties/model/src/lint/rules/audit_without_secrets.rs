//! Audit policies that leave requests for Secrets out.

use credence_core::id::Requirement;

use crate::config::SourcePosition;
use crate::lint::audit::{self, AuditPolicy, Level, Request};
use crate::lint::identities::{GARBAGE_COLLECTOR, NAMESPACE_CONTROLLER};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "audit-without-secrets",
    requirement: Requirement::new(1, 4),
    severity: Severity::Warning,
    summary: "requests for Secrets are not in the audit log",
    help: "Log Secrets at level Metadata for everybody, before any rule that leaves requests out.",
    check,
};

/// Kubernetes' own controllers that remove copies, each with the verb by which it does: they say when a copy was withdrawn.
const COLLECTORS: [(&str, &str); 2] = [(GARBAGE_COLLECTOR, "delete"), (NAMESPACE_CONTROLLER, "deletecollection")];
/// The groups of their ServiceAccounts.
const COLLECTOR_GROUPS: [&str; 3] =
    ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];

/// Those whose requests policies leave out for their number or their office, each with groups: administrators, nodes and anonymous
/// users.
const OTHERS: [(&str, &str, &[&str]); 3] = [
    ("an administrator", "someone", &["system:masters", "system:authenticated"]),
    ("a node", "system:node:somewhere", &["system:nodes", "system:authenticated"]),
    ("an anonymous user", "system:anonymous", &["system:unauthenticated"]),
];
/// Verbs whose entries name the Secret.
const OF_ONE: [&str; 5] = ["get", "create", "update", "patch", "delete"];
/// The operator, as its chart names it.
const OPERATOR: (&str, &str) = ("external-secrets", "external-secrets");
/// A person: user name and groups.
const SOMEBODY: (&str, &[&str]) = ("someone", &["system:authenticated"]);
/// A namespace with copies.
const SOMEWHERE: &str = "somewhere";

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, policy) in audit::policies(context.control_plane) {
        let mut find = |message: String| findings.push(RULE.at(&SourcePosition::of(file), message));
        let of_people = |verb: &&str| is_unlogged(&policy, SOMEBODY, verb, SOMEWHERE);
        let verbs: Vec<&str> = VERBS.into_iter().filter(of_people).collect();
        let is_asked_for = |verb: &&str| policy.omits_outcome(&request(SOMEBODY, verb, SOMEWHERE));
        let (started, silent): (Vec<&str>, Vec<&str>) = verbs.iter().copied().partition(is_asked_for);
        if !silent.is_empty() {
            find(format!("does not log {} of Secrets", silent.join(", ")));
        }
        if !started.is_empty() {
            find(format!(
                "logs that {} of Secrets were asked for and not how it ended: omitStages has ResponseComplete",
                started.join(", ")
            ));
        }
        for (user, verb) in COLLECTORS {
            if !verbs.contains(&verb) && is_unlogged(&policy, (user, &COLLECTOR_GROUPS), verb, SOMEWHERE) {
                find(format!("does not log {verb} of Secrets by {user}"));
            }
        }
        // What is not logged of anybody was said.
        let rest: Vec<&str> = OF_ONE.into_iter().filter(|verb| !verbs.contains(verb)).collect();
        if let Some(message) = of_others(context, &policy, &rest) {
            find(message);
        }
    }
    findings
}

fn request<'a>((user, groups): (&'a str, &'a [&'a str]), verb: &'a str, namespace: &'a str) -> Request<'a> {
    Request { user, groups, verb, namespace, group: "", resource: "secrets" }
}

fn is_unlogged(policy: &AuditPolicy, who: (&str, &[&str]), verb: &str, namespace: &str) -> bool {
    policy.level(&request(who, verb, namespace)) == Level::None
}

/// Somebody in particular, or a namespace of sources, whose requests are left out.
fn of_others(context: &Context<'_>, policy: &AuditPolicy, verbs: &[&str]) -> Option<String> {
    let sources = context.model.source_namespaces();
    for verb in verbs {
        for namespace in &sources {
            if is_unlogged(policy, SOMEBODY, verb, namespace) {
                return Some(format!("does not log {verb} of Secrets in namespace {namespace}"));
            }
        }
        for (who, user, groups) in OTHERS {
            if is_unlogged(policy, (user, groups), verb, SOMEWHERE) {
                return Some(format!("does not log {verb} of Secrets by {who}"));
            }
        }
        let (namespace, name) = OPERATOR;
        if is_unlogged_of_account(policy, (namespace, name), verb, SOMEWHERE) {
            return Some(format!("does not log {verb} of Secrets by ServiceAccount {namespace}/{name}"));
        }
    }
    let providers = context.model.stores.values().filter_map(|store| store.kubernetes.as_ref());
    let mut readers = providers.filter_map(|provider| {
        let account = provider.service_account()?;
        Some((account.namespace.as_deref()?, account.name.as_str(), provider.remote_namespace.as_str()))
    });
    let is_silent = |(namespace, name, remote): &(&str, &str, &str)| {
        verbs.contains(&"get") && is_unlogged_of_account(policy, (namespace, name), "get", remote)
    };
    let (namespace, name, _) = readers.find(is_silent)?;
    Some(format!("does not log get of Secrets by ServiceAccount {namespace}/{name}, which reads sources"))
}

fn is_unlogged_of_account(policy: &AuditPolicy, (home, name): (&str, &str), verb: &str, namespace: &str) -> bool {
    let user = format!("system:serviceaccount:{home}:{name}");
    let of_namespace = format!("system:serviceaccounts:{home}");
    is_unlogged(policy, (&user, &["system:serviceaccounts", &of_namespace, "system:authenticated"]), verb, namespace)
}
