//! A first intent, from what the manifests say: a file to correct, and not one to believe.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use credence_core::labels::Labels;
use serde_json::Value;

use crate::config::Config;
use crate::lint::{Identity, named_in};
use crate::model::{Distribution, Model};
use crate::selector::{LabelSelector, NAME_LABEL, OPT_IN_VALUE};

const HEAD: &str = "\
# The intent of this configuration: what its manifests cannot say of themselves. Written by `credence init` from what it found,
# so that it says no more than they do: correct it, and add what is missing. Fields: `credence init --schema`.
apiVersion: credence/v1
kind: Intent

# Who must have what, and who must not. Only examples tell a selector that asks for both of two labels from one that takes
# either.
";

/// The text of a first intent.
pub fn first(config: &Config, model: &Model) -> String {
    let mut text = HEAD.to_owned();
    let examples: String = model.distributions.iter().map(examples).collect();
    // Where nobody can get anything there are remarks alone, and no field may be empty.
    if examples.lines().any(|line| !line.starts_with('#')) {
        text.push_str("examples:\n");
    }
    text.push_str(&examples);
    let protected = protected(model);
    if !protected.is_empty() {
        text.push_str("\n# Namespaces that no copy may ever reach, beside those of Kubernetes.\n");
        line(&mut text, &format!("protectedNamespaces: [{}]", list(&protected)));
    }
    text.push_str(&identities(config));
    text
}

/// An example of a namespace for each way to get the copies of a distribution, and one of a namespace that does not.
fn examples(distribution: &Distribution) -> String {
    let mut text = String::new();
    let mut add = |name: Option<&str>, labels: &Labels, field: &str| {
        let name = name.map(|name| format!("name: {}", scalar(name)));
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{}: {}", scalar(key), scalar(value))).collect();
        let labels = format!("labels: {{{}}}", labels.join(", "));
        let namespace: Vec<String> = name.into_iter().chain([labels]).collect();
        let example =
            format!("- namespace: {{{}}}\n  {field}: [{}]\n", namespace.join(", "), scalar(&distribution.name));
        // Two selectors may ask for the same.
        if !text.contains(&example) {
            text.push_str(&example);
        }
    };
    let by_labels = distribution.opt_in_labels().into_iter().map(|labels| (None, labels));
    let by_name = distribution.named_ways().into_iter().map(|(names, labels)| (names.into_iter().next(), labels));
    let ways: Vec<(Option<String>, Labels)> = by_labels.chain(by_name).collect();
    let Some((name, asking)) = ways.first() else {
        return format!("# Nobody can get {}.\n", distribution.name);
    };
    for (name, asking) in &ways {
        add(name.as_deref(), asking, "mustHave");
    }
    match opt_out(distribution, name.as_deref(), asking) {
        Some((name, labels)) => add(name.as_deref(), &labels, "mustNotHave"),
        None => line(&mut text, &format!("# Every namespace gets {}.", distribution.name)),
    }
    text
}

/// A namespace that is like one that asks, and does not: of any name, with labels that are other or fewer, or with a name that is
/// excluded.
fn opt_out(distribution: &Distribution, name: Option<&str>, asking: &Labels) -> Option<(Option<String>, Labels)> {
    let mut tried = Vec::new();
    if name.is_some() {
        tried.push((None, asking.clone()));
    }
    for key in asking.keys().rev() {
        let mut fewer = asking.clone();
        fewer.remove(key);
        tried.push((None, fewer));
    }
    tried.push((None, Labels::new()));
    for (key, value) in distribution.selection.selectors.iter().flat_map(LabelSelector::excluded) {
        match value {
            Some(name) if key == NAME_LABEL => tried.push((Some(name.to_owned()), asking.clone())),
            value => {
                let mut more = asking.clone();
                more.insert(key.to_owned(), value.unwrap_or(OPT_IN_VALUE).to_owned());
                tried.push((None, more));
            }
        }
    }
    tried.into_iter().find(|(name, labels)| distribution.gives(name.as_deref(), labels).is_err())
}

/// The namespaces of sources, unless a distribution is for one by its name.
fn protected(model: &Model) -> BTreeSet<String> {
    let named: BTreeSet<String> =
        model.distributions.iter().flat_map(Distribution::named_ways).flat_map(|(names, _)| names).collect();
    let of_sources = model.secret_sources().map(|source| source.namespace.clone());
    of_sources.filter(|namespace| !named.contains(namespace)).collect()
}

/// Subjects that may do what tenants may not, as policies and bindings have it.
fn identities(config: &Config) -> String {
    let (mut users, mut groups) = (BTreeSet::new(), administrators(config));
    for identity in named_in(config).into_iter().filter(|one| !one.is_of_kubernetes()) {
        match identity {
            Identity::User(name) => users.insert(name),
            Identity::Group(name) => groups.insert(name),
        };
    }
    let is_operator = |name: &&String| name.starts_with("system:serviceaccount:") && name.contains("external-secrets");
    let operator = users.iter().find(is_operator).cloned();
    users.retain(|name| Some(name) != operator.as_ref());
    if operator.is_none() && users.is_empty() && groups.is_empty() {
        return String::new();
    }
    let mut text =
        "\n# Who may do what tenants may not, as policies and bindings to cluster-admin name them.\nidentities:\n"
            .to_owned();
    if let Some(operator) = operator {
        line(&mut text, &format!("  operator: {}", scalar(&operator)));
    }
    if !groups.is_empty() {
        line(&mut text, &format!("  platformGroups: [{}]", list(&groups)));
    }
    if !users.is_empty() {
        text.push_str("  # Who may write copies by hand in an emergency; take out whom you do not know.\n");
        line(&mut text, &format!("  breakGlass: {{users: [{}]}}", list(&users)));
    }
    text
}

/// The groups that the configuration makes administrators of the cluster.
fn administrators(config: &Config) -> BTreeSet<String> {
    let bindings = config.of_kind("rbac.authorization.k8s.io", "ClusterRoleBinding");
    let of_administrators = bindings
        .filter(|binding| binding.object.pointer("/roleRef/name").and_then(Value::as_str) == Some("cluster-admin"));
    let subjects = of_administrators.filter_map(|binding| binding.object.get("subjects")?.as_array()).flatten();
    let groups = subjects.filter(|subject| subject["kind"] == "Group").filter_map(|subject| subject["name"].as_str());
    groups.filter(|group| !group.starts_with("system:")).map(str::to_owned).collect()
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", ")
}

/// A text as YAML reads it back, within brackets too: quoted where it could be anything else.
fn scalar(text: &str) -> String {
    const OTHERWISE: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"];
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter))
        && !OTHERWISE.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

fn line(text: &mut String, line: &str) {
    // A string takes everything.
    writeln!(text, "{line}").ok();
}
