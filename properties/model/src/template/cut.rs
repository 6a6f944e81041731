//! Templates that write one value without a part of it, or with other characters in it.

use super::lexer::{Lexed, Part, Token, parts};
use super::{Read, reads};

/// Functions that leave out a part of a text, or write other characters in its place.
///
/// Source: Go, text/template; Sprig, strings.go. Those that take away what is known to be there, such as `trimPrefix`, are not
/// among them: what they leave can be the credential.
const CUTTING: [&str; 10] =
    ["abbrev", "abbrevboth", "initials", "lower", "replace", "slice", "substr", "title", "trunc", "upper"];

/// Functions that give back what they are given, but for white space at its ends.
const KEEPING: [&str; 3] = ["index", "toString", "trim"];

/// The name of the one value that a template writes cut, with nothing but white space beside it; none if it does anything else.
pub(crate) fn cut(template: &str) -> Option<String> {
    let template = template.trim();
    let [Part::Action(tokens)] = &parts(template)[..] else { return None };
    let mut cuts = false;
    for (at, lexed) in tokens.iter().enumerate() {
        match &lexed.token {
            Token::Word(word) if CUTTING.contains(&word.as_str()) => cuts |= !is_of_white_space(&tokens[at..]),
            Token::Word(word) if !KEEPING.contains(&word.as_str()) => return None,
            Token::Variable(_) | Token::Assign | Token::Comma => return None,
            _ => {}
        }
    }
    match &reads(template).values[..] {
        [Read { name, steps, .. }] if cuts && steps.is_empty() => Some(name.clone()),
        _ => None,
    }
}

/// True if a function is about white space alone, as one that takes line breaks out: `replace "\n" ""`.
fn is_of_white_space(call: &[Lexed]) -> bool {
    match call.get(1).map(|lexed| &lexed.token) {
        // Quoted texts keep their escapes.
        Some(Token::Text(text)) => text.replace(['\\', 'n', 'r', 't'], "").trim().is_empty() && !text.contains("\\\\"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::length("{{ .a | trunc 20 }}", true)]
    #[case::from_the_end("{{- .a | trunc -4 -}}\n", true)]
    #[case::positions("{{ .a | substr 0 20 }}", true)]
    #[case::argument("{{ substr 0 20 .a }}", true)]
    #[case::slice("{{ slice .a 0 20 }}", true)]
    #[case::in_parentheses("{{ (.a | trim) | trunc 20 | toString }}", true)]
    #[case::by_index("{{ index . \"a\" | trunc 20 }}", true)]
    #[case::characters("{{ .a | replace \"-\" \"\" }}", true)]
    #[case::case_of_letters("{{ .a | upper }}", true)]
    #[case::line_breaks("{{ .a | replace \"\\n\" \"\" }}", false)]
    #[case::white_space("{{ .a | trim }}", false)]
    #[case::what_is_known_to_be_there("{{ .a | trimPrefix \"Bearer \" }}", false)]
    #[case::decoded("{{ .a | b64dec | trunc 20 }}", false)]
    #[case::hashed("{{ .a | sha256sum | trunc 8 }}", false)]
    #[case::words_beside_it("Bearer {{ .a | trunc 20 }}", false)]
    #[case::two_values("{{ .a | trunc 20 }}{{ .b }}", false)]
    #[case::part("{{ .a.b | trunc 20 }}", false)]
    #[case::whole("{{ .a }}", false)]
    fn a_value_is_cut_if_a_part_of_it_is_written_and_nothing_else(#[case] template: &str, #[case] expected: bool) {
        assert_eq!(cut(template).as_deref(), expected.then_some("a"));
    }
}
