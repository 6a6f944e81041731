//! Audit policies that leave requests for Secrets out.

use credence_core::id::Requirement;

use crate::config::SourcePosition;
use crate::lint::audit::{self, Level, Request};
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

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, policy) in audit::policies(context.control_plane) {
        let is_unlogged = |request: Request<'_>| policy.level(&request) == Level::None;
        let people = ["system:authenticated"];
        let of_people = |verb| request("someone", &people[..], verb);
        let verbs: Vec<&str> = VERBS.into_iter().filter(|verb| is_unlogged(of_people(*verb))).collect();
        let (started, silent): (Vec<&str>, Vec<&str>) =
            verbs.iter().copied().partition(|verb| policy.omits_outcome(&of_people(*verb)));
        let mut say = |message: String| findings.push(RULE.at(&SourcePosition::of(file), message));
        if !silent.is_empty() {
            say(format!("does not log {} of Secrets", silent.join(", ")));
        }
        if !started.is_empty() {
            say(format!(
                "logs that {} of Secrets were asked for and not how it ended: omitStages has ResponseComplete",
                started.join(", ")
            ));
        }
        let of_collectors = |(user, verb): &(&str, &str)| {
            !verbs.contains(verb) && is_unlogged(request(user, &COLLECTOR_GROUPS[..], verb))
        };
        for (user, verb) in COLLECTORS.into_iter().filter(of_collectors) {
            findings.push(RULE.at(&SourcePosition::of(file), format!("does not log {verb} of Secrets by {user}")));
        }
    }
    findings
}

fn request<'a>(user: &'a str, groups: &'a [&'a str], verb: &'a str) -> Request<'a> {
    Request { user, groups, verb, namespace: "somewhere", group: "", resource: "secrets" }
}
