//! Passwords that are read from the key of the user name.

use credence_core::id::Requirement;

use credence_core::formats::{Role, source_roles};

use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Field;

pub(super) const RULE: Rule = Rule {
    id: "format-reads-other-key",
    requirement: Requirement::new(3, 2),
    severity: Severity::Warning,
    summary: "a password is read from the key of the user name",
    help: "Read the password from the key that holds it; all formats of one source must agree.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions = context.model.distributions.iter();
    distributions
        .flat_map(|distribution| distribution.fields.iter().map(move |field| (distribution, field)))
        .filter(|(_, field)| is_mistaken(context, field))
        .map(|(distribution, field)| {
            let Field { secret_key, source, property, .. } = field;
            let property = property.as_deref().unwrap_or_default();
            let message =
                format!("{secret_key} is read from key {property} of {source}, and the source has a password");
            RULE.at(context.place(distribution), message)
        })
        .collect()
}

fn is_mistaken(context: &Context<'_>, field: &Field) -> bool {
    let role = |key: &str| source_roles([key]).into_keys().next();
    let Some(property) = &field.property else { return false };
    let Some(source) = context.model.sources.get(&field.source) else { return false };
    // Some servers take a token as the user name, and none a user name as the password; and the source must have both.
    role(&field.secret_key) == Some(Role::Secret)
        && role(property) == Some(Role::Username)
        && source.keys.iter().any(|key| role(key) == Some(Role::Secret))
}
