//! Copies that the API server refuses, or the controller before it.

use std::collections::BTreeSet;

use credence_core::formats::{DOCKER_CONFIG, DOCKER_CONFIG_KEY};
use credence_core::id::Requirement;

use crate::config::spec_in;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::{Distribution, ExpectedKeys, LONGEST_KEY, is_key};

pub(super) const RULE: Rule = Rule {
    id: "copy-refused",
    requirement: Requirement::new(3, 1),
    severity: Severity::Error,
    summary: "the copy is refused, by the API server or before",
    help: "Give the copy the keys that its type asks for, under names of letters, digits, hyphens, underscores and dots: what the API server refuses is never made.",
    check,
};

/// The annotation without which a Secret with a token of a ServiceAccount is refused.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

fn check(context: &Context<'_>) -> Vec<Finding> {
    let refused = context.model.not_judged.iter().filter(|one| one.is_refused);
    let refused = refused.map(|one| RULE.at(&one.place, format!("{}: {}", one.field, one.reason)));
    let mut findings: Vec<Finding> = refused.collect();
    for distribution in &context.model.distributions {
        let ExpectedKeys::Exactly(keys) = &distribution.keys else { continue };
        // What is written into another Secret has that one's type.
        let is_made = distribution.creation_policy.makes_all();
        let of_keys = keys.iter().filter_map(|key| refused_key(key));
        let of_type = lacking(distribution, keys).filter(|_| is_made);
        findings.extend(of_keys.chain(of_type).map(|message| RULE.at(context.place(distribution), message)));
    }
    findings
}

/// Why a Secret cannot have a key, if it cannot.
fn refused_key(key: &str) -> Option<String> {
    if key.len() > LONGEST_KEY {
        return Some(format!("a key has {} characters, and 1 to {LONGEST_KEY} are allowed", key.len()));
    }
    (!is_key(key)).then(|| format!("no Secret can have the key {key:?}"))
}

/// What a Secret of a type needs and a copy does not have, if there is something.
///
/// Source: Kubernetes, `ValidateSecret` (pkg/apis/core/validation/validation.go).
fn lacking(distribution: &Distribution, keys: &BTreeSet<String>) -> Option<String> {
    let secret_type = distribution.secret_type.as_str();
    let needed: &[&str] = match secret_type {
        DOCKER_CONFIG => &[DOCKER_CONFIG_KEY],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/basic-auth" => {
            let has_one = ["username", "password"].iter().any(|key| keys.contains(*key));
            return (!has_one).then(|| format!("type {secret_type} needs username or password, and there is neither"));
        }
        "kubernetes.io/service-account-token" => {
            let annotations = &spec_in(&distribution.object)["target"]["template"]["metadata"]["annotations"];
            return annotations[ACCOUNT].is_null().then(|| format!("type {secret_type} needs annotation {ACCOUNT}"));
        }
        _ => return None,
    };
    let missing: Vec<&str> = needed.iter().copied().filter(|key| !keys.contains(*key)).collect();
    (!missing.is_empty()).then(|| format!("type {secret_type} needs {}, and it is not there", missing.join(" and ")))
}
