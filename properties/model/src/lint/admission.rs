//! ValidatingAdmissionPolicies that guard the distribution, told by what they judge and what their expressions name.
//!
//! A policy whose expressions name nothing of the configuration is somebody else's, and no rule speaks of it.

use std::collections::BTreeSet;

use credence_core::manifest::Manifest;
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use serde_json::Value;

use crate::config::{Config, OPAQUE, SourcePosition};
use crate::model::{Distribution, Model};

const GROUP: &str = "admissionregistration.k8s.io";

/// Functions of templates that reach out of their namespace.
const DANGEROUS_FUNCTIONS: [&str; 2] = ["getSecretKey", "getHostByName"];

/// The thing that a policy guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Secrets that look like copies.
    Copies,
    /// Labels by which namespaces ask.
    Labels,
    /// ExternalSecrets that read a central store.
    Readers,
    /// Stores, and what distributes.
    Stores,
    Templates,
}

impl Duty {
    /// The guarded thing in words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Copies => "hand-made credentials",
            Self::Labels => "labels of namespaces",
            Self::Readers => "readers of the central store",
            Self::Stores => "stores of tenants",
            Self::Templates => "dangerous templates",
        }
    }
}

/// A policy with its bindings.
pub(super) struct Policy<'a> {
    /// The policy as it is written.
    pub(super) manifest: &'a Manifest,
    /// The thing that it guards.
    pub(super) duty: Duty,
    /// All expressions of the policy in one text, in which names are searched.
    pub(super) expressions: String,
    bindings: Vec<&'a Manifest>,
}

impl<'a> Policy<'a> {
    /// Every policy of a configuration that guards something of it.
    pub(super) fn all(config: &'a Config, model: &Model) -> Vec<Self> {
        policies(config).filter_map(|manifest| Self::of(config, model, manifest)).collect()
    }

    fn of(config: &'a Config, model: &Model, manifest: &'a Manifest) -> Option<Self> {
        let expressions = expressions(&manifest.object);
        let duty = duty(model, manifest, &expressions)?;
        let binds = |binding: &&Manifest| {
            binding.object.pointer("/spec/policyName").and_then(Value::as_str) == Some(manifest.name())
        };
        let bindings = config.of_kind(GROUP, "ValidatingAdmissionPolicyBinding").filter(binds).collect();
        Some(Self { manifest, duty, expressions, bindings })
    }

    /// Its place in the files.
    pub(super) fn place(&self) -> SourcePosition {
        SourcePosition::of(self.manifest)
    }

    /// True if nothing binds it. One with parameters may be bound where those are.
    pub(super) fn is_unbound(&self) -> bool {
        self.bindings.is_empty() && self.manifest.object.pointer("/spec/paramKind").is_none()
    }

    /// True if a binding refuses what it finds.
    pub(super) fn denies(&self) -> bool {
        self.bindings.iter().any(|binding| texts(&binding.object["spec"], "validationActions").any(|one| one == "Deny"))
    }

    /// The bindings, if there are some and none refuses.
    pub(super) fn toothless(&self) -> &[&'a Manifest] {
        if self.denies() { &[] } else { &self.bindings }
    }

    /// The operations on a resource that it judges.
    pub(super) fn operations(&self, group: &str, resource: &str) -> BTreeSet<&'a str> {
        operations(self.manifest, group, resource)
    }

    /// The expressions that must all hold before it is asked.
    pub(super) fn match_conditions(&self) -> impl Iterator<Item = &'a str> {
        let conditions = self.manifest.object.pointer("/spec/matchConditions").and_then(Value::as_array);
        conditions.into_iter().flatten().filter_map(|condition| condition["expression"].as_str())
    }

    /// The expressions that decide, and those that these are made of.
    pub(super) fn judgements(&self) -> impl Iterator<Item = &'a str> {
        let parts = ["/spec/variables", "/spec/validations"];
        let lists = parts.into_iter().filter_map(|part| self.manifest.object.pointer(part)?.as_array());
        lists.flatten().filter_map(|one| one["expression"].as_str())
    }

    /// Its own selectors of this name, and those of its bindings.
    pub(super) fn selectors(&self, name: &str) -> Vec<&'a Value> {
        let own = self.manifest.object.pointer("/spec/matchConstraints").and_then(|part| part.get(name));
        let bound = self.bindings.iter().filter_map(|one| one.object.pointer("/spec/matchResources")?.get(name));
        own.into_iter().chain(bound).collect()
    }

    /// True if an expression has `text` as a quoted text.
    pub(super) fn names(&self, text: &str) -> bool {
        quotes(&self.expressions, text)
    }
}

/// The names of Secrets of `distributions` that none of the `policies` names.
pub(super) fn unnamed<'a>(distributions: &'a [Distribution], policies: &[&Policy<'_>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = distributions.iter().map(|distribution| distribution.secret.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !policies.iter().any(|policy| policy.names(name)));
    names
}

fn duty(model: &Model, policy: &Manifest, expressions: &str) -> Option<Duty> {
    let judges = |group: &str, resource: &str| !operations(policy, group, resource).is_empty();
    if judges(EXTERNAL_SECRETS_GROUP, "externalsecrets") {
        if DANGEROUS_FUNCTIONS.iter().any(|function| expressions.contains(function)) {
            return Some(Duty::Templates);
        }
        if quotes(expressions, "ClusterSecretStore") {
            return Some(Duty::Readers);
        }
    }
    if ["clustersecretstores", "clusterexternalsecrets"].iter().any(|kind| judges(EXTERNAL_SECRETS_GROUP, kind)) {
        return Some(Duty::Stores);
    }
    if judges("", "namespaces") && names_a_label(model, expressions) {
        return Some(Duty::Labels);
    }
    let is_of_copies = || model.distributions.iter().any(|distribution| names_a_copy(distribution, expressions));
    (judges("", "secrets") && is_of_copies()).then_some(Duty::Copies)
}

/// True for expressions that name a label by which namespaces ask, or the prefix of one.
fn names_a_label(model: &Model, expressions: &str) -> bool {
    model.label_vocabulary().into_iter().any(|key| {
        let prefix = key.split_once('/').map(|(prefix, _)| format!("{prefix}/"));
        quotes(expressions, key) || prefix.is_some_and(|prefix| quotes(expressions, &prefix))
    })
}

/// True for expressions that name the copies of a distribution, or their type, or a label of theirs with its value.
fn names_a_copy(distribution: &Distribution, expressions: &str) -> bool {
    let has_type = distribution.secret_type != OPAQUE && quotes(expressions, &distribution.secret_type);
    let has_label =
        || distribution.labels.iter().any(|(key, value)| quotes(expressions, key) && quotes(expressions, value));
    quotes(expressions, &distribution.secret) || has_type || has_label()
}

fn operations<'a>(policy: &'a Manifest, group: &str, resource: &str) -> BTreeSet<&'a str> {
    let rules = policy.object.pointer("/spec/matchConstraints/resourceRules").and_then(Value::as_array);
    let judging = rules.into_iter().flatten().filter(|rule| {
        texts(rule, "apiGroups").any(|one| one == group || one == "*")
            && texts(rule, "resources").any(|one| one == resource || one == "*" || one == "*/*")
    });
    let all = judging.flat_map(|rule| texts(rule, "operations"));
    all.flat_map(|one| if one == "*" { vec!["CREATE", "UPDATE", "DELETE", "CONNECT"] } else { vec![one] }).collect()
}

/// The texts of a list.
pub(super) fn texts<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    object.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Every policy of a configuration.
pub(super) fn policies(config: &Config) -> impl Iterator<Item = &Manifest> {
    config.of_kind(GROUP, "ValidatingAdmissionPolicy")
}

/// All expressions of a policy.
pub(super) fn expressions(policy: &Value) -> String {
    let parts = ["matchConditions", "variables", "validations"];
    let lists = parts.iter().filter_map(|part| policy.get("spec")?.get(part)?.as_array());
    let all: Vec<&str> = lists.flatten().filter_map(|one| one["expression"].as_str()).collect();
    all.join("\n")
}

fn quotes(expressions: &str, text: &str) -> bool {
    expressions.contains(&format!("\"{text}\"")) || expressions.contains(&format!("'{text}'"))
}
