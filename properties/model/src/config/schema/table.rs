//! The table of kinds and their fields. That of the pinned versions is `fields.txt`, made from the definitions that a cluster
//! serves, and short enough to read.
//!
//! ```text
//! = NAME LEAST..MOST PATTERN     texts of this form
//! * NAME [LEAST..MOST]           fields that several have, behind it each on a line of its own
//! > VERSION KIND                 a kind, with its fields
//!  FIELD[!] [[]|{}]… SHAPE       a list or a map of what follows; `!` if the field is required
//! ```
//!
//! A shape is `text` with the texts that there may be, `bool`, `int`, `number`, `int-or-text`, `any`, the name of a form of
//! texts, `*NAME`, or nothing if fields follow, one space deeper.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::{Arc, LazyLock};

use regex::Regex;

/// The fields, for the pinned versions.
const FIELDS: &str = include_str!("fields.txt");

/// The versions that the table is of.
pub(super) const PINNED: Pinned = Pinned { external_secrets: "0.20.4", kubernetes: "1.36.3" };

/// Versions of what serves the kinds.
pub(super) struct Pinned {
    pub(super) external_secrets: &'static str,
    pub(super) kubernetes: &'static str,
}

pub(super) static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| Arc::new(Table::parse(FIELDS)));

/// Kinds and their fields.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) forms: BTreeMap<String, Form>,
    pub(super) shared: BTreeMap<String, Object>,
    /// Objects by version and kind.
    pub(super) kinds: BTreeMap<(String, String), Object>,
}

/// Length and pattern that a text must have.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) pattern: Regex,
}

/// An object and its fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Object {
    pub(super) fields: BTreeMap<String, Field>,
    /// Least and greatest number of fields.
    pub(super) count: Option<(usize, usize)>,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) is_required: bool,
    pub(super) shape: Shape,
}

/// Shape that a value is due to have.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Any,
    Boolean,
    Integer,
    Number,
    IntegerOrText,
    /// One of these texts, or any if there are none.
    Text(Vec<String>),
    Form(String),
    List(Box<Shape>),
    Map(Box<Shape>),
    Object(Object),
    Shared(String),
}

type Lines<I> = Peekable<I>;

impl Table {
    /// The table that a text has. The text is part of this program, and a test reads it.
    fn parse(text: &str) -> Self {
        let mut table = Self { forms: BTreeMap::new(), shared: BTreeMap::new(), kinds: BTreeMap::new() };
        let mut lines = text.lines().filter(|line| !line.starts_with('#')).peekable();
        while let Some(line) = lines.next() {
            let mut words = line.split(' ');
            let (sort, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let rest: Vec<&str> = words.collect();
            match sort {
                "=" => table.forms.extend(form(&rest).map(|form| (name.to_owned(), form))),
                "*" => {
                    let (count, fields) = (rest.first().and_then(|range| bounds(range)), fields(&mut lines, 1));
                    table.shared.insert(name.to_owned(), Object { fields, count });
                }
                _ => {
                    let kind = rest.first().copied().unwrap_or_default();
                    let object = Object { fields: fields(&mut lines, 1), count: None };
                    table.kinds.insert((name.to_owned(), kind.to_owned()), object);
                }
            }
        }
        table
    }

    /// The fields of a kind.
    pub(super) fn kind(&self, version: &str, kind: &str) -> Option<&Object> {
        self.kinds.get(&(version.to_owned(), kind.to_owned()))
    }

    pub(super) fn form(&self, name: &str) -> Option<&Form> {
        self.forms.get(name)
    }

    pub(super) fn shared(&self, name: &str) -> Option<&Object> {
        self.shared.get(name)
    }
}

/// The fields that the next lines have at this depth.
fn fields<'a, I: Iterator<Item = &'a str>>(lines: &mut Lines<I>, depth: usize) -> BTreeMap<String, Field> {
    let mut found = BTreeMap::new();
    while let Some(line) = lines.next_if(|line| line.len() - line.trim_start_matches(' ').len() == depth) {
        let mut words = line.trim_start_matches(' ').split(' ');
        let name = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let inner = fields(lines, depth + 1);
        let (name, is_required) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
        found.insert(name.to_owned(), Field { is_required, shape: shape(&words, inner) });
    }
    found
}

fn shape(words: &[&str], fields: BTreeMap<String, Field>) -> Shape {
    match words {
        [] => Shape::Object(Object { fields, count: None }),
        ["[]", rest @ ..] => Shape::List(Box::new(shape(rest, fields))),
        ["{}", rest @ ..] => Shape::Map(Box::new(shape(rest, fields))),
        ["any"] => Shape::Any,
        ["bool"] => Shape::Boolean,
        ["int"] => Shape::Integer,
        ["number"] => Shape::Number,
        ["int-or-text"] => Shape::IntegerOrText,
        ["text"] => Shape::Text(Vec::new()),
        ["text", allowed, ..] => Shape::Text(allowed.split('|').map(str::to_owned).collect()),
        [name, ..] => match (name.strip_prefix('*'), bounds(name)) {
            (Some(shared), _) => Shape::Shared(shared.to_owned()),
            (None, Some(count)) => Shape::Object(Object { fields, count: Some(count) }),
            (None, None) => Shape::Form((*name).to_owned()),
        },
    }
}

/// `1..2`, or `1..` for one or more.
fn bounds(text: &str) -> Option<(usize, usize)> {
    let (least, most) = text.split_once("..")?;
    Some((least.parse().ok()?, if most.is_empty() { usize::MAX } else { most.parse().ok()? }))
}

fn form(words: &[&str]) -> Option<Form> {
    let [range, pattern] = words else { return None };
    let (least, most) = bounds(range)?;
    Some(Form { least, most, pattern: Regex::new(pattern).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes of a table that name something, with the name.
    fn names(shape: &Shape) -> Vec<&str> {
        match shape {
            Shape::Form(name) | Shape::Shared(name) => vec![name.as_str()],
            Shape::List(inner) | Shape::Map(inner) => names(inner),
            Shape::Object(object) => object.fields.values().flat_map(|field| names(&field.shape)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_line_of_the_table_is_read_and_every_name_in_it_is_there() {
        let objects = TABLE.shared.values().chain(TABLE.kinds.values());
        for name in objects.flat_map(|object| object.fields.values()).flat_map(|field| names(&field.shape)) {
            assert!(TABLE.form(name).is_some() || TABLE.shared(name).is_some(), "{name} is nowhere");
        }
        let tops = |sort: &str| FIELDS.lines().filter(|line| line.starts_with(sort)).count();
        assert_eq!((tops("= "), tops("* "), tops("> ")), (TABLE.forms.len(), TABLE.shared.len(), TABLE.kinds.len()));
        assert!(TABLE.kinds.len() > 30, "{}", TABLE.kinds.len());
    }

    #[test]
    fn the_table_is_of_the_pinned_versions() {
        let versions = include_str!("../../../../../fixtures/versions.toml");
        for (section, version) in [("external-secrets", PINNED.external_secrets), ("kubernetes", PINNED.kubernetes)] {
            let (_, rest) = versions.split_once(&format!("[{section}]\n")).unwrap();
            assert!(rest.starts_with(&format!("version = \"{version}\"")), "{section} is not of version {version}");
        }
        let first = FIELDS.lines().next().unwrap();
        let expected =
            format!("External Secrets Operator {} and of Kubernetes {}", PINNED.external_secrets, PINNED.kubernetes);
        assert!(first.contains(&expected), "{first}");
    }
}
