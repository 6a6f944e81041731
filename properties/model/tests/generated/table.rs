//! The fields of all kinds, read from the table that the model checks configurations by. That is made from the definitions of the
//! pinned External Secrets Operator.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::LazyLock;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;
use serde_json::{Map, Value};

const FIELDS: &str = include_str!("../../src/config/schema/fields.txt");

/// Shape that a value is due to have.
#[derive(Debug, Clone)]
enum Shape {
    /// A word of the table, with the texts that there may be.
    Leaf(&'static str, Vec<&'static str>),
    Object(Vec<Entry>),
    List(Box<Shape>),
    Map(Box<Shape>),
    /// The name of fields that several have.
    Shared(&'static str),
}

/// A field of an object.
#[derive(Debug, Clone)]
struct Entry {
    name: &'static str,
    is_required: bool,
    shape: Shape,
}

struct Table {
    shared: BTreeMap<&'static str, Vec<Entry>>,
    /// By version and kind.
    kinds: BTreeMap<(&'static str, &'static str), Vec<Entry>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut lines = FIELDS.lines().peekable();
    let mut table = Table { shared: BTreeMap::new(), kinds: BTreeMap::new() };
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["*", name, ..] => drop(table.shared.insert(name, entries(&mut lines, 1))),
            [">", version, kind] => drop(table.kinds.insert((version, kind), entries(&mut lines, 1))),
            _ => {}
        }
    }
    table
});

fn entries(lines: &mut Peekable<std::str::Lines<'static>>, depth: usize) -> Vec<Entry> {
    let mut all = Vec::new();
    let is_here = |line: &&str| line.len() - line.trim_start().len() == depth;
    while let Some(line) = lines.next_if(is_here) {
        let mut words = line.trim_start().split(' ');
        let name = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let shape = shape(&words, lines, depth);
        all.push(Entry { name: name.trim_end_matches('!'), is_required: name.ends_with('!'), shape });
    }
    all
}

fn shape(words: &[&'static str], lines: &mut Peekable<std::str::Lines<'static>>, depth: usize) -> Shape {
    match words {
        ["[]", rest @ ..] => Shape::List(Box::new(shape(rest, lines, depth))),
        ["{}", rest @ ..] => Shape::Map(Box::new(shape(rest, lines, depth))),
        [name] if name.starts_with('*') => Shape::Shared(&name[1..]),
        // Nothing, or how many of the fields that follow there may be.
        [] => Shape::Object(entries(lines, depth + 1)),
        [count] if count.contains("..") => Shape::Object(entries(lines, depth + 1)),
        [word, allowed @ ..] => Shape::Leaf(word, allowed.iter().flat_map(|all| all.split('|')).collect()),
    }
}

/// The paths of all fields of a kind's spec that have no fields of their own.
pub(crate) fn paths(version: &str, kind: &'static str) -> Vec<String> {
    let mut all = Vec::new();
    let fields = TABLE.kinds.iter().find(|(key, _)| **key == (version, kind)).map(|(_, fields)| fields);
    for spec in fields.into_iter().flatten().filter(|field| field.name == "spec") {
        add("", &spec.shape, &mut all);
    }
    all
}

fn add(path: &str, shape: &Shape, all: &mut Vec<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let of = |fields: &[Entry], all: &mut Vec<String>| {
        fields.iter().for_each(|field| add(&below(field.name), &field.shape, all));
    };
    match shape {
        Shape::Leaf(..) => all.push(path.to_owned()),
        Shape::Object(fields) => of(fields, all),
        Shape::Shared(name) => of(&TABLE.shared[name], all),
        Shape::List(element) => add(&below("[]"), element, all),
        Shape::Map(value) => add(&below("{}"), value, all),
    }
}

/// The kinds of a version of a group.
pub(crate) fn kinds(version: &str) -> Vec<&'static str> {
    TABLE.kinds.keys().filter(|(of, _)| *of == version).map(|(_, kind)| *kind).collect()
}

/// Specs of a kind, with any of its fields.
pub(crate) fn spec(version: &str, kind: &str) -> BoxedStrategy<Value> {
    let fields = TABLE.kinds.iter().find(|(key, _)| **key == (version, kind)).map(|(_, fields)| fields);
    let spec = fields.into_iter().flatten().find(|field| field.name == "spec");
    spec.map_or_else(|| Just(Value::Object(Map::new())).boxed(), |spec| values(&spec.shape, 0))
}

/// Deeper than this there are required fields alone.
const DEPTH: usize = 6;

fn values(shape: &Shape, depth: usize) -> BoxedStrategy<Value> {
    let object = |fields: &[Entry]| {
        let are_there = fields.iter().filter(|field| field.is_required || depth < DEPTH);
        are_there.fold(Just(Map::new()).boxed(), |all, field| {
            let (name, value) = (field.name, values(&field.shape, depth + 1));
            let value = match field.is_required {
                true => value.prop_map(Some).boxed(),
                false => prop::option::weighted(0.3, value).boxed(),
            };
            (all, value)
                .prop_map(move |(mut all, value)| {
                    all.extend(value.map(|value| (name.to_owned(), value)));
                    all
                })
                .boxed()
        })
    };
    match shape {
        Shape::Leaf(word, allowed) => leaf(word, allowed),
        Shape::Object(fields) => object(fields).prop_map(Value::Object).boxed(),
        Shape::Shared(name) => object(&TABLE.shared[name]).prop_map(Value::Object).boxed(),
        Shape::List(element) => vec(values(element, depth + 1), 0..3).prop_map(Value::Array).boxed(),
        Shape::Map(value) => {
            let named = btree_map(select(vec!["a", "token", "a.b/c"]), values(value, depth + 1), 0..3);
            named.prop_map(|all| all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).boxed()
        }
    }
}

fn leaf(word: &str, allowed: &[&'static str]) -> BoxedStrategy<Value> {
    let text = prop_oneof![4 => select(vec!["a", "store", "listed", "1h", "{{ .a }}"]).prop_map(str::to_owned), 1 => any::<String>()];
    match word {
        "bool" => any::<bool>().prop_map(Value::from).boxed(),
        "int" | "number" | "int-or-text" => (0..100_i32).prop_map(Value::from).boxed(),
        "text" if !allowed.is_empty() => select(allowed.to_vec()).prop_map(Value::from).boxed(),
        "text" | "any" => text.prop_map(Value::from).boxed(),
        _ => select(vec!["a", "store", "listed"]).prop_map(Value::from).boxed(),
    }
}
