//! Policies that let somebody pass by a part of a name.

use std::sync::LazyLock;

use credence_core::id::Requirement;
use regex::Regex;

use crate::lint::admission::Policy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "policy-exempts-by-part-of-name",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a policy lets everybody pass whose name has a part in common with somebody's",
    help: "Compare the whole name of a user or a group: anybody may have an account of the operator's name in a namespace of his own, or one in a namespace whose name begins like the operator's.",
    check,
};

/// A comparison of the user's name, with the function and its text.
static USER: LazyLock<Regex> = LazyLock::new(|| comparison(r"request\.userInfo\.username"));

/// The beginning of a question about the groups of a user, with the variable that each of them has there.
static GROUPS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"request\.userInfo\.groups\.exists\(\s*(\w+)\s*,").expect("a constant"));

/// A comparison of what an expression, which is one of regular expressions, calls a name.
fn comparison(name: &str) -> Regex {
    let comparison =
        format!(r#"\b{name}(?:\.lowerAscii\(\))?\.(startsWith|endsWith|contains|matches)\(\s*(?:"([^"]*)"|'([^']*)')"#);
    Regex::new(&comparison).expect("a constant around a name")
}

/// A comparison that more than one name passes.
struct Part<'a> {
    function: &'a str,
    text: &'a str,
    at: usize,
}

fn parts<'a>(expression: &'a str, comparison: &Regex) -> Vec<Part<'a>> {
    let found = comparison.captures_iter(expression).filter_map(|found| {
        let text = found.get(2).or_else(|| found.get(3))?.as_str();
        Some(Part { function: found.get(1)?.as_str(), text, at: found.get(0)?.start() })
    });
    found.collect()
}

/// The first comparison of an expression by which it lets somebody pass whom it need not mean. A condition lets pass whom it
/// names behind a `!`, and everything else whom it names without.
fn exempting(expression: &str, is_condition: bool) -> Option<String> {
    let lets_pass = |at: usize| expression[..at].trim_end_matches([' ', '\n', '(']).ends_with('!') == is_condition;
    let users = parts(expression, &USER).into_iter().filter(|part| !is_whole_user(part));
    let user = users.into_iter().find(|part| lets_pass(part.at));
    if let Some(Part { function, text, .. }) = user {
        return Some(format!("the user name {function} {text:?}"));
    }
    GROUPS.captures_iter(expression).find_map(|asked| {
        let whole = asked.get(0)?;
        if !lets_pass(whole.start()) {
            return None;
        }
        let inside = expression[whole.end()..].split("request.userInfo").next().unwrap_or_default();
        let group = parts(inside, &comparison(&asked[1])).into_iter().find(|part| !is_whole_group(part))?;
        Some(format!("a group {} {:?}", group.function, group.text))
    })
}

/// True if all users that pass are of one namespace, or of Kubernetes.
fn is_whole_user(part: &Part<'_>) -> bool {
    match part.function {
        // All that begins so is of the namespace, or is what another rule is about.
        "startsWith" => {
            let account = part.text.strip_prefix("system:serviceaccount:");
            account.map_or_else(|| ends_at_boundary(part.text), |rest| rest.is_empty() || rest.contains(':'))
        }
        "matches" => is_anchored(part.text),
        _ => false,
    }
}

/// True if all groups that pass have a beginning or an end in common on purpose.
fn is_whole_group(part: &Part<'_>) -> bool {
    match part.function {
        "startsWith" => ends_at_boundary(part.text),
        "matches" => is_anchored(part.text),
        _ => false,
    }
}

fn ends_at_boundary(text: &str) -> bool {
    !text.ends_with(|letter: char| letter.is_ascii_alphanumeric())
}

fn is_anchored(pattern: &str) -> bool {
    pattern.starts_with('^') && pattern.ends_with('$') && (!pattern.contains('|') || pattern.starts_with("^("))
}

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for policy in Policy::all(context.config, context.model) {
        let conditions = policy.match_conditions().find_map(|expression| exempting(expression, true));
        let found = conditions.or_else(|| policy.judgements().find_map(|expression| exempting(expression, false)));
        findings
            .extend(found.map(|part| RULE.at(&policy.place(), format!("lets everybody pass of whom {part} is true"))));
    }
    findings
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::end(r#"!request.userInfo.username.endsWith(":external-secrets")"#, true)]
    #[case::part(r#"!(request.userInfo.username.contains("external-secrets"))"#, true)]
    #[case::pattern(r#"!request.userInfo.username.matches("external-secrets:external-secrets")"#, true)]
    #[case::whole_pattern(r#"!request.userInfo.username.matches("^system:serviceaccount:a:b$")"#, false)]
    #[case::half_of_a_pattern(r#"!request.userInfo.username.matches("^a|b$")"#, true)]
    #[case::half_of_a_namespace(
        r#"!request.userInfo.username.startsWith("system:serviceaccount:external-secrets")"#,
        true
    )]
    #[case::namespace(r#"!request.userInfo.username.startsWith("system:serviceaccount:external-secrets:")"#, false)]
    #[case::all_accounts(r#"!request.userInfo.username.startsWith("system:serviceaccount:")"#, false)]
    #[case::nodes(r#"!request.userInfo.username.startsWith("system:node:")"#, false)]
    #[case::small_letters(r#"!request.userInfo.username.lowerAscii().endsWith("external-secrets")"#, true)]
    #[case::only_these(r#"request.userInfo.username.endsWith(":builder")"#, false)]
    #[case::group(r#"!request.userInfo.groups.exists(g, g.startsWith("platform"))"#, true)]
    #[case::domain_of_groups(r#"!request.userInfo.groups.exists(g, g.startsWith("oidc:platform-"))"#, false)]
    #[case::whole_group(r#"!request.userInfo.groups.exists(g, g == "platform")"#, false)]
    fn a_condition_exempts_whom_it_names_behind_a_negation(#[case] expression: &str, #[case] exempts: bool) {
        assert_eq!(exempting(expression, true).is_some(), exempts);
    }

    #[rstest]
    #[case::group(r#"request.userInfo.groups.exists(g, g.contains("admin"))"#, true)]
    #[case::refused(r#"!request.userInfo.groups.exists(g, g.contains("guest"))"#, false)]
    #[case::of_labels(r#"object.metadata.labels.all(k, !k.startsWith("secrets/"))"#, false)]
    fn a_validation_lets_pass_whom_it_names(#[case] expression: &str, #[case] exempts: bool) {
        assert_eq!(exempting(expression, false).is_some(), exempts);
    }
}
