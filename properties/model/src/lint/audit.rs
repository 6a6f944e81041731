//! The part that an audit policy writes down of requests for credentials.
//!
//! Source: k8s.io/apiserver `pkg/audit/policy/checker.go`: the first rule that matches decides, and without one nothing
//! is logged.

use credence_core::manifest::Manifest;
use serde::Deserialize;

/// The part of a request that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) enum Level {
    None,
    /// User, verb, object and time.
    Metadata,
    /// The body as well.
    Request,
    /// And the body of the answer.
    RequestResponse,
}

/// A request of an ordinary user or of the operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) user: &'a str,
    pub(super) groups: &'a [&'a str],
    pub(super) verb: &'a str,
    pub(super) namespace: &'a str,
    /// The API group.
    pub(super) group: &'a str,
    /// The resource, and a subresource behind a slash.
    pub(super) resource: &'a str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditPolicy {
    rules: Vec<AuditRule>,
    #[serde(default)]
    omit_stages: Vec<String>,
}

/// The stage in which the outcome of a request is known.
const OUTCOME: &str = "ResponseComplete";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditRule {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    resources: Vec<GroupResources>,
    #[serde(default, rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupResources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// The audit policies among the files of a control plane that can be read.
pub(super) fn policies(control_plane: &[Manifest]) -> impl Iterator<Item = (&Manifest, AuditPolicy)> {
    let files = control_plane.iter().filter(|file| file.group() == "audit.k8s.io" && file.kind() == "Policy");
    files.filter_map(|file| Some((file, AuditPolicy::deserialize(&file.object).ok()?)))
}

impl AuditPolicy {
    /// The part of a request that is logged with its outcome.
    pub(super) fn level(&self, request: &Request<'_>) -> Level {
        let rule = self.rule(request).filter(|rule| !self.omits_outcome_of(rule));
        rule.map_or(Level::None, |rule| rule.level)
    }

    /// True if a request is logged, and its outcome is not.
    pub(super) fn omits_outcome(&self, request: &Request<'_>) -> bool {
        self.rule(request).is_some_and(|rule| rule.level > Level::None && self.omits_outcome_of(rule))
    }

    fn rule(&self, request: &Request<'_>) -> Option<&AuditRule> {
        self.rules.iter().find(|rule| rule.matches(request))
    }

    /// True if the stage that tells the outcome is left out by a rule, or by the policy, whose stages are left out of every rule.
    fn omits_outcome_of(&self, rule: &AuditRule) -> bool {
        self.omit_stages.iter().chain(&rule.omit_stages).any(|stage| stage == OUTCOME)
    }
}

impl AuditRule {
    fn matches(&self, request: &Request<'_>) -> bool {
        let allows = |listed: &[String], value: &str| listed.is_empty() || listed.iter().any(|one| one == value);
        let has_group = self.user_groups.is_empty()
            || self.user_groups.iter().any(|group| request.groups.contains(&group.as_str()));
        if !(allows(&self.users, request.user) && has_group && allows(&self.verbs, request.verb)) {
            return false;
        }
        if self.namespaces.is_empty() && self.resources.is_empty() {
            return self.non_resource_urls.is_empty();
        }
        allows(&self.namespaces, request.namespace)
            && (self.resources.is_empty() || self.resources.iter().any(|resources| resources.matches(request)))
    }
}

impl GroupResources {
    fn matches(&self, request: &Request<'_>) -> bool {
        if self.group != request.group {
            return false;
        }
        // A rule about objects of certain names leaves the others to the rules behind it.
        self.resources.is_empty()
            || self.resource_names.is_empty() && self.resources.iter().any(|pattern| fits(pattern, request.resource))
    }
}

fn fits(pattern: &str, resource: &str) -> bool {
    let (kind, part) = resource.split_once('/').map_or((resource, None), |(kind, part)| (kind, Some(part)));
    pattern == resource
        || pattern == "*"
        || part.is_some() && pattern.strip_prefix("*/") == part
        || pattern.strip_suffix("/*") == Some(kind)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_program_configuration;
    use rstest::rstest;

    use super::*;

    const GET: Request<'static> =
        Request { user: "a", groups: &["b"], verb: "get", namespace: "n", group: "", resource: "secrets" };

    #[rstest]
    #[case::everything("{level: Metadata}", Level::Metadata)]
    #[case::its_resource("{level: Request, resources: [{group: '', resources: [secrets]}]}", Level::Request)]
    #[case::its_group("{level: Request, resources: [{group: ''}]}", Level::Request)]
    #[case::any_resource("{level: Request, resources: [{resources: ['*']}]}", Level::Request)]
    #[case::another_resource("{level: Request, resources: [{resources: [pods]}]}", Level::None)]
    #[case::another_group("{level: Request, resources: [{group: apps, resources: ['*']}]}", Level::None)]
    #[case::one_by_name("{level: Request, resources: [{resources: [secrets], resourceNames: [x]}]}", Level::None)]
    #[case::another_user("{level: Request, users: [z]}", Level::None)]
    #[case::its_user_group("{level: Request, userGroups: [z, b]}", Level::Request)]
    #[case::another_verb("{level: Request, verbs: [list]}", Level::None)]
    #[case::another_namespace("{level: Request, namespaces: [z]}", Level::None)]
    #[case::no_resource("{level: Request, nonResourceURLs: ['/healthz']}", Level::None)]
    #[case::without_its_outcome("{level: Request, omitStages: [RequestReceived, ResponseComplete]}", Level::None)]
    #[case::once("{level: Request, omitStages: [RequestReceived]}", Level::Request)]
    #[case::the_first_decides("{level: None, verbs: [get]}, {level: Request}", Level::None)]
    fn the_first_rule_that_matches_decides(#[case] rules: &str, #[case] expected: Level) {
        let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{rules}]\n");
        let files = parse_program_configuration(Path::new("a.yaml"), &text).unwrap();
        let (_, policy) = policies(&files).next().unwrap();
        assert_eq!(policy.level(&GET), expected);
    }

    #[test]
    fn a_stage_that_the_policy_leaves_out_is_left_out_of_every_rule() {
        let text =
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [ResponseComplete]\nrules: [{level: Metadata}]\n";
        let files = parse_program_configuration(Path::new("a.yaml"), text).unwrap();
        let (_, policy) = policies(&files).next().unwrap();
        assert!(policy.level(&GET) == Level::None && policy.omits_outcome(&GET));
    }

    #[test]
    fn the_outcome_of_what_is_not_logged_is_not_left_out() {
        let text = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [ResponseComplete]\n\
                    rules: [{level: None, verbs: [get]}, {level: Metadata}]\n";
        let files = parse_program_configuration(Path::new("a.yaml"), text).unwrap();
        let (_, policy) = policies(&files).next().unwrap();
        assert!(!policy.omits_outcome(&GET) && policy.omits_outcome(&Request { verb: "list", ..GET }));
    }

    #[rstest]
    #[case::itself("serviceaccounts/token", true)]
    #[case::all_of_a_resource("serviceaccounts/*", true)]
    #[case::that_of_each("*/token", true)]
    #[case::everything("*", true)]
    #[case::another_of_each("*/status", false)]
    #[case::all_of_another_resource("pods/*", false)]
    #[case::the_resource_alone("serviceaccounts", false)]
    fn a_subresource_is_told_from_its_resource(#[case] pattern: &str, #[case] expected: bool) {
        assert_eq!(fits(pattern, "serviceaccounts/token"), expected);
        assert!(fits("secrets/*", "secrets") && !fits("*/token", "secrets"));
    }
}
