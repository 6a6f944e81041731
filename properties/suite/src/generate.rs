//! Generators: credential values with every character that breaks a sloppy configuration, and label values.
//!
//! Pure: from a seed to a case. What is generated is a [`Credential`] from the start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use credence_core::credential::Credential;
use credence_core::formats::{Role, source_roles};
use credence_core::labels::Labels;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model, ValueKind};
use credence_model::selector::OPT_IN_VALUE;
use credence_model::values::Values;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

mod keys;
mod kinds;
mod pkcs12;

/// Bytes of the largest generated value: large enough to cross every buffer on the way, small enough that a
/// `dockerconfigjson` of it, base64 twice, stays under the 1 MiB limit of a Secret.
pub(crate) const LARGEST: usize = 64 * 1024;

/// Pieces that break templates, JSON, YAML, URLs and shells which paste values raw.
const HOSTILE: &[&str] = &[
    "\"",
    "\\",
    "\n",
    "\r\n",
    "\t",
    "<>&",
    "{{",
    "}}",
    "{{ .token }}",
    "$",
    "${HOME}",
    "$(id)",
    ":",
    "=",
    "==",
    "'",
    "`",
    "%",
    "%41",
    "#",
    " ",
    ",",
    "\",\"auth\":\"",
    "é",
    "漢字",
    "🔑",
    "\u{2028}",
    "\u{7f}",
    "---\n",
    "!!binary ",
    "@",
    "/",
    "|",
    "~",
    "null",
    "\0",
];

/// A label value. Kubernetes allows at most 63 of these characters; `true` alone asks for a secret.
const LABEL_VALUES: &[&str] = &["true", "false", "TRUE", "", "yes", "1"];

/// A generator that depends on nothing but its arguments: the same run seed, purpose and index give the same case.
pub(crate) fn runner(seed: u64, purpose: &str, index: u32) -> TestRunner {
    let digest = blake3::hash(format!("credence/{purpose}/{seed}/{index}").as_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, digest.as_bytes());
    // Persistence would write values to disk; cases are replayed from their seed instead.
    TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng)
}

/// Text of ordinary and hostile pieces, never empty.
fn hostile_text() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        2 => "[A-Za-z0-9_-]{1,12}",
        3 => select(HOSTILE).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 1..8).prop_map(|pieces| pieces.concat()).boxed()
}

const CLASSIC_TOKEN: &str = "ghp_[A-Za-z0-9]{36}";
const HEX_TOKEN: &str = "[0-9a-f]{40}";
const BASE64_TOKEN: &str = "[A-Za-z0-9+/]{40}";

/// A text of the shapes that real tokens have, which is base64 by chance.
fn token() -> BoxedStrategy<String> {
    prop_oneof![3 => CLASSIC_TOKEN, 2 => HEX_TOKEN, 2 => BASE64_TOKEN].boxed()
}

/// A secret value: hostile text, the shapes that real tokens have, and the extremes of length.
pub(crate) fn secret_value() -> BoxedStrategy<Credential> {
    prop_oneof![
        10 => hostile_text(),
        // Classic tokens of GitHub: 40 characters that a decoding strategy `Auto` takes for base64.
        3 => CLASSIC_TOKEN,
        2 => HEX_TOKEN,
        2 => BASE64_TOKEN,
        1 => ("[ -~]{64}").prop_map(|piece| piece.repeat(LARGEST / 64)),
    ]
    .prop_map(Credential::new)
    .boxed()
}

/// A value for a user name: not empty, and without a colon, which ends the user name in HTTP basic authentication
/// (RFC 7617) and in the `auth` field of a registry credential.
pub(crate) fn user_name() -> BoxedStrategy<Credential> {
    prop_oneof![3 => hostile_text(), 1 => Just("x-access-token".to_owned()), 1 => "[a-z0-9-]{1,39}"]
        .prop_map(|text| text.replace(':', "_"))
        .prop_map(Credential::new)
        .boxed()
}

/// A value that nothing requires to be there: as [`secret_value`], and sometimes empty.
fn free_value() -> BoxedStrategy<Credential> {
    prop_oneof![12 => secret_value(), 1 => Just(Credential::new(""))].boxed()
}

/// All values of one source, by key. What a key may hold follows from all that read it.
pub(crate) fn values_of(model: &Model, source: &SourceRef, keys: &BTreeSet<String>) -> BoxedStrategy<Values> {
    let mut kinds = model.value_kinds(source);
    values(keys.iter().map(|key| (key.clone(), kinds.remove(key).unwrap_or(ValueKind::Text))).collect())
}

/// The same for keys of which no configuration says what they are for.
pub(crate) fn source_values(keys: impl IntoIterator<Item = String>) -> BoxedStrategy<Values> {
    let kind = |key: &str| match source_roles([key]).into_keys().next() {
        Some(Role::Username) => ValueKind::UserName,
        Some(Role::Other(_)) | None => ValueKind::Text,
        // No consumer gets in with an empty part of a credential.
        Some(_) => ValueKind::SomeText,
    };
    values(keys.into_iter().map(|key| (kind(&key), key)).map(|(kind, key)| (key, kind)).collect())
}

fn values(kinds: BTreeMap<String, ValueKind>) -> BoxedStrategy<Values> {
    let mut all: BoxedStrategy<Values> = Just(Values::new()).boxed();
    let (paired, single): (BTreeMap<_, _>, BTreeMap<_, _>) = kinds.into_iter().partition(|(_, kind)| is_of_pair(kind));
    for (key, kind) in single {
        all = (all, kinds::value(&kind))
            .prop_map(move |(mut map, value)| {
                map.insert(key.clone(), value);
                map
            })
            .boxed();
    }
    if paired.is_empty() {
        return all;
    }
    // A key and its certificate belong together.
    (all, keys::identity())
        .prop_map(move |(mut map, identity)| {
            let halves: Values = paired.iter().map(|(key, kind)| (key.clone(), identity.half(kind, &map))).collect();
            map.extend(halves);
            map
        })
        .boxed()
}

fn is_of_pair(kind: &ValueKind) -> bool {
    matches!(kind, ValueKind::Certificates | ValueKind::PrivateKey | ValueKind::PemBundle | ValueKind::Pkcs12(_))
        || kind.password().is_some()
}

/// One of several things that are only known when a case runs: it counts around, so that any number picks one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pick(u8);

impl Pick {
    /// The picked one.
    ///
    /// # Panics
    /// When there is nothing to pick from.
    pub fn of<T>(self, things: &[T]) -> &T {
        &things[usize::from(self.0) % things.len()]
    }

    /// The picked one, to change.
    ///
    /// # Panics
    /// When there is nothing to pick from.
    pub(crate) fn of_mut<T>(self, things: &mut [T]) -> &mut T {
        let count = things.len();
        &mut things[usize::from(self.0) % count]
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Any pick; smaller ones are simpler. The range is a multiple of every small count, so that picks are even.
pub(crate) fn pick() -> BoxedStrategy<Pick> {
    (0..120u8).prop_map(Pick).boxed()
}

/// Change of a label, before it is said which one.
#[derive(Debug, Clone)]
pub(crate) enum LabelChange {
    /// It asks, with the value of this number among those that do.
    Asks(usize),
    Absent,
    /// It has a value that must not ask, unless it is one of those that do.
    Other(&'static str),
}

impl LabelChange {
    /// The value that a label gets which asks with one of these; none takes it off.
    pub(crate) fn value(&self, asking: &[String]) -> Option<String> {
        match self {
            Self::Asks(number) => {
                let value = number.checked_rem(asking.len()).map_or(OPT_IN_VALUE, |number| &asking[number]);
                Some(value.to_owned())
            }
            Self::Absent => None,
            Self::Other(value) => Some((*value).to_owned()),
        }
    }
}

/// The labels that decide something, each with the values with which it asks.
pub(crate) type OptInValues = BTreeMap<String, Vec<String>>;

/// The labels that the selectors of `model` look at.
pub(crate) fn opt_in_values(model: &Model) -> OptInValues {
    let values = |key: &str| model.opt_in_values(key).into_iter().map(str::to_owned).collect();
    model.label_vocabulary().into_iter().map(|key| (key.to_owned(), values(key))).collect()
}

/// Changes of these labels, by the weights of asking, absent and other values.
pub(crate) fn label_change(labels: &OptInValues, (asks, absent, other): (u32, u32, u32)) -> BoxedStrategy<LabelChange> {
    let most = labels.values().map(Vec::len).max().unwrap_or_default();
    // Where there is no choice nothing is drawn, so that the cases of such a configuration depend on nothing else.
    let number = if most > 1 { (0..most).boxed() } else { Just(0).boxed() };
    prop_oneof![
        asks => number.prop_map(LabelChange::Asks),
        absent => Just(LabelChange::Absent),
        other => select(LABEL_VALUES).prop_map(LabelChange::Other),
    ]
    .boxed()
}

/// Label maps that ask for at least one distribution, one alternative for each way of asking.
pub(crate) fn opt_in_labels(model: &Model) -> Option<BoxedStrategy<Labels>> {
    let ways: Vec<Labels> = model.distributions.iter().flat_map(Distribution::opt_in_labels).collect();
    (!ways.is_empty()).then(|| prop::sample::select(ways).boxed())
}

/// A namespace that holds copies.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// A namespace of the run, with these labels.
    Labelled(Labels),
    /// A namespace in which the configuration itself has an ExternalSecret.
    Fixed(String),
}

impl Recipient {
    /// The labels that it is given.
    pub(crate) fn labels(&self) -> &Labels {
        static NONE: Labels = Labels::new();
        match self {
            Self::Labelled(labels) => labels,
            Self::Fixed(_) => &NONE,
        }
    }

    /// The name by which the model knows what it holds; one whose name does not matter has this.
    pub(crate) fn name_or<'a>(&'a self, any: &'a str) -> &'a str {
        match self {
            Self::Labelled(_) => any,
            Self::Fixed(name) => name,
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Labelled(labels) => labels.fmt(f),
            Self::Fixed(name) => write!(f, "namespace {name}"),
        }
    }
}

/// Namespaces that hold a copy at least: one alternative for each way of asking, and one for each that has an ExternalSecret.
pub(crate) fn askers(model: &Model) -> Option<BoxedStrategy<Recipient>> {
    let ways = model.distributions.iter().flat_map(Distribution::opt_in_labels).map(Recipient::Labelled);
    let fixed: BTreeSet<&str> = model.distributions.iter().filter_map(Distribution::namespace).collect();
    let all: Vec<Recipient> = ways.chain(fixed.into_iter().map(|name| Recipient::Fixed(name.to_owned()))).collect();
    (!all.is_empty()).then(|| prop::sample::select(all).boxed())
}

/// Each key that decides something absent, asking, or with a value that must not ask.
pub(crate) fn any_labels(model: &Model) -> BoxedStrategy<Labels> {
    let labels = opt_in_values(model);
    vec(label_change(&labels, (4, 2, 3)), labels.len())
        .prop_map(move |changes| {
            let pairs = labels.iter().zip(changes);
            pairs.filter_map(|((key, asking), change)| Some((key.clone(), change.value(asking)?))).collect()
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;

    use super::*;

    fn sample(index: u32) -> Credential {
        secret_value().new_tree(&mut runner(7, "p05", index)).unwrap().current()
    }

    #[test]
    fn a_case_depends_on_its_seed_and_index_alone() {
        assert_eq!(sample(3), sample(3));
        assert_ne!(sample(3), sample(4));
    }

    #[test]
    fn a_namespace_that_has_an_external_secret_holds_copies_like_those_that_ask() {
        let text = "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: own, namespace: shop}\n\
                    spec: {provider: {kubernetes: {}}}\n---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\n\
                    metadata: {name: a, namespace: shop}\nspec:\n  secretStoreRef: {name: own}\n  \
                    data: [{secretKey: a, remoteRef: {key: b, property: c}}]\n";
        let manifests = credence_core::manifest::parse_documents(std::path::Path::new("a.yaml"), text).unwrap();
        let config = credence_model::config::Config::from_manifests(manifests).unwrap();
        let model = Model::derive(&config);
        assert!(opt_in_labels(&model).is_none());
        let recipient = askers(&model).unwrap().new_tree(&mut runner(1, "asker", 0)).unwrap().current();
        assert_eq!(recipient, Recipient::Fixed("shop".to_owned()));
        assert_eq!((recipient.name_or("any"), recipient.labels().len()), ("shop", 0));
    }

    #[test]
    fn a_hundred_values_hold_every_kind_of_hostile_character() {
        let values: Vec<Credential> = (0..100).map(sample).collect();
        let holds =
            |needle: &str| values.iter().any(|value| value.expose_str().is_some_and(|text| text.contains(needle)));
        for needle in ["\"", "\\", "\n", "<", "&", "{{", "$", ":", "="] {
            assert!(holds(needle), "no value holds {needle:?}");
        }
        assert!(values.iter().any(|value| !value.expose().is_ascii()));
        assert!(values.iter().any(|value| value.expose().len() == LARGEST));
    }

    #[test]
    fn user_names_are_never_empty_and_hold_no_colon() {
        for index in 0..200 {
            let name = user_name().new_tree(&mut runner(7, "user", index)).unwrap().current();
            assert!(!name.expose().is_empty());
            assert!(!name.expose().contains(&b':'));
        }
    }
}
