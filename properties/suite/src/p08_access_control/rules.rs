//! Rights of an account by its whole rules, beyond what it needs. Pure.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::authorization::v1::ResourceRule;

/// One verb on one kind, perhaps on objects of one name alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    verb: String,
    group: String,
    resource: String,
    name: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, group, resource, name } = self;
        write!(f, "{verb} {resource}")?;
        if !group.is_empty() {
            write!(f, ".{group}")?;
        }
        name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

/// One right for each group, resource, name and verb that a rule lists.
pub(super) fn rights(rules: &[ResourceRule]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in rules {
        let names: Vec<Option<&String>> = match rule.resource_names.as_deref() {
            None | Some([]) => vec![None],
            Some(names) => names.iter().map(Some).collect(),
        };
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for (verb, name) in rule.verbs.iter().flat_map(|verb| names.iter().map(move |name| (verb, *name))) {
                    let (verb, group, resource) = (verb.clone(), group.clone(), resource.clone());
                    rights.insert(Right { verb, group, resource, name: name.cloned() });
                }
            }
        }
    }
    rights
}

impl Right {
    /// True if it opens something, or changes something: reading what is no Secret opens nothing, and what everybody may ask
    /// about itself neither. A subresource can be more than it reads like: whoever may get `pods/exec` has the pod.
    pub(super) fn opens(&self) -> bool {
        let reads = ["get", "list", "watch"].contains(&self.verb.as_str());
        let is_secret = self.resource == "secrets" && self.group.is_empty();
        let is_wide = self.resource.contains('*') || self.group == "*";
        let is_part = self.resource.contains('/') && !self.resource.ends_with("/status");
        let is_own = self.verb == "create"
            && ["authorization.k8s.io", "authentication.k8s.io"].contains(&self.group.as_str())
            && self.resource.starts_with("self");
        !is_own && (!reads || is_secret || is_wide || is_part)
    }

    /// True if it is to get one of the Secrets of these names.
    pub(super) fn gets(&self, names: &BTreeSet<&str>) -> bool {
        let named = self.name.as_ref().is_some_and(|name| names.contains(name.as_str()));
        self.verb == "get" && self.group.is_empty() && self.resource == "secrets" && named
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn right(verb: &str, resource: &str, name: Option<&str>) -> Right {
        let group = if resource.starts_with("self") { "authorization.k8s.io" } else { "" };
        let rule = ResourceRule {
            api_groups: Some(vec![group.to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            resource_names: name.map(|name| vec![name.to_owned()]),
            verbs: vec![verb.to_owned()],
        };
        rights(&[rule]).pop_first().unwrap()
    }

    #[rstest]
    #[case::watch("watch", "secrets", true)]
    #[case::write("update", "secrets", true)]
    #[case::token("create", "serviceaccounts/token", true)]
    #[case::impersonate("impersonate", "users", true)]
    #[case::bind("bind", "clusterroles", true)]
    #[case::escalate("escalate", "roles", true)]
    #[case::exec("get", "pods/exec", true)]
    #[case::node("get", "nodes/proxy", true)]
    #[case::everything("get", "*", true)]
    #[case::other_kind("list", "configmaps", false)]
    #[case::status("get", "namespaces/status", false)]
    #[case::about_itself("create", "selfsubjectrulesreviews", false)]
    fn a_right_opens_what_is_not_read_as_such(#[case] verb: &str, #[case] resource: &str, #[case] expected: bool) {
        assert_eq!(right(verb, resource, None).opens(), expected);
    }

    #[test]
    fn only_getting_a_named_source_is_what_a_store_needs() {
        let own = BTreeSet::from(["a"]);
        assert!(right("get", "secrets", Some("a")).gets(&own));
        assert!(!right("get", "secrets", Some("b")).gets(&own));
        assert!(!right("get", "secrets", None).gets(&own));
        assert!(!right("watch", "secrets", Some("a")).gets(&own));
        assert_eq!(right("watch", "secrets", Some("a")).to_string(), "watch secrets a");
    }
}
