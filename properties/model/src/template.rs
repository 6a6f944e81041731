//! Reads of a template: each value, and what is done with it on the way.
//!
//! A value is followed through fields, variables, pipes and functions as far as the text of the template tells. What is not
//! understood reads its arguments as text.
//!
//! Source: Go, text/template; Sprig; and the functions of ESO's own (pkg/template/v2/template.go).

mod cut;
mod fault;
mod functions;
mod lexer;
#[cfg(test)]
mod tests;

use credence_core::credential::Credential;

pub(crate) use cut::cut;
pub(crate) use fault::fault;
use lexer::{Lexed, Part, Token, parts};

/// Parentheses within parentheses, and steps from a value, that are followed; what is deeper is not.
const DEEPEST: usize = 64;

/// Names that people give to the position in a list, and to what they do not need.
const INDICES: [&str; 9] = ["", "_", "i", "idx", "index", "j", "n", "num", "pos"];

/// Everything that a template reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// The reads of single values, in order.
    pub(crate) values: Vec<Read>,
    /// True if it reads all values at once, whatever their names are.
    pub(crate) all: bool,
}

impl Reads {
    /// The reads of the value of this name.
    pub(crate) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Read> {
        self.values.iter().filter(move |read| read.name == name)
    }
}

/// One read of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// The name that the value has in the template.
    pub(crate) name: String,
    /// The way to the part that is read.
    pub(crate) steps: Vec<Step>,
    /// Form that the part must have for the template to render.
    pub(crate) end: End,
}

/// A step on the way from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The document that a JSON text is.
    Json,
    /// The document that a YAML text is.
    Yaml,
    /// The field of this name.
    Member(String),
    /// The element at this position.
    Element(usize),
    /// Any element, or member, of what is gone through one by one.
    Each {
        /// True if what is counted beside it is called like a name, and not like a number.
        is_by_name: bool,
    },
    /// Contents of a text in standard base64.
    Base64,
}

/// Expectation of a read at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Any text.
    Text,
    /// Certificates in PEM and nothing else, each of which signs the one before it.
    Certificates,
    /// A private key in PEM.
    PrivateKey,
    /// Blocks of PEM, of which some are taken.
    Pem,
    Url,
    /// A PKCS#12 file without a password.
    Pkcs12,
    /// A PKCS#12 file with a password that the template writes.
    Pkcs12WithText(Credential),
    /// A PKCS#12 file whose password is the value of this name.
    Pkcs12WithValue(String),
    /// A form that only this function knows.
    Of(&'static str),
}

pub(crate) fn reads(template: &str) -> Reads {
    let mut reader = Reader::default();
    for part in parts(template) {
        if let Part::Action(tokens) = part {
            reader.action(&tokens);
        }
    }
    reader.reads
}

/// The name of the value that a template writes as it is, with nothing beside it; none if it does anything else.
pub(crate) fn verbatim(template: &str) -> Option<String> {
    let [Part::Action(tokens)] = &parts(template)[..] else { return None };
    // Any other function, and what is behind a pipe, may change it.
    let is_plain = |lexed: &Lexed| match &lexed.token {
        Token::Word(word) => word == "index",
        token => !matches!(token, Token::Pipe | Token::Open),
    };
    match Reader::default().pipeline(&mut Cursor { tokens, depth: 0 }) {
        Value::Part { name, steps } if steps.is_empty() && tokens.iter().all(is_plain) => Some(name),
        _ => None,
    }
}

/// Value of an expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Value {
    /// All values by name.
    #[default]
    Root,
    /// A value, or a part of it.
    Part { name: String, steps: Vec<Step> },
    /// A text that the template itself writes.
    Text(String),
    /// A number that the template itself writes.
    Index(usize),
    /// A value that is not followed.
    Other,
}

impl Value {
    fn member(self, member: &str) -> Self {
        match self {
            Self::Root => Self::Part { name: member.to_owned(), steps: Vec::new() },
            part => part.step(Step::Member(member.to_owned())),
        }
    }

    fn step(self, step: Step) -> Self {
        match self {
            Self::Part { name, mut steps } if steps.len() < DEEPEST => {
                steps.push(step);
                Self::Part { name, steps }
            }
            _ => Self::Other,
        }
    }
}

/// The tokens of an action that are still to be read.
struct Cursor<'a> {
    tokens: &'a [Lexed],
    depth: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.first().map(|lexed| &lexed.token)
    }

    fn take(&mut self) -> Option<&'a Lexed> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take_if(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        if is_next {
            self.take();
        }
        is_next
    }

    fn take_word(&mut self) -> Option<&'a str> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        self.take();
        Some(word)
    }
}

#[derive(Default)]
struct Reader {
    reads: Reads,
    dot: Value,
    variables: Vec<(String, Value)>,
    /// The dot, and the number of variables, before each action that is still open.
    open: Vec<(Value, usize)>,
}

impl Reader {
    fn action(&mut self, tokens: &[Lexed]) {
        let mut cursor = Cursor { tokens, depth: 0 };
        let keywords = ["if", "with", "range", "else", "end", "define", "block", "template", "break", "continue"];
        let keyword = match cursor.peek() {
            Some(Token::Word(word)) if keywords.contains(&word.as_str()) => cursor.take_word(),
            _ => None,
        };
        match keyword {
            None => {
                let is_kept = self.declared(&mut cursor);
                let value = self.pipeline(&mut cursor);
                match is_kept {
                    Some(names) => self.declare(names, &value),
                    None => self.read(&value, End::Text),
                }
            }
            Some("else") => self.otherwise(&mut cursor),
            Some("end") => {
                if let Some((dot, variables)) = self.open.pop() {
                    self.dot = dot;
                    self.variables.truncate(variables);
                }
            }
            Some("template") => {
                cursor.take();
                let argument = self.pipeline(&mut cursor);
                self.read(&argument, End::Text);
            }
            Some("break" | "continue") => {}
            Some(keyword) => {
                self.open.push((self.dot.clone(), self.variables.len()));
                self.scope(keyword, &mut cursor);
            }
        }
    }

    /// Rest after an `else`: nothing, or `if` or `with` and a pipeline.
    fn otherwise(&mut self, cursor: &mut Cursor<'_>) {
        if let Some((dot, _)) = self.open.last() {
            self.dot = dot.clone();
        }
        if let Some(keyword) = cursor.take_word() {
            self.scope(keyword, cursor);
        }
    }

    /// Gives the dot the meaning that it has within an action that is not closed by itself.
    fn scope(&mut self, keyword: &str, cursor: &mut Cursor<'_>) {
        if keyword == "define" {
            self.dot = Value::Other;
            return;
        }
        if keyword == "block" {
            cursor.take();
        }
        let names = self.declared(cursor);
        let value = self.pipeline(cursor);
        let value = match keyword {
            "range" => self.element(value, names.as_deref()),
            _ => value,
        };
        // Whatever becomes of it, it has to be there.
        if matches!(value, Value::Part { .. }) {
            self.read(&value, End::Text);
        }
        if keyword != "if" {
            self.dot = value.clone();
        }
        self.declare(names.unwrap_or_default(), &value);
    }

    /// Any element of a list, or member of a mapping: the text of a template does not say which it goes through, but the name of the
    /// first of two variables hints at it.
    fn element(&mut self, list: Value, names: Option<&[&str]>) -> Value {
        if list == Value::Root {
            self.reads.all = true;
        }
        let is_by_name = matches!(names, Some([first, _]) if !INDICES.contains(first));
        list.step(Step::Each { is_by_name })
    }

    /// The variables that an action declares or sets, if it does so.
    fn declared<'a>(&mut self, cursor: &mut Cursor<'a>) -> Option<Vec<&'a str>> {
        let assignment = cursor.tokens.iter().position(|lexed| lexed.token == Token::Assign)?;
        let (names, rest) = cursor.tokens.split_at(assignment);
        let is_name = |lexed: &&Lexed| matches!(lexed.token, Token::Variable(_) | Token::Comma);
        if names.iter().any(|lexed| !is_name(&lexed)) {
            return None;
        }
        cursor.tokens = &rest[1..];
        let names = names.iter().filter_map(|lexed| match &lexed.token {
            Token::Variable(name) => Some(name.as_str()),
            _ => None,
        });
        Some(names.collect())
    }

    /// Of two variables, the first is the position of the second.
    fn declare(&mut self, names: Vec<&str>, value: &Value) {
        let last = names.len().saturating_sub(1);
        for (number, name) in names.into_iter().enumerate() {
            let value = if number == last { value.clone() } else { Value::Other };
            self.variables.push((name.to_owned(), value));
        }
    }

    fn pipeline(&mut self, cursor: &mut Cursor<'_>) -> Value {
        let mut value = self.command(cursor, None);
        while cursor.take_if(&Token::Pipe) {
            value = self.command(cursor, Some(value));
        }
        value
    }

    /// One command of a pipeline, with what the one before it gives.
    fn command(&mut self, cursor: &mut Cursor<'_>, piped: Option<Value>) -> Value {
        let function = cursor.take_word();
        let mut arguments = Vec::new();
        while cursor.peek().is_some_and(|token| !matches!(token, Token::Pipe | Token::Close)) {
            arguments.push(self.operand(cursor));
        }
        arguments.extend(piped);
        match function {
            Some(function) => functions::call(self, function, arguments),
            None if arguments.len() == 1 => arguments.pop().unwrap_or(Value::Other),
            None => self.read_all(&arguments),
        }
    }

    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Value {
        let Some(first) = cursor.take() else { return Value::Other };
        let mut value = match &first.token {
            Token::Dot => self.dot.clone(),
            Token::Field(name) => self.dot.clone().member(name),
            Token::Variable(name) => self.variable(name),
            Token::Text(text) => Value::Text(text.clone()),
            Token::Index(index) => Value::Index(*index),
            Token::Open => self.parenthesis(cursor),
            Token::Word(_)
            | Token::Close
            | Token::Pipe
            | Token::Comma
            | Token::Assign
            | Token::Unreadable(_)
            | Token::Other => Value::Other,
        };
        while let Some(Lexed { token: Token::Field(name), is_glued: true }) = cursor.tokens.first() {
            value = value.member(name);
            cursor.take();
        }
        value
    }

    fn parenthesis(&mut self, cursor: &mut Cursor<'_>) -> Value {
        if cursor.depth == DEEPEST {
            cursor.tokens = &[];
            return Value::Other;
        }
        cursor.depth += 1;
        let value = self.pipeline(cursor);
        cursor.depth -= 1;
        cursor.take_if(&Token::Close);
        value
    }

    fn variable(&self, name: &str) -> Value {
        let named = self.variables.iter().rev().find(|(own, _)| own == name);
        match named {
            Some((_, value)) => value.clone(),
            None if name.is_empty() => Value::Root,
            None => Value::Other,
        }
    }

    /// Notes that a value is read.
    fn read(&mut self, value: &Value, end: End) {
        match value {
            Value::Part { name, steps } => {
                self.reads.values.push(Read { name: name.clone(), steps: steps.clone(), end });
            }
            Value::Root => self.reads.all = true,
            Value::Text(_) | Value::Index(_) | Value::Other => {}
        }
    }

    /// Notes that all of these are read as text; what comes of it is something else.
    fn read_all(&mut self, values: &[Value]) -> Value {
        values.iter().for_each(|value| self.read(value, End::Text));
        Value::Other
    }
}
