//! Policies that let somebody through whom the intent does not name.

use credence_core::id::Requirement;

use crate::lint::admission::Policy;
use crate::lint::identities::{Identity, named};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "identity-beyond-intent",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a policy names an identity that the intent does not",
    help: "Name it in identities of the intent, if it is the operator, of the platform team, or for emergencies; else take it out of the policy.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let identities = &context.model.intended.identities;
    let Some(at) = &identities.at else { return Vec::new() };
    let policies = Policy::all(context.config, context.model);
    let of_policy = |policy: &Policy<'_>| {
        let unknown = named(&policy.expressions);
        let unknown = unknown.into_iter().filter(|one| !one.is_of_kubernetes() && !identities.name(one.name()));
        let place = policy.place();
        let found = |identity: Identity| {
            let (kind, name) = match &identity {
                Identity::User(name) => ("user", name),
                Identity::Group(name) => ("group", name),
            };
            RULE.at(&place, format!("{kind} {name} is compared with, and the identities at {at} do not have it"))
        };
        unknown.map(found).collect::<Vec<_>>()
    };
    policies.iter().flat_map(of_policy).collect()
}
