//! Templates of JSON that write values as they are.

use credence_core::id::Requirement;

use serde_json::Value;

use crate::config::{Config, DeclaredDistribution, Generator, GeneratorRef, makes_tokens};
use crate::lint::templates::{self, Segment};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "raw-values-in-json",
    requirement: Requirement::new(3, 3),
    severity: Severity::Warning,
    summary: "values are pasted into JSON",
    help: "Build the JSON with dict and toJson: a quote or a backslash in a value breaks pasted text, or adds keys to it.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let all = context.config.declared_distributions();
    all.filter(|distributed| !has_only_tokens(context.config, distributed))
        .flat_map(|distributed| {
            templates::of(&distributed).filter_map(|(key, text)| {
                let action = pasted(text)?;
                let message = format!(
                    "template of {key} pastes {{{{ {action} }}}} into JSON, and a quote in the value breaks it"
                );
                Some(RULE.at(distributed.place, message))
            })
        })
        .collect()
}

/// True if all that a template can paste are tokens of services, none of which has a character that JSON escapes.
fn has_only_tokens(config: &Config, distributed: &DeclaredDistribution<'_>) -> bool {
    let is_of_tokens = |reference: &GeneratorRef| {
        let named = Generator::named(config, reference, distributed.namespace);
        // The kind tells it of one that is elsewhere, too.
        named.map_or_else(|| makes_tokens(&reference.kind), |generator| makes_tokens(generator.kind))
    };
    distributed.spec.reads_only_generators() && distributed.spec.generators().all(is_of_tokens)
}

/// The first value that a template writes into a JSON text as it is. Outside of texts it may be JSON itself.
fn pasted(text: &str) -> Option<&str> {
    let plain = templates::plain_actions(text);
    let mut filled = String::new();
    let mut found = None;
    for segment in templates::segments(text)? {
        match segment {
            Segment::Text(text) => filled.push_str(text),
            Segment::Action(action) => {
                if is_in_text(&filled) && templates::is_raw(action) && plain.contains(&action) {
                    found = found.or(Some(action));
                }
                // A digit is JSON inside of texts and outside of them.
                filled.push('0');
            }
        }
    }
    let is_json = serde_json::from_str::<Value>(&filled).is_ok_and(|value| value.is_object() || value.is_array());
    found.filter(|_| is_json)
}

/// True if a JSON text is open behind the beginning of a document.
fn is_in_text(beginning: &str) -> bool {
    let (mut is_open, mut is_escaped) = (false, false);
    for c in beginning.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_open = !is_open,
            _ => {}
        }
    }
    is_open
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::in_quotes(r#"{"a": "{{ .b }}"}"#, Some(".b"))]
    #[case::json_itself(r#"{"a": {{ .b }}}"#, None)]
    #[case::behind_an_escape(r#"{"a\"": "{{ .b }}"}"#, Some(".b"))]
    #[case::in_a_list(r#"["x", "{{ index . "b" }}"]"#, Some(r#"index . "b""#))]
    #[case::encoded(r#"{"a": {{ .b | toJson }}, "c": "{{ .d | b64enc }}"}"#, None)]
    #[case::no_json("{{ .a }}", None)]
    #[case::a_url("https://{{ .host }}/", None)]
    fn only_raw_values_inside_of_json_are_pasted(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(pasted(text), expected);
    }
}
