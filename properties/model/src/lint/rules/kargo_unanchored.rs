//! Patterns of Kargo that are for look-alikes as well.

use credence_core::id::Requirement;

use credence_core::formats::KARGO_LABEL;
use credence_core::kargo_lookup::{CredentialKind, Rule as KargoRule};
use credence_core::scope::Scope;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "kargo-unanchored",
    requirement: Requirement::new(4, 2),
    severity: Severity::Warning,
    summary: "Kargo sends the credential to look-alikes of the repositories",
    help: "Begin the pattern with ^ and the scheme, if there is one, write each dot as \\., and end host and owner with a slash: Kargo searches it anywhere in a URL.",
    check,
};

/// The name of a repository that patterns for all of an owner's take.
const ANY: &str = "app";

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        let template = distributed.spec.target.template.as_ref();
        let kind = template.and_then(|template| template.labels().get(KARGO_LABEL));
        let kind = match kind.map(String::as_str) {
            Some("git") => CredentialKind::Git,
            Some("image") => CredentialKind::Image,
            _ => continue,
        };
        let is_regex = templates::literal(&distributed, "repoURLIsRegex") == Some("true");
        let Some(pattern) = templates::literal(&distributed, "repoURL").filter(|_| is_regex) else { continue };
        let branches = alternatives(pattern);
        let found = branches.iter().find_map(|branch| for_others(kind, branch)).or_else(|| {
            let open = branches.iter().find(|branch| branches.len() > 1 && !branch.starts_with('^'))?;
            Some(format!("repoURL is for every repository in whose URL {open:?} is found"))
        });
        findings.extend(found.map(|message| RULE.at(distributed.place, message)));
    }
    findings
}

/// A repository of others that a pattern is for; none for a pattern that spells out no repository and is not for that of a stranger:
/// it is not understood.
fn for_others(kind: CredentialKind, pattern: &str) -> Option<String> {
    let rule = KargoRule::new(kind, pattern, true);
    let Some(example) = rule.example(ANY) else {
        return rule
            .accepts(stranger(kind))
            .then(|| format!("repoURL is for whatever there is, such as {}", stranger(kind)));
    };
    let scope = Scope::Kargo { kind, repo_url: pattern.to_owned(), is_regex: true };
    let other = scope.let_in(&example).into_iter().next()?;
    Some(format!("repoURL, which is for {example}, is for {} as well: {}", other.what, other.url))
}

/// A repository on a host of which nobody writes.
fn stranger(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Image => "stranger.test/somebody/app",
        _ => "https://stranger.test/somebody/app",
    }
}

/// The alternatives of a pattern, outside of groups and classes. An anchor is of one of them alone.
fn alternatives(pattern: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth, mut is_escaped) = (Vec::new(), 0, 0_u32, false);
    for (at, letter) in pattern.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                found.push(&pattern[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&pattern[start..]);
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn alternatives_are_those_outside_of_groups() {
        assert_eq!(alternatives(r"^a/|b\|c|(d|e)[|]"), ["^a/", r"b\|c", "(d|e)[|]"]);
    }

    #[test]
    fn a_dot_that_takes_any_letter_is_for_look_alikes() {
        let others = |pattern| for_others(CredentialKind::Git, pattern);
        assert!(others("^https://github.com/example-org/").is_some());
        assert_eq!(others(r"^https://github\.com/example-org/"), None);
    }

    #[rstest]
    #[case::everything(".*", true)]
    #[case::every_https("^https://", true)]
    #[case::any_host("^https://[^/]+/example-org/", false)]
    #[case::everything_by_a_class("^[^ ]+$", true)]
    fn a_pattern_that_spells_out_no_repository_is_told_if_it_is_for_a_stranger(
        #[case] pattern: &str,
        #[case] expected: bool,
    ) {
        let stranger = for_others(CredentialKind::Git, pattern).is_some_and(|told| told.contains("whatever there is"));
        assert_eq!(stranger, expected);
    }
}
