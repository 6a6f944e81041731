//! Policies that leave a way round by an ExternalSecret of a tenant.

use credence_core::id::Requirement;
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;

use crate::lint::admission::{self, Duty, Policy};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "own-external-secrets-unchecked",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a tenant may let the operator make a credential",
    help: "Refuse ExternalSecrets whose Secret the policy about hand-made credentials would refuse: the operator, which writes it, is exempt there.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions = &context.model.distributions;
    let policies = Policy::all(context.config, context.model);
    let denying = |duty: Duty| -> Vec<&Policy<'_>> {
        policies.iter().filter(|policy| policy.duty == duty && policy.denies()).collect()
    };
    let (policies_that_deny, readers) = (denying(Duty::Copies), denying(Duty::Readers));
    let unreserved = admission::unnamed(distributions, &policies_that_deny);
    let judging = policies
        .iter()
        .filter(|policy| policy.denies() && !policy.operations(EXTERNAL_SECRETS_GROUP, "externalsecrets").is_empty());
    let unchecked = admission::unnamed(distributions, &judging.collect::<Vec<_>>());
    let names: Vec<&str> = unchecked.into_iter().filter(|name| !unreserved.contains(name)).collect();
    // Without a policy about readers, tenants may have no right to make an ExternalSecret at all.
    let reader = readers.first().filter(|_| !names.is_empty());
    let message = format!("lets an ExternalSecret of a tenant make {}, which are reserved names", names.join(", "));
    reader.map(|policy| RULE.at(&policy.place(), message)).into_iter().collect()
}
