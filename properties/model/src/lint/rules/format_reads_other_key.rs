//! Passwords that are read from the key of the user name.

use credence_core::id::Requirement;

use std::sync::LazyLock;

use credence_core::formats::{DOCKER_CONFIG_KEY, Role, source_roles};
use regex::Regex;

use crate::config::SourceRef;
use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Distribution;

pub(super) const RULE: Rule = Rule {
    id: "format-reads-other-key",
    requirement: Requirement::new(3, 2),
    severity: Severity::Warning,
    summary: "a password is read from the key of the user name",
    help: "Read the password from the key that holds it; all formats of one source must agree.",
    check,
};

/// The password of a registry as the documentation has it.
static PASSWORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""password"\s+\.(\w+)"#).expect("a constant"));

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        let fields = distribution.fields.iter().filter(|field| reads_password(&field.secret_key));
        let fields =
            fields.filter_map(|field| Some((field.secret_key.as_str(), &field.source, field.property.as_deref()?)));
        let copied = distribution.verbatim.iter().filter(|(key, _)| reads_password(key));
        let copied = copied.map(|(key, (source, property))| (key.as_str(), source, property.as_str()));
        let all = fields.chain(copied).chain(registries(context, distribution));
        let mistaken = all.into_iter().find(|(_, source, property)| is_mistaken(context, source, property));
        if let Some((key, source, property)) = mistaken {
            let message = format!("{key} is read from key {property} of {source}, and the source has a password");
            findings.push(RULE.at(context.place(distribution), message));
        }
    }
    findings
}

fn role(key: &str) -> Option<Role> {
    source_roles([key]).into_keys().next()
}

fn reads_password(key: &str) -> bool {
    role(key) == Some(Role::Secret)
}

/// The passwords of registries that are composed of one value each.
fn registries<'a>(
    context: &Context<'a>,
    distribution: &'a Distribution,
) -> Option<(&'static str, &'a SourceRef, &'a str)> {
    let distributed = context.config.declared(&distribution.name)?;
    let (_, text) = templates::of(&distributed).find(|(key, _)| *key == DOCKER_CONFIG_KEY)?;
    let mut read = PASSWORD.captures_iter(text).filter_map(|found| {
        let field = distribution.fields.iter().find(|field| field.secret_key == found[1])?;
        Some((DOCKER_CONFIG_KEY, &field.source, field.property.as_deref()?))
    });
    read.find(|(_, source, property)| is_mistaken(context, source, property))
}

fn is_mistaken(context: &Context<'_>, source: &SourceRef, property: &str) -> bool {
    let Some(source) = context.model.sources.get(source) else { return false };
    // Some servers take a token as the user name, and none a user name as the password; and the source must have both.
    role(property) == Some(Role::Username) && source.keys.iter().any(|key| role(key) == Some(Role::Secret))
}
