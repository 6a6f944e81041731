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

/// Beginning of the names of all ServiceAccounts.
const ACCOUNT: &str = "system:serviceaccount:";

/// Conditions without white space that no request of a ServiceAccount meets.
const EXEMPTIONS: [&str; 4] = [
    r#"!request.userInfo.groups.exists(g,g=="system:serviceaccounts")"#,
    r#"!("system:serviceaccounts"inrequest.userInfo.groups)"#,
    r#"!request.userInfo.groups.exists(g,g=="system:authenticated")"#,
    r#"!("system:authenticated"inrequest.userInfo.groups)"#,
];

/// The beginning of the names that a condition without white space exempts.
fn exempt_beginning(bare: &str) -> Option<&str> {
    let inner = bare.strip_prefix('!')?;
    let inner = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(inner);
    inner.strip_prefix(r#"request.userInfo.username.startsWith(""#)?.strip_suffix(r#"")"#)
}

fn check(context: &Context<'_>) -> Vec<Finding> {
    let exempts = |expression: &str| {
        let bare: String = expression.chars().filter(|c| !c.is_whitespace()).collect();
        let bare = bare.replace('\'', "\"");
        EXEMPTIONS.contains(&bare.as_str())
            || exempt_beginning(&bare).is_some_and(|beginning| ACCOUNT.starts_with(beginning))
    };
    let policies = Policy::all(context.config, context.model);
    let exempting = policies.iter().filter(|policy| policy.match_conditions().any(exempts));
    let message = "a match condition exempts every ServiceAccount, and not only the operator's";
    exempting.map(|policy| RULE.at(&policy.place(), message)).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all_accounts(r#"!request.userInfo.username.startsWith("system:serviceaccount:")"#, true)]
    #[case::all_of_the_system(r#"!(request.userInfo.username.startsWith("system:"))"#, true)]
    #[case::of_one_namespace(r#"!request.userInfo.username.startsWith("system:serviceaccount:kube-system:")"#, false)]
    #[case::nodes(r#"!request.userInfo.username.startsWith("system:node:")"#, false)]
    #[case::only_accounts(r#"request.userInfo.username.startsWith("system:serviceaccount:")"#, false)]
    fn a_beginning_that_all_accounts_have_exempts_them_all(#[case] condition: &str, #[case] exempts: bool) {
        assert_eq!(exempt_beginning(condition).is_some_and(|beginning| ACCOUNT.starts_with(beginning)), exempts);
    }
}
