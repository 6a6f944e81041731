//! The fields of all kinds, read from the table that the model checks configurations by. That is made from the definitions of the
//! pinned External Secrets Operator.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::LazyLock;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::BoxedStrategy;
use serde_json::{Map, Value};

const FIELDS: &str = include_str!("../../src/config/schema/fields.txt");

/// Shape that a value is due to have.
#[derive(Debug, Clone)]
enum Shape {
    /// A word of the table, with the texts that there may be.
    Leaf(&'static str, Vec<&'static str>),
    /// Fields, and how many of them there may be.
    Object(Vec<Entry>, Option<(usize, usize)>),
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
    /// Numbers of fields of what is shared, where they are bounded.
    counts: BTreeMap<&'static str, (usize, usize)>,
    /// By version and kind.
    kinds: BTreeMap<(&'static str, &'static str), Vec<Entry>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut lines = FIELDS.lines().peekable();
    let mut table = Table { shared: BTreeMap::new(), counts: BTreeMap::new(), kinds: BTreeMap::new() };
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["*", name, ref range @ ..] => {
                table.counts.extend(range.first().and_then(|range| Some((name, count(range)?))));
                table.shared.insert(name, entries(&mut lines, 1));
            }
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
        [] => Shape::Object(entries(lines, depth + 1), None),
        [range] if range.contains("..") => Shape::Object(entries(lines, depth + 1), count(range)),
        [word, allowed @ ..] => Shape::Leaf(word, allowed.iter().flat_map(|all| all.split('|')).collect()),
    }
}

/// Numbers of fields, as the table has them: either may be missing.
fn count(range: &str) -> Option<(usize, usize)> {
    let (least, most) = range.split_once("..")?;
    Some((least.parse().unwrap_or_default(), most.parse().unwrap_or(usize::MAX)))
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
        Shape::Object(fields, _) => of(fields, all),
        Shape::Shared(name) => of(&TABLE.shared[name], all),
        Shape::List(element) => add(&below("[]"), element, all),
        Shape::Map(value) => add(&below("{}"), value, all),
    }
}

/// The kinds of a version of a group.
pub(crate) fn kinds(version: &str) -> Vec<&'static str> {
    TABLE.kinds.keys().filter(|(of, _)| *of == version).map(|(_, kind)| *kind).collect()
}

/// Specs of a kind, with any of its fields, and with the one at `path` if that is not empty.
pub(crate) fn spec(version: &str, kind: &str, path: &str) -> BoxedStrategy<Value> {
    let fields = TABLE.kinds.iter().find(|(key, _)| **key == (version, kind)).map(|(_, fields)| fields);
    let spec = fields.into_iter().flatten().find(|field| field.name == "spec");
    spec.map_or_else(|| Just(Value::Object(Map::new())).boxed(), |spec| values(&spec.shape, 0, &steps(path)))
}

fn steps(path: &str) -> Vec<&str> {
    path.split('.').filter(|step| !step.is_empty()).collect()
}

/// Deeper than this there are required fields alone, and those on the way to one that is asked for.
const DEPTH: usize = 6;

/// Values of a shape, which have the field to which the steps of `way` lead.
fn values(shape: &Shape, depth: usize, way: &[&str]) -> BoxedStrategy<Value> {
    let object = |fields: &[Entry], count: Option<(usize, usize)>| match count {
        Some((least, most)) => some_of(fields, least.max(1), most.min(fields.len()), depth, way),
        None => any_of(fields, depth, way),
    };
    let (least, rest) = (usize::from(!way.is_empty()), way.get(1..).unwrap_or_default());
    match shape {
        Shape::Leaf(word, allowed) => leaf(word, allowed),
        Shape::Object(fields, count) => object(fields, *count),
        Shape::Shared(name) => object(&TABLE.shared[name], TABLE.counts.get(name).copied()),
        Shape::List(element) => vec(values(element, depth + 1, rest), least..3).prop_map(Value::Array).boxed(),
        Shape::Map(value) => {
            let named = btree_map(select(vec!["a", "token", "a.b/c"]), values(value, depth + 1, rest), least..3);
            named.prop_map(|all| all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).boxed()
        }
    }
}

/// The way from a field on, if it leads through that, and whether it does.
fn way_from<'w>(field: &Entry, way: &'w [&'w str]) -> (bool, &'w [&'w str]) {
    match way.split_first() {
        Some((step, rest)) if *step == field.name => (true, rest),
        _ => (false, &[]),
    }
}

fn any_of(fields: &[Entry], depth: usize, way: &[&str]) -> BoxedStrategy<Value> {
    let is_asked = |field: &Entry| field.is_required || way_from(field, way).0;
    let are_there = fields.iter().filter(|field| is_asked(field) || depth < DEPTH);
    let all = are_there.fold(Just(Map::new()).boxed(), |all, field| {
        let (name, value) = (field.name, values(&field.shape, depth + 1, way_from(field, way).1));
        let value =
            if is_asked(field) { value.prop_map(Some).boxed() } else { prop::option::weighted(0.3, value).boxed() };
        (all, value)
            .prop_map(move |(mut all, value)| {
                all.extend(value.map(|value| (name.to_owned(), value)));
                all
            })
            .boxed()
    });
    all.prop_map(Value::Object).boxed()
}

/// As many of the fields as there may be; as few as that, where one of them is asked for.
fn some_of(fields: &[Entry], least: usize, most: usize, depth: usize, way: &[&str]) -> BoxedStrategy<Value> {
    let strategy = |field: &Entry| (field.name, values(&field.shape, depth + 1, way_from(field, way).1));
    let asked: Vec<(&'static str, BoxedStrategy<Value>)> =
        fields.iter().filter(|field| way_from(field, way).0).map(strategy).collect();
    let others: Vec<_> = fields.iter().filter(|field| !way_from(field, way).0).map(strategy).collect();
    let missing = least.saturating_sub(asked.len())..=if asked.is_empty() { most } else { least - 1 };
    subsequence(others, missing)
        .prop_flat_map(move |others| {
            let all = asked.iter().cloned().chain(others);
            let (names, strategies): (Vec<&str>, Vec<BoxedStrategy<Value>>) = all.unzip();
            strategies.prop_map(move |values| names.iter().map(|name| (*name).to_owned()).zip(values).collect())
        })
        .boxed()
}

/// The names of the providers of stores.
pub(crate) fn providers(version: &str) -> Vec<&'static str> {
    of_providers(version).iter().map(|provider| provider.name).collect()
}

/// Values for all that may be below a provider of stores, with the field at `path` if that is not empty.
pub(crate) fn provider(version: &str, name: &str, path: &str) -> BoxedStrategy<Value> {
    let provider = of_providers(version).iter().find(|provider| provider.name == name);
    values(&provider.expect("the table has the provider").shape, 0, &steps(path))
}

fn of_providers(version: &str) -> &'static [Entry] {
    let store = TABLE.kinds.iter().find(|(key, _)| **key == (version, "ClusterSecretStore")).map(|(_, fields)| fields);
    let below = |fields: &'static [Entry], name: &str| -> &'static [Entry] {
        match fields.iter().find(|field| field.name == name).map(|field| &field.shape) {
            Some(Shape::Object(fields, _)) => fields,
            Some(Shape::Shared(name)) => &TABLE.shared[name],
            _ => &[],
        }
    };
    below(below(store.map(Vec::as_slice).unwrap_or_default(), "spec"), "provider")
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
