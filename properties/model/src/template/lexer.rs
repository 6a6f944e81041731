//! Templates as actions, and actions as tokens.
//!
//! Source: Go, text/template/parse/lex.go.

/// A token of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// The dot alone.
    Dot,
    /// A dot with a name behind it.
    Field(String),
    /// `$` with the name behind it, which may be empty.
    Variable(String),
    /// A keyword, or the name of a function.
    Word(String),
    /// A text, without its quotes.
    Text(String),
    /// A number that can be an index.
    Index(usize),
    Open,
    Close,
    Pipe,
    Comma,
    /// `:=`, or `=`.
    Assign,
    /// A text that begins no token.
    Unreadable(String),
    Other,
}

/// A token, and whether it follows the one before it without a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lexed {
    pub(super) token: Token,
    pub(super) is_glued: bool,
}

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Text that stays as it is.
    Text(&'a str),
    /// An action that is no comment.
    Action(Vec<Lexed>),
}

/// The parts of a template, up to the first action that has no end.
pub(super) fn parts(template: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once("{{") {
        let trims_before = after.starts_with('-') && after[1..].starts_with(char::is_whitespace);
        let inside = if trims_before { &after[1..] } else { after };
        let is_comment = inside.trim_start().starts_with("/*");
        let Some((tokens, behind)) = action(inside) else { break };
        parts.push(Part::Text(if trims_before { text.trim_end() } else { text }));
        if !is_comment {
            parts.push(Part::Action(tokens));
        }
        rest = behind;
    }
    parts.push(Part::Text(rest));
    parts.retain(|part| *part != Part::Text(""));
    parts
}

/// The tokens of an action, and the text behind it; none if it has no end.
fn action(text: &str) -> Option<(Vec<Lexed>, &str)> {
    if let Some(comment) = text.trim_start().strip_prefix("/*") {
        let (_, after) = comment.split_once("*/")?;
        return Some((Vec::new(), end(after.trim_start())?));
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let is_glued = trimmed.len() == rest.len();
        // The mark that trims has a space before it, or is a sign.
        if let Some(behind) = end(trimmed).filter(|_| !is_glued || !trimmed.starts_with('-')) {
            return Some((tokens, behind));
        }
        let (token, after) = next(trimmed)?;
        tokens.push(Lexed { token, is_glued });
        rest = after;
    }
}

/// The text behind the end of an action, if it begins with one.
fn end(text: &str) -> Option<&str> {
    text.strip_prefix("}}").or_else(|| text.strip_prefix("-}}").map(str::trim_start))
}

/// The first token, and the text behind it; none at the end of the template and in a text that has no end.
fn next(text: &str) -> Option<(Token, &str)> {
    let first = text.chars().next()?;
    let rest = &text[first.len_utf8()..];
    let single = |token| Some((token, rest));
    match first {
        '"' => quoted(rest),
        '`' => rest.split_once('`').map(|(inside, after)| (Token::Text(inside.to_owned()), after)),
        '\'' => quoted_by(rest, '\'').map(|(inside, after)| (character(inside), after)),
        '(' => single(Token::Open),
        ')' => single(Token::Close),
        '|' => single(Token::Pipe),
        ',' => single(Token::Comma),
        '=' => single(Token::Assign),
        ':' => Some((Token::Assign, rest.strip_prefix('=').unwrap_or(rest))),
        '$' => Some(named(rest, Token::Variable)),
        '.' if !rest.starts_with(is_of_name) => single(Token::Dot),
        '.' if !rest.starts_with(|letter: char| letter.is_ascii_digit()) => Some(named(rest, Token::Field)),
        letter if is_of_name(letter) && !letter.is_ascii_digit() => Some(named(text, Token::Word)),
        letter if letter.is_ascii_digit() || "+-.".contains(letter) => Some(number(text)),
        letter => single(Token::Unreadable(letter.to_string())),
    }
}

/// A character by its number, which is all that single quotes are for.
fn character(inside: &str) -> Token {
    let is_one = inside.starts_with('\\') || inside.chars().count() == 1;
    if is_one { Token::Other } else { Token::Unreadable(format!("'{inside}'")) }
}

fn is_of_name(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

fn named(text: &str, token: fn(String) -> Token) -> (Token, &str) {
    let (name, after) = text.split_at(text.find(|letter| !is_of_name(letter)).unwrap_or(text.len()));
    (token(name.to_owned()), after)
}

fn number(text: &str) -> (Token, &str) {
    let is_of_number = |letter: char| letter.is_ascii_alphanumeric() || letter == '.' || letter == '_';
    // The sign is part of it.
    let end = text[1..].find(|letter| !is_of_number(letter)).map_or(text.len(), |end| end + 1);
    let (number, after) = text.split_at(end);
    let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
    let digits = unsigned.strip_prefix('.').unwrap_or(unsigned);
    let token = match number.parse() {
        Ok(index) => Token::Index(index),
        Err(_) if digits.starts_with(|letter: char| letter.is_ascii_digit()) => Token::Other,
        Err(_) => Token::Unreadable(number.to_owned()),
    };
    (token, after)
}

fn quoted(text: &str) -> Option<(Token, &str)> {
    let (inside, after) = quoted_by(text, '"')?;
    let mut unescaped = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        unescaped.push(match letter {
            '\\' => match letters.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            },
            letter => letter,
        });
    }
    Some((Token::Text(unescaped), after))
}

/// The text before a closing quote, and the one behind it.
fn quoted_by(text: &str, quote: char) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    let end = text.find(|letter| {
        let ends = letter == quote && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends
    })?;
    Some((&text[..end], &text[end + quote.len_utf8()..]))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn tokens(template: &str) -> Vec<Token> {
        let parts = parts(template).into_iter();
        let tokens = parts.filter_map(|part| match part {
            Part::Action(tokens) => Some(tokens),
            Part::Text(_) => None,
        });
        tokens.flatten().map(|lexed| lexed.token).collect()
    }

    #[rstest]
    #[case::a_field("{{ .a }}", vec![Token::Field("a".to_owned())])]
    #[case::the_dot("{{ . }}", vec![Token::Dot])]
    #[case::an_end_within_a_text(r#"{{ "}}" }}"#, vec![Token::Text("}}".to_owned())])]
    #[case::a_quote_within_a_text(r#"{{ "a\"b" }}"#, vec![Token::Text("a\"b".to_owned())])]
    #[case::a_raw_text("{{ `a\\` }}", vec![Token::Text("a\\".to_owned())])]
    #[case::a_comment("{{- /* .a }} */ -}}", vec![])]
    #[case::a_variable("{{ $a := 12 }}", vec![Token::Variable("a".to_owned()), Token::Assign, Token::Index(12)])]
    #[case::other_numbers("{{ -1 .5 1e3 'x' '\\n' }}", vec![Token::Other; 5])]
    #[case::no_number("{{ -x }}", vec![Token::Unreadable("-x".to_owned())])]
    #[case::no_character("{{ 'ab' }}", vec![Token::Unreadable("'ab'".to_owned())])]
    #[case::a_mark_without_space("{{ .a-}}", vec![Token::Field("a".to_owned()), Token::Unreadable("-".to_owned())])]
    #[case::without_an_end("{{ .a", vec![])]
    #[case::a_text_without_an_end("{{ \"a }}", vec![])]
    fn an_action_is_read_as_go_reads_it(#[case] template: &str, #[case] expected: Vec<Token>) {
        assert_eq!(tokens(template), expected);
    }

    #[test]
    fn marks_trim_the_text_beside_an_action() {
        let parts = parts("a {{- .b -}} c {{ .d }} ");
        let texts: Vec<&str> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Text(text) => Some(*text),
                Part::Action(_) => None,
            })
            .collect();
        assert_eq!(texts, ["a", "c ", " "]);
    }

    #[test]
    fn fields_of_a_value_are_glued_to_it() {
        let glued = |template| match &parts(template)[0] {
            Part::Action(tokens) => tokens.iter().map(|lexed| lexed.is_glued).collect::<Vec<_>>(),
            Part::Text(_) => Vec::new(),
        };
        assert_eq!(glued("{{ .a.b .c }}"), [false, true, false]);
    }
}
