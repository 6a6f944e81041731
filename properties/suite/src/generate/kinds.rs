//! Values of each kind: what all who read a value can read, and within that what breaks a sloppy configuration.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credence_core::credential::Credential;
use credence_model::model::{Document, Notation, ValueKind};
use credence_model::values::Values;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::{Map, Value, json};

use super::keys::{identity, in_base64, ssh_private_key};
use super::{LARGEST, free_value, hostile_text, secret_value, token, user_name};

/// Host at which generated Docker configurations log in first: the same place before and after a rotation, as with a real one.
const REGISTRY: &str = "registry.example.org";

/// Registries beside it: one on a port, one below a path, and two of which one has the other's beginning.
const MORE_REGISTRIES: [&str; 4] = [
    "registry.example.org:5000",
    "https://quay.example.org/v2/",
    "mirror.example.org/team",
    "mirror.example.org/team-a",
];

/// A value of this kind.
pub(super) fn value(kind: &ValueKind) -> BoxedStrategy<Credential> {
    match kind {
        ValueKind::Bytes => bytes(),
        ValueKind::Text => free_value(),
        ValueKind::SomeText => secret_value(),
        kind => part(kind),
    }
}

/// A value of this kind that is a part of another one: as [`value`], but a text, and a short one.
fn part(kind: &ValueKind) -> BoxedStrategy<Credential> {
    let text = |pattern: &'static str| pattern.prop_map(Credential::new).boxed();
    match kind {
        ValueKind::Bytes | ValueKind::Text => {
            prop_oneof![12 => short_text(), 1 => Just(String::new())].prop_map(Credential::new).boxed()
        }
        ValueKind::SomeText => short_text().prop_map(Credential::new).boxed(),
        ValueKind::UserName => user_name(),
        ValueKind::Printable => text("[!-9;-~]{1,64}"),
        ValueKind::Label => text("[a-z0-9]{1,20}"),
        ValueKind::Url => text("https://[a-z]{1,10}\\.example\\.org(:[1-9][0-9]{3})?(/[a-z0-9]{1,8}){0,3}"),
        ValueKind::Base64(alphabet, of) => {
            let alphabet = *alphabet;
            value(of).prop_map(move |value| in_base64(alphabet, &value)).boxed()
        }
        ValueKind::Document(content, notation) => written(root(content), *notation),
        ValueKind::DockerConfig { hosts } => {
            written(logins(hosts).prop_map(|logins| json!({ "auths": logins })).boxed(), Notation::Json)
        }
        ValueKind::DockerCfg => written(logins(&BTreeSet::new()).prop_map(Value::Object).boxed(), Notation::Json),
        ValueKind::Certificates | ValueKind::PrivateKey | ValueKind::PemBundle | ValueKind::Pkcs12(_) => {
            let kind = kind.clone();
            identity().prop_map(move |identity| identity.half(&kind, &Values::new())).boxed()
        }
        ValueKind::SshPrivateKey => ssh_private_key(),
    }
}

/// Any bytes, most of them no UTF-8.
fn bytes() -> BoxedStrategy<Credential> {
    prop_oneof![
        12 => free_value(),
        2 => vec(any::<u8>(), 1..64).prop_map(Credential::new),
        // It ends within a character, and begins as a keystore of Java does.
        1 => Just(Credential::new(b"\xfe\xed\xfe\xed\x00\x00\x00\x02 \xe6\xbc".to_vec())),
        1 => vec(any::<u8>(), 64).prop_map(|piece| Credential::new(piece.repeat(LARGEST / 64))),
    ]
    .boxed()
}

/// A text that is short, so that many of them stay under the limit of a Secret.
fn short_text() -> BoxedStrategy<String> {
    prop_oneof![10 => hostile_text(), 5 => token()].boxed()
}

/// A document that is an object or an array.
fn root(content: &Document) -> BoxedStrategy<Value> {
    match content {
        Document::Any => object(&BTreeMap::new(), 1..3),
        content => content_of(content),
    }
}

fn content_of(content: &Document) -> BoxedStrategy<Value> {
    match content {
        Document::Any => text_of(&ValueKind::Text),
        Document::Value(kind) => text_of(kind),
        Document::Object(fields) => object(fields, 0..3),
        Document::Array(least, element) => vec(content_of(element), *least..least + 2).prop_map(Value::Array).boxed(),
        Document::Each { is_by_name: false, each, named } if named.is_empty() => {
            vec(content_of(each), 1..3).prop_map(Value::Array).boxed()
        }
        Document::Each { each, named, .. } => object_of(named, each, 1..3),
    }
}

fn text_of(kind: &ValueKind) -> BoxedStrategy<Value> {
    // Parts of a document are texts, for JSON has no bytes.
    part(kind).prop_map(|value| Value::from(value.expose_str().unwrap_or_default())).boxed()
}

/// An object with these fields, and with as many other texts as are in the range.
fn object(fields: &BTreeMap<String, Document>, others: std::ops::Range<usize>) -> BoxedStrategy<Value> {
    object_of(fields, &Document::Any, others)
}

/// An object with these fields, and with as many of the others as are in the range.
fn object_of(
    fields: &BTreeMap<String, Document>,
    other: &Document,
    others: std::ops::Range<usize>,
) -> BoxedStrategy<Value> {
    let mut all = vec(("[a-z]{1,8}", content_of(other)), others)
        .prop_map(|others| others.into_iter().collect::<Map<String, Value>>())
        .boxed();
    for (name, content) in fields {
        let name = name.clone();
        all = (all, content_of(content))
            .prop_map(move |(mut all, content)| {
                all.insert(name.clone(), content);
                all
            })
            .boxed();
    }
    all.prop_map(Value::Object).boxed()
}

/// Documents in this notation, on one line or on many.
fn written(document: BoxedStrategy<Value>, notation: Notation) -> BoxedStrategy<Credential> {
    (document, any::<bool>())
        .prop_map(move |(document, is_pretty)| {
            let text = if is_pretty { format!("{document:#}\n") } else { document.to_string() };
            Credential::new(match notation {
                Notation::Json => text,
                Notation::Yaml => with_escapes(&text),
            })
        })
        .boxed()
}

/// A JSON document that is YAML as well: what YAML does not take in a text, or takes for the end of a line, is escaped.
///
/// Source: YAML 1.2.2, 5.1 and 5.4; `\u` has four digits there too, and no surrogates, so that what is beyond stays.
fn with_escapes(json: &str) -> String {
    let mut escaped = String::new();
    for letter in json.chars() {
        match u16::try_from(u32::from(letter)) {
            Ok(unit) if unit > 0x7e => escaped.push_str(&format!("\\u{unit:04x}")),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Logins at these registries and at others, each with a user of its own.
fn logins(hosts: &BTreeSet<String>) -> BoxedStrategy<Map<String, Value>> {
    let hosts = if hosts.is_empty() { [REGISTRY.to_owned()].into() } else { hosts.clone() };
    let named = vec(login(Just(Parts::All).boxed()), hosts.len());
    let others = proptest::sample::subsequence(MORE_REGISTRIES.to_vec(), 0..=2);
    let parts = prop_oneof![2 => Just(Parts::All), 1 => Just(Parts::Auth), 1 => Just(Parts::Names)].boxed();
    (named, others, vec(login(parts), 2))
        .prop_map(move |(named, others, logins)| {
            let named = hosts.iter().cloned().zip(named);
            named.chain(others.into_iter().map(str::to_owned).zip(logins)).collect()
        })
        .boxed()
}

/// The fields of a login. With `auth`, the kubelet looks at no other.
#[derive(Debug, Clone, Copy)]
enum Parts {
    All,
    Auth,
    Names,
}

/// A login as `kubectl create secret docker-registry` or `docker login` writes it.
fn login(parts: BoxedStrategy<Parts>) -> BoxedStrategy<Value> {
    (user_name(), short_text(), parts)
        .prop_map(|(user, password, parts)| {
            let user = user.expose_str().unwrap_or_default();
            let auth = STANDARD.encode(format!("{user}:{password}"));
            match parts {
                Parts::All => json!({ "username": user, "password": password, "auth": auth }),
                Parts::Auth => json!({ "auth": auth }),
                Parts::Names => json!({ "username": user, "password": password }),
            }
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use credence_core::formats;
    use credence_core::labels::Labels;
    use credence_model::model::Alphabet;
    use proptest::strategy::ValueTree;

    use super::super::runner;
    use super::*;

    fn samples(kind: &ValueKind) -> Vec<Credential> {
        let sample = |index| value(kind).new_tree(&mut runner(7, "kinds", index)).unwrap().current();
        (0..100).map(sample).collect()
    }

    fn texts(kind: &ValueKind) -> Vec<String> {
        samples(kind).iter().map(|value| value.expose_str().unwrap().to_owned()).collect()
    }

    fn object<const N: usize>(fields: [(&str, Document); N]) -> Document {
        Document::Object(fields.map(|(name, content)| (name.to_owned(), content)).into())
    }

    #[test]
    fn bytes_are_sometimes_no_utf8_and_sometimes_none() {
        let values = samples(&ValueKind::Bytes);
        assert!(values.iter().any(|value| value.expose_str().is_none()));
        assert!(values.iter().any(|value| value.expose().is_empty()));
        assert!(values.iter().any(|value| value.expose().len() == LARGEST));
    }

    #[test]
    fn what_is_text_is_utf8_and_what_is_some_text_is_never_empty() {
        assert!(texts(&ValueKind::Text).iter().any(String::is_empty));
        for kind in [ValueKind::SomeText, ValueKind::UserName, ValueKind::Label, ValueKind::Url] {
            assert!(texts(&kind).iter().all(|text| !text.is_empty()), "{kind}");
        }
    }

    #[test]
    fn documents_hold_what_is_read_of_them_and_hostile_texts() {
        let inner = ValueKind::Base64(Alphabet::Standard, Box::new(ValueKind::Text));
        let content = object([
            ("a", object([("b", Document::Any)])),
            ("c", Document::Array(3, Box::new(Document::Value(Box::new(inner))))),
        ]);
        let mut held = String::new();
        for text in texts(&ValueKind::Document(content, Notation::Json)) {
            let document: Value = serde_json::from_str(&text).unwrap();
            held += document["a"]["b"].as_str().unwrap();
            assert!(STANDARD.decode(document["c"][2].as_str().unwrap()).is_ok());
        }
        for needle in ["\"", "\\", "{{", "$"] {
            assert!(held.contains(needle), "no text holds {needle:?}");
        }
    }

    #[test]
    fn what_is_gone_through_one_by_one_is_a_list_or_has_names_and_each_is_what_is_read() {
        let each = |is_by_name, named: Vec<(String, Document)>| {
            let each = Box::new(object([("c", Document::Any)]));
            ValueKind::Document(Document::Each { is_by_name, each, named: named.into_iter().collect() }, Notation::Json)
        };
        let documents = |kind: &ValueKind| -> Vec<Value> {
            texts(kind).iter().map(|text| serde_json::from_str(text).unwrap()).collect()
        };
        let has_c = |one: &Value| one["c"].is_string();
        assert!(documents(&each(false, Vec::new())).iter().all(|list| list.as_array().unwrap().iter().all(has_c)));
        let named = vec![("d".to_owned(), object([("c", Document::Any)]))];
        for document in documents(&each(true, Vec::new())).into_iter().chain(documents(&each(false, named.clone()))) {
            assert!(document.as_object().unwrap().values().all(has_c));
        }
        assert!(documents(&each(false, named)).iter().all(|document| document["d"]["c"].is_string()));
    }

    #[test]
    fn documents_in_yaml_are_the_same_document_in_json() {
        for text in texts(&ValueKind::Document(Document::Any, Notation::Yaml)) {
            let json: Value = serde_json::from_str(&text).unwrap();
            let yaml: Value = serde_yaml::from_str(&text).unwrap();
            assert_eq!(json, yaml);
        }
    }

    #[test]
    fn docker_configurations_have_logins_at_several_registries_that_the_kubelet_reads() {
        let kind = ValueKind::DockerConfig { hosts: ["ghcr.io".to_owned()].into() };
        let mut most = 0;
        for value in samples(&kind) {
            let document: Value = serde_json::from_slice(value.expose()).unwrap();
            let auths = document["auths"].as_object().unwrap();
            assert!(auths["ghcr.io"]["password"].is_string());
            most = most.max(auths.len());
            for (host, login) in auths {
                let one = Credential::new(json!({ "auths": { host: login } }).to_string());
                let copy = BTreeMap::from([(".dockerconfigjson".to_owned(), one)]);
                formats::decode(formats::DOCKER_CONFIG, &Labels::new(), &copy).unwrap();
            }
        }
        assert_eq!(most, 3);
    }
}
