//! Policies that no ServiceAccount has to pass.

use credence_core::id::Requirement;

use crate::lint::admission::Policy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "policy-exempts-service-accounts",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a policy exempts every ServiceAccount",
    help: "Exempt the operator's ServiceAccount by its whole name.",
    check,
};

/// Conditions without white space that no request of a ServiceAccount meets.
const EXEMPTIONS: [&str; 4] = [
    r#"!request.userInfo.username.startsWith("system:serviceaccount:")"#,
    r#"!(request.userInfo.username.startsWith("system:serviceaccount:"))"#,
    r#"!request.userInfo.groups.exists(g,g=="system:serviceaccounts")"#,
    r#"!("system:serviceaccounts"inrequest.userInfo.groups)"#,
];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let exempts = |expression: &str| {
        let bare: String = expression.chars().filter(|c| !c.is_whitespace()).collect();
        EXEMPTIONS.contains(&bare.replace('\'', "\"").as_str())
    };
    let policies = Policy::all(context.config, context.model);
    let exempting = policies.iter().filter(|policy| policy.match_conditions().any(exempts));
    let message = "a match condition exempts every ServiceAccount, and not only the operator's";
    exempting.map(|policy| RULE.at(&policy.place(), message)).collect()
}
