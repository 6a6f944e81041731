//! Templates that External Secrets Operator cannot parse, so that the copy is never made.
//!
//! Source: Go, text/template/parse, as far as it is told here: actions, blocks, names of functions and variables, and what is given
//! to what.

use credence_core::text::nearest;

use super::lexer::{Lexed, Part, Token, parts};

mod pipeline;

/// All functions that a template has in any version of External Secrets Operator: those of Go's text/template, of Sprig without
/// `env` and `expandenv`, and its own (pkg/template/v2/template.go).
const FUNCTIONS: &str = include_str!("names.txt");

/// Words that are no functions.
const KEYWORDS: [&str; 13] =
    ["block", "break", "continue", "define", "else", "end", "false", "if", "nil", "range", "template", "true", "with"];

/// Words that begin an action of their own kind.
const STATEMENTS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

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
    /// A variable is read that nothing declares.
    #[error("nothing declares ${name}; write $. for the values themselves, or declare it with ${name} := before")]
    UnknownVariable { name: String },
    /// A name goes on with a sign that names do not have.
    #[error(
        "{name} is no name, which is made of letters, digits and underscores{}",
        .key.as_ref().map(|key| format!("; write index . {key:?}")).unwrap_or_default()
    )]
    NoName {
        name: String,
        /// The name of the value that was meant, if it is one of those that are read.
        key: Option<String>,
    },
    /// Something stands in an action that no template has.
    #[error("{text} has no meaning in a template{instead}")]
    Unreadable { text: String, instead: &'static str },
    /// An equals sign stands where nothing is declared.
    #[error("= declares nothing where it stands; compare with eq")]
    NoDeclaration,
    /// Something is given to a value.
    #[error("{value} is no function, and something is given to it; write each value into an action of its own")]
    NoFunction { value: String },
    /// There is nothing before or behind a pipe, or in an action or parentheses.
    #[error("a value is missing: an action, parentheses, and both sides of a pipe need one")]
    NoValue,
    /// A parenthesis is not closed.
    #[error("a parenthesis has no end; close it with )")]
    Unclosed,
    /// A parenthesis is closed that nothing opens.
    #[error(") closes nothing; remove it")]
    Unopened,
}

impl TemplateFault {
    fn unreadable(text: &str) -> Self {
        let instead = match text.chars().next() {
            Some('\'') => "; put texts into double quotes",
            Some('&' | '!' | '<' | '>') => "; compare with eq, ne, lt and gt, and join with and, or and not",
            _ => "",
        };
        // What stands in quotes may be a credential.
        let text = if text.starts_with('\'') { "a text in single quotes" } else { text };
        Self::Unreadable { text: text.to_owned(), instead }
    }
}

/// The first fault of a template, if it has one.
pub(crate) fn fault(template: &str) -> Option<TemplateFault> {
    let parts = parts(template);
    let mut scopes = Scopes::default();
    let checked = parts.iter().try_for_each(|part| match part {
        // What is left of an action that has no end.
        Part::Text(text) if text.contains("{{") => Err(TemplateFault::Open),
        Part::Text(_) => Ok(()),
        Part::Action(tokens) => scopes.action(tokens),
    });
    checked.and_then(|()| scopes.end()).err()
}

/// Blocks that are open, and the variables that there are.
#[derive(Default)]
struct Scopes<'a> {
    /// The words that begin the blocks, each with the number of variables before it.
    open: Vec<(&'a str, usize)>,
    variables: Vec<&'a str>,
}

impl<'a> Scopes<'a> {
    fn action(&mut self, tokens: &'a [Lexed]) -> Result<(), TemplateFault> {
        pipeline::names(tokens)?;
        called(tokens)?;
        let keyword = match tokens.first().map(|lexed| &lexed.token) {
            Some(Token::Word(word)) if STATEMENTS.contains(&word.as_str()) => word.as_str(),
            _ => return self.pipeline(tokens),
        };
        if BLOCKS.contains(&keyword) {
            self.open.push((keyword, self.variables.len()));
        }
        let unbegun = || TemplateFault::Unbegun { keyword: keyword.to_owned() };
        match (keyword, &tokens[1..]) {
            ("end", _) => {
                let (_, variables) = self.open.pop().ok_or_else(unbegun)?;
                self.variables.truncate(variables);
                Ok(())
            }
            ("else", _) if self.open.is_empty() => Err(unbegun()),
            // The name of a template stands before what it is given.
            ("else" | "template", [] | [_]) | ("break" | "continue" | "define", _) => Ok(()),
            ("else" | "template" | "block", [_, rest @ ..]) => self.pipeline(rest),
            (_, rest) => self.pipeline(rest),
        }
    }

    /// A pipeline behind the variables that it declares.
    fn pipeline(&mut self, tokens: &'a [Lexed]) -> Result<(), TemplateFault> {
        let is_name = |lexed: &Lexed| matches!(lexed.token, Token::Variable(_) | Token::Comma);
        let names = tokens.iter().take_while(|lexed| is_name(lexed)).count();
        let declares = names > 0 && tokens.get(names).is_some_and(|lexed| lexed.token == Token::Assign);
        let (names, rest) = if declares { (&tokens[..names], &tokens[names + 1..]) } else { (&tokens[..0], tokens) };
        self.variables.extend(names.iter().filter_map(variable));
        // The dollar alone is there from the beginning.
        let unknown = rest.iter().filter_map(variable).find(|name| !name.is_empty() && !self.variables.contains(name));
        match unknown {
            Some(name) => Err(TemplateFault::UnknownVariable { name: name.to_owned() }),
            None => pipeline::check(rest),
        }
    }

    fn end(&mut self) -> Result<(), TemplateFault> {
        match self.open.pop() {
            Some((keyword, _)) => Err(TemplateFault::Unended { keyword: keyword.to_owned() }),
            None => Ok(()),
        }
    }
}

fn variable(lexed: &Lexed) -> Option<&str> {
    match &lexed.token {
        Token::Variable(name) => Some(name),
        _ => None,
    }
}

/// Refuses functions that there are not.
fn called(tokens: &[Lexed]) -> Result<(), TemplateFault> {
    for lexed in tokens {
        let Token::Word(name) = &lexed.token else { continue };
        if !KEYWORDS.contains(&name.as_str()) && FUNCTIONS.lines().all(|function| function != name) {
            return Err(TemplateFault::UnknownFunction { name: name.clone(), meant: meant(name) });
        }
    }
    Ok(())
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
    #[case::a_hyphen(
        "{{ .db-password }}",
        r#".db-password is no name, which is made of letters, digits and underscores; write index . "db-password""#
    )]
    #[case::hyphens(
        "{{ .a | b64enc }}{{ .db-user-name | quote }}",
        r#".db-user-name is no name, which is made of letters, digits and underscores; write index . "db-user-name""#
    )]
    #[case::a_hyphen_behind_a_field(
        "{{ (.a | fromJson).b-c }}",
        ".b-c is no name, which is made of letters, digits and underscores"
    )]
    #[case::a_variable_of_a_shell("{{ .TOKEN_${CLUSTER} }}", ".TOKEN_${CLUSTER} is no name")]
    #[case::a_mark_without_space("{{-.a-}}", "-.a has no meaning in a template")]
    #[case::single_quotes(
        "{{ .a | default 'none' }}",
        "a text in single quotes has no meaning in a template; put texts into double quotes"
    )]
    #[case::operators("{{ if .a && .b }}{{ end }}", "& has no meaning in a template; compare with eq, ne, lt and gt")]
    #[case::equals("{{ if .a == \"b\" }}{{ end }}", "= declares nothing where it stands; compare with eq")]
    #[case::unknown_variable("{{ $a }}", "nothing declares $a; write $. for the values themselves")]
    #[case::variable_of_a_block("{{ with $a := .b }}{{ end }}{{ $a }}", "nothing declares $a")]
    #[case::no_value("{{ }}", "a value is missing")]
    #[case::no_condition("{{ if }}{{ end }}", "a value is missing")]
    #[case::pipe_to_nothing("{{ .a | }}", "a value is missing")]
    #[case::two_values("{{ .a .b }}", ".a is no function, and something is given to it")]
    #[case::piped_to_a_value("{{ .a | fromJson | .b }}", ".b is no function, and something is given to it")]
    #[case::open_parenthesis("{{ (.a | b64enc }}", "a parenthesis has no end; close it with )")]
    #[case::closed_parenthesis("{{ .a | b64enc) }}", ") closes nothing; remove it")]
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
    #[case(
        "{{ $a := .b | default \"\" }}{{ if $a }}{{ $a = \"c\" }}{{ $.d }}{{ end }}{{ $a }}{{ (now).Format \"2006\" }}"
    )]
    #[case("{{ $j := .a | fromJson }}{{ $j.b | quote }}{{ if (and (eq .c \"d\") (not .e)) }}x{{ end }}{{- /* y */ -}}")]
    #[case("{{ range $i, $e := (.a | fromJson) }}{{ if $i }},{{ end }}{{ $e.f.g }}{{ else }}{{ .h }}{{ end }}")]
    #[case(
        "{{ printf \"%s:%s\" .a (.b | trim) | b64enc }}{{ -1 }}{{ 1e3 }}{{ 'x' }}{{ .a|quote }}{{ index . \"a-b\" }}"
    )]
    #[case("{{- dict \"auths\" (dict (index . \"h\") (dict \"auth\" (list .a .b | join \":\" | b64enc))) | toJson -}}")]
    fn what_can_be_parsed_has_no_fault(#[case] template: &str) {
        assert_eq!(fault(template), None);
    }
}
