//! Newlines behind values that log in.

use credence_core::id::Requirement;

use std::sync::LazyLock;

use credence_core::formats::{DOCKER_CONFIG_KEY, Role, source_roles};
use regex::Regex;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "newline-after-token",
    requirement: Requirement::new(4, 1),
    severity: Severity::Warning,
    summary: "a newline behind a value that logs in",
    help: "Write the template as a block scalar that ends with a dash (>- or |-), and formats without \\n: the newline becomes part of the value.",
    check,
};

/// A format that ends with a newline.
static FORMAT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"printf\s+"[^"]*\\n"\s"#).expect("a constant"));

fn check(context: &Context<'_>) -> Vec<Finding> {
    let all = context.config.declared_distributions();
    all.flat_map(|distributed| {
        templates::of(&distributed)
            .filter(|(key, text)| leaves_a_newline(key, text))
            .map(|(key, _)| RULE.at(distributed.place, format!("template of {key} leaves a newline behind a value")))
    })
    .collect()
}

fn leaves_a_newline(key: &str, text: &str) -> bool {
    if key == DOCKER_CONFIG_KEY {
        return FORMAT.is_match(text);
    }
    let logs_in = |role: &Role| matches!(role, Role::Username | Role::Secret | Role::ClientId | Role::ClientSecret);
    // Text of several values, or with more around them, may need its lines.
    let one_value = text.strip_suffix('\n').and_then(|text| {
        let inside = text.trim_end().strip_prefix("{{")?.strip_suffix("}}")?;
        templates::is_raw(inside.trim()).then_some(())
    });
    one_value.is_some() && source_roles([key]).keys().any(logs_in)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::block("password", "{{ .token }}\n", true)]
    #[case::folded("password", "{{ .token }}", false)]
    #[case::of_a_certificate("tls.crt", "{{ .certificate }}\n", false)]
    #[case::of_a_file("password", "a: {{ .token }}\n", false)]
    #[case::in_json(".dockerconfigjson", r#"{{ printf "%s\n" .token }}"#, true)]
    #[case::between(".dockerconfigjson", r#"{{ printf "%s\n%s" .a .b }}"#, false)]
    #[case::behind_json(".dockerconfigjson", "{{ .all }}\n", false)]
    fn a_newline_behind_a_value_that_logs_in_is_told(#[case] key: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(leaves_a_newline(key, text), expected);
    }
}
