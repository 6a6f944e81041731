//! Faults that people make in a configuration, and texts that nobody expects.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::BoxedStrategy;
use serde_json::{Map, Value, json};

/// Fields of which an API server, or the operator, takes only one.
const ALTERNATIVES: [&[&str]; 5] = [
    &["extract", "find"],
    &["generatorRef", "storeRef"],
    &["merge", "regexp", "transform"],
    &["cert", "serviceAccount", "token"],
    &["kubernetes", "vault"],
];

/// Texts that have a sense elsewhere.
const MISPLACED: [&str; 14] = [
    "absent",
    "Exists",
    "external-secrets.io/v1beta1",
    "external-secrets.io/v9",
    "In",
    "Merge",
    "OnChange",
    "Secret",
    "SecretStore",
    "shop",
    "Upper_Case",
    "{{ .Values.name }}",
    "${NAME}",
    "1h",
];

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Removed,
    Replaced(Value),
    Misspelt,
    Unknown,
    /// Beside the field that is there, one that excludes it.
    Twice,
}

/// Faults for some of the configurations, each with the place that it gets.
pub(crate) fn faults() -> impl Strategy<Value = Vec<(Index, Fault)>> {
    let fault = prop_oneof![
        3 => Just(Fault::Removed),
        3 => wrong().prop_map(Fault::Replaced),
        2 => Just(Fault::Misspelt),
        1 => Just(Fault::Unknown),
        2 => Just(Fault::Twice),
    ];
    prop_oneof![13 => Just(Vec::new()), 7 => vec((any::<Index>(), fault), 1..4)]
}

fn wrong() -> BoxedStrategy<Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(json!([])),
        1 => Just(json!({ "a": [{}] })),
        2 => hostile().prop_map(Value::from),
        3 => select(MISPLACED.to_vec()).prop_map(Value::from),
    ]
    .boxed()
}

/// Texts that are long, nested deeply or of rare characters.
pub(crate) fn hostile() -> BoxedStrategy<String> {
    let long = any::<char>().prop_map(|letter| String::from(letter).repeat(10_000));
    let nested = select(vec![
        "(",
        "{{ (",
        "[",
        "(a*)*",
        "{{ .a.b",
        "..",
        "a.#(b==\"c\").d",
        "|",
        "{{ if .a }}",
        "{{ with .a }}",
    ])
    .prop_map(|text| text.repeat(100));
    prop_oneof![3 => any::<String>(), 1 => long, 1 => nested].boxed()
}

/// Puts faults into the objects of a configuration.
pub(crate) fn put(faults: &[(Index, Fault)], objects: Vec<Value>) -> Vec<Value> {
    let mut all = Value::Array(objects);
    for (index, fault) in faults {
        put_one(&mut all, index, fault);
    }
    match all {
        Value::Array(objects) => objects,
        _ => Vec::new(),
    }
}

fn put_one(all: &mut Value, index: &Index, fault: &Fault) {
    let mut places = Vec::new();
    collect(all, "", &mut places);
    if let Fault::Twice = fault {
        places.retain(|place| alternative(place).is_some());
    }
    if places.is_empty() {
        return;
    }
    let place = index.get(&places);
    let Some((parent, last)) = place.rsplit_once('/') else { return };
    let Some(parent) = all.pointer_mut(parent) else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    match parent {
        Value::Object(fields) => fault_of_field(fields, &last, place, fault),
        Value::Array(items) => {
            let Ok(number) = last.parse::<usize>() else { return };
            match fault {
                Fault::Replaced(value) => items[number] = value.clone(),
                Fault::Removed => drop(items.remove(number)),
                // The same once more.
                _ => items.push(items[number].clone()),
            }
        }
        _ => {}
    }
}

fn fault_of_field(fields: &mut Map<String, Value>, name: &str, place: &str, fault: &Fault) {
    match fault {
        Fault::Removed => drop(fields.remove(name)),
        Fault::Replaced(value) => drop(fields.insert(name.to_owned(), value.clone())),
        Fault::Misspelt => {
            let value = fields.remove(name).unwrap_or_default();
            fields.insert(format!("{name}s"), value);
        }
        Fault::Unknown => drop(fields.insert("unknown".to_owned(), json!({ "a": 1 }))),
        Fault::Twice => {
            let other = alternative(place).into_iter().flatten().find(|other| **other != name);
            fields.extend(other.map(|other| ((*other).to_owned(), json!({}))));
        }
    }
}

/// The fields that exclude each other, if the last of a pointer is one of them.
fn alternative(place: &str) -> Option<&'static [&'static str]> {
    let (_, name) = place.rsplit_once('/')?;
    ALTERNATIVES.into_iter().find(|all| all.contains(&name))
}

/// The pointers of all that is below a value.
fn collect(value: &Value, pointer: &str, places: &mut Vec<String>) {
    let mut below = |step: String, value: &Value| {
        let pointer = format!("{pointer}/{step}");
        collect(value, &pointer, places);
        places.push(pointer);
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| below(index.to_string(), item)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| below(name.replace('~', "~0").replace('/', "~1"), value));
        }
        _ => {}
    }
}
