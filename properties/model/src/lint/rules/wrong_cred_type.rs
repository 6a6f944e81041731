//! Values of Kargo's label that it overlooks, or that do not fit the repository.

use credence_core::id::Requirement;

use std::sync::LazyLock;

use credence_core::formats::KARGO_LABEL;
use regex::Regex;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "wrong-cred-type",
    requirement: Requirement::new(4, 2),
    severity: Severity::Error,
    summary: "a credential type of Kargo that its repository cannot have",
    help: "Set kargo.akuity.io/cred-type to git, helm, image or generic, as fits repoURL: Kargo looks for each type by its own kind of URL, and an image has no scheme.",
    check,
};

const KNOWN: [&str; 4] = ["generic", "git", "helm", "image"];

/// The anchored beginning of a pattern that is a host and a path, without a scheme or a user.
static HOST: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\^[\w-]+(?:\\?\.[\w-]+)+(?::\d+)?/").expect("a constant"));

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        let template = distributed.spec.target.template.as_ref();
        let labels = template.map(|template| template.labels());
        let Some(value) = labels.and_then(|labels| labels.get(KARGO_LABEL)).filter(|value| !value.contains("{{"))
        else {
            continue;
        };
        let url = templates::literal(&distributed, "repoURL");
        let message = match (value.as_str(), url) {
            ("git", Some(url)) if HOST.is_match(url) => {
                "repoURL matches no Git URL, which has a scheme or a user".to_owned()
            }
            ("image", Some(url)) if is_of_git(url) => "repoURL matches no image, which has no scheme".to_owned(),
            (value, _) if !KNOWN.contains(&value) => format!("label {KARGO_LABEL} is {value:?}, which Kargo overlooks"),
            _ => continue,
        };
        findings.push(RULE.at(distributed.place, message));
    }
    findings
}

fn is_of_git(url: &str) -> bool {
    let url = url.strip_prefix('^').unwrap_or(url);
    ["https://", "http://", "ssh://", "git@"].iter().any(|start| url.starts_with(start))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_an_image(r"^ghcr\.io/example-org/", true)]
    #[case::with_a_port(r"^registry\.example\.org:5000/a", true)]
    #[case::of_git(r"^https://github\.com/example-org/", false)]
    #[case::of_either(r"^(https://)?github\.com/", false)]
    #[case::of_a_user(r"^git@github\.com:", false)]
    #[case::anywhere(r"github\.com/example-org/", false)]
    fn a_host_at_the_anchor_is_no_git_url(#[case] pattern: &str, #[case] expected: bool) {
        assert_eq!(HOST.is_match(pattern), expected);
    }
}
