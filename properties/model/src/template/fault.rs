//! Templates that External Secrets Operator cannot parse, so that the copy is never made.
//!
//! Source: Go, text/template/parse, as far as it is told here: actions, blocks, and names of functions.

use credence_core::text::nearest;

use super::lexer::{Part, Token, parts};

/// All functions that a template has in any version of External Secrets Operator: those of Go's text/template, of Sprig without
/// `env` and `expandenv`, and its own (pkg/template/v2/template.go).
const FUNCTIONS: &str = include_str!("names.txt");

/// Words that are no functions.
const KEYWORDS: [&str; 13] =
    ["block", "break", "continue", "define", "else", "end", "false", "if", "nil", "range", "template", "true", "with"];

/// Keywords that an `end` ends.
const BLOCKS: [&str; 5] = ["block", "define", "if", "range", "with"];

/// Names that people know from elsewhere, with what they mean here.
const KNOWN_ELSEWHERE: [(&str, &str); 8] = [
    ("base64", "b64enc"),
    ("base64decode", "b64dec"),
    ("base64encode", "b64enc"),
    ("decode", "b64dec"),
    ("encode", "b64enc"),
    ("jsonencode", "toJson"),
    ("trimspace", "trim"),
    ("uuid", "uuidv4"),
];

/// Why a template cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateFault {
    /// An action has no end.
    #[error("an action has no end; close it with }}}}")]
    Open,
    /// A block has no end.
    #[error("{keyword} has no end; add {{{{ end }}}}")]
    Unended {
        /// The word that begins the block.
        keyword: String,
    },
    /// There is an end of nothing.
    #[error("{{{{ {keyword} }}}} ends nothing; remove it")]
    Unbegun {
        /// The word that ends it.
        keyword: String,
    },
    /// A function is called that there is not.
    #[error("there is no function {name}{}", .meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default())]
    UnknownFunction {
        name: String,
        /// The function that is like it.
        meant: Option<&'static str>,
    },
}

/// The first fault of a template, if it has one.
pub(crate) fn fault(template: &str) -> Option<TemplateFault> {
    let mut open: Vec<&str> = Vec::new();
    let parts = parts(template);
    for part in &parts {
        let tokens = match part {
            // What is left of an action that has no end.
            Part::Text(text) if text.contains("{{") => return Some(TemplateFault::Open),
            Part::Text(_) => continue,
            Part::Action(tokens) => tokens,
        };
        let words = tokens.iter().filter_map(|lexed| match &lexed.token {
            Token::Word(word) => Some(word.as_str()),
            _ => None,
        });
        for name in words.clone() {
            if !KEYWORDS.contains(&name) && FUNCTIONS.lines().all(|function| function != name) {
                return Some(TemplateFault::UnknownFunction { name: name.to_owned(), meant: meant(name) });
            }
        }
        match tokens.first().map(|lexed| &lexed.token) {
            Some(Token::Word(word)) if BLOCKS.contains(&word.as_str()) => open.push(word),
            Some(Token::Word(word)) if word == "end" && open.pop().is_none() => {
                return Some(TemplateFault::Unbegun { keyword: word.clone() });
            }
            Some(Token::Word(word)) if word == "else" && open.is_empty() => {
                return Some(TemplateFault::Unbegun { keyword: word.clone() });
            }
            _ => {}
        }
    }
    open.pop().map(|keyword| TemplateFault::Unended { keyword: keyword.to_owned() })
}

fn meant(name: &str) -> Option<&'static str> {
    let plain = name.to_ascii_lowercase().replace('_', "");
    let elsewhere = KNOWN_ELSEWHERE.iter().find(|(known, _)| *known == plain).map(|(_, meant)| *meant);
    let alike = || FUNCTIONS.lines().find(|function| function.to_ascii_lowercase() == plain);
    elsewhere.or_else(alike).or_else(|| nearest(name, FUNCTIONS.lines()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::an_action_without_end("{{ .a | b64enc ", "an action has no end; close it with }}")]
    #[case::a_text_without_end("{{ .a | default \"b }}", "an action has no end")]
    #[case::a_block_without_end("{{ range .a }}{{ .b }}", "range has no end; add {{ end }}")]
    #[case::an_inner_block_without_end("{{ with .a }}{{ if .b }}{{ end }}", "with has no end")]
    #[case::an_end_too_many("{{ .a }}{{ end }}", "{{ end }} ends nothing")]
    #[case::an_else_alone("{{ else }}", "{{ else }} ends nothing")]
    #[case::of_elsewhere("{{ .a | base64 }}", "there is no function base64; did you mean b64enc?")]
    #[case::other_case("{{ .a | tojson }}", "there is no function tojson; did you mean toJson?")]
    #[case::misspelt("{{ .a | b64encc }}", "there is no function b64encc; did you mean b64enc?")]
    #[case::taken_out("{{ env \"HOME\" }}", "there is no function env")]
    #[case::a_field_without_dot("{{ password }}", "there is no function password")]
    fn what_cannot_be_parsed_is_told(#[case] template: &str, #[case] expected: &str) {
        let told = fault(template).unwrap().to_string();
        assert!(told.starts_with(expected), "{told}");
    }

    #[rstest]
    #[case(
        "{{- range $k, $v := .a | fromJson }}{{ if eq $k \"x\" }}{{ continue }}{{ else if $v }}{{ $v }}{{ end }}{{- end }}"
    )]
    #[case("{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" .a }}{{ block \"u\" . }}{{ end }}")]
    #[case("{{/* end */}}{{ `{{ nothing }}` }}{{ true }} }} {")]
    #[case("{{ .a | pkcs12keyPass .b | filterPEM \"X\" | toYaml | nindent 2 }}{{ (index .a 0).b.c }}")]
    #[case("no template")]
    fn what_can_be_parsed_has_no_fault(#[case] template: &str) {
        assert_eq!(fault(template), None);
    }
}
