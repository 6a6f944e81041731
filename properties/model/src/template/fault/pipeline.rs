//! Faults within one action: names, operands and commands.
//!
//! Source: Go, text/template/parse, `atTerminator` (lex.go), `pipeline`, `command` and `operand` (parse.go); and text/template,
//! `evalCommand` (exec.go), which gives values to functions alone.

use super::TemplateFault;
use crate::template::DEEPEST;
use crate::template::lexer::{Lexed, Token};

/// Refuses names that go on with a sign that no name has.
pub(super) fn names(tokens: &[Lexed]) -> Result<(), TemplateFault> {
    for (at, lexed) in tokens.iter().enumerate() {
        let start = match &lexed.token {
            Token::Field(name) => format!(".{name}"),
            Token::Variable(name) => format!("${name}"),
            Token::Word(word) => word.clone(),
            _ => continue,
        };
        let rest: Vec<&str> = tokens[at + 1..].iter().map_while(continuation).collect();
        if rest.is_empty() {
            continue;
        }
        let name = format!("{start}{}", rest.concat());
        // Of what is behind another name, that would have to be named as well.
        let is_of_dot = matches!(lexed.token, Token::Field(_)) && (at == 0 || !lexed.is_glued);
        let key = name.strip_prefix('.').filter(|_| is_of_dot).map(str::to_owned);
        return Err(TemplateFault::NoName { name, key });
    }
    Ok(())
}

/// The text of a token that continues a name, and may not.
fn continuation(lexed: &Lexed) -> Option<&str> {
    match &lexed.token {
        _ if !lexed.is_glued => None,
        Token::Unreadable(text) | Token::Word(text) => Some(text),
        Token::Variable(_) => Some("$"),
        Token::Text(_) => Some("\""),
        Token::Index(_) | Token::Other => Some("-…"),
        _ => None,
    }
}

/// Refuses commands that cannot be carried out, whatever the values are.
pub(super) fn check(tokens: &[Lexed]) -> Result<(), TemplateFault> {
    let mut rest = tokens;
    pipeline(&mut rest, 0)?;
    match rest.first() {
        None => Ok(()),
        Some(_) => Err(TemplateFault::Unopened),
    }
}

fn pipeline(rest: &mut &[Lexed], depth: usize) -> Result<(), TemplateFault> {
    let mut is_first = true;
    loop {
        command(rest, depth, is_first)?;
        is_first = false;
        match rest.split_first() {
            Some((lexed, after)) if lexed.token == Token::Pipe => *rest = after,
            _ => return Ok(()),
        }
    }
}

fn command(rest: &mut &[Lexed], depth: usize, is_first: bool) -> Result<(), TemplateFault> {
    let mut operands = 0;
    let mut head = None;
    while rest.first().is_some_and(|lexed| !matches!(lexed.token, Token::Pipe | Token::Close)) {
        let value = operand(rest, depth)?;
        if operands == 0 {
            head = value;
        }
        operands += 1;
    }
    match head {
        _ if operands == 0 => Err(TemplateFault::NoValue),
        Some(value) if operands > 1 || !is_first => Err(TemplateFault::NoFunction { value }),
        _ => Ok(()),
    }
}

/// Reads an operand, and says which it is if nothing can be given to it: it is no function, and no method of what one gives.
fn operand(rest: &mut &[Lexed], depth: usize) -> Result<Option<String>, TemplateFault> {
    let Some((first, after)) = rest.split_first() else { return Ok(None) };
    *rest = after;
    let value = match &first.token {
        Token::Word(word) => ["true", "false", "nil"].contains(&word.as_str()).then(|| word.clone()),
        Token::Field(name) => Some(format!(".{name}")),
        Token::Variable(name) => Some(format!("${name}")),
        Token::Dot => Some("the dot".to_owned()),
        Token::Text(_) => Some("a text".to_owned()),
        Token::Index(_) | Token::Other => Some("a number".to_owned()),
        Token::Open => parenthesis(rest, depth)?,
        Token::Unreadable(text) => return Err(TemplateFault::unreadable(text)),
        Token::Comma => return Err(TemplateFault::unreadable(",")),
        Token::Assign => return Err(TemplateFault::NoDeclaration),
        Token::Pipe | Token::Close => None,
    };
    let mut has_fields = false;
    while let Some((Lexed { token: Token::Field(_), is_glued: true }, after)) = rest.split_first() {
        has_fields = true;
        *rest = after;
    }
    let may_be_a_method = has_fields && !matches!(first.token, Token::Field(_));
    Ok(value.filter(|_| !may_be_a_method))
}

fn parenthesis(rest: &mut &[Lexed], depth: usize) -> Result<Option<String>, TemplateFault> {
    if depth == DEEPEST {
        *rest = &[];
        return Ok(None);
    }
    pipeline(rest, depth + 1)?;
    match rest.split_first() {
        Some((lexed, after)) if lexed.token == Token::Close => {
            *rest = after;
            Ok(Some("what is in parentheses".to_owned()))
        }
        // What is deeper than that is not looked at.
        _ if depth + 1 == DEEPEST => Ok(None),
        _ => Err(TemplateFault::Unclosed),
    }
}
