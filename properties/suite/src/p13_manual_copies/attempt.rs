//! What people try with credentials by hand, as data: what it looks like, and what it sends.
//!
//! Pure. What counts as a credential follows from the model: a Secret with the labels of a distribution, with the label by
//! which a consumer finds it, of a type that is a shared credential always, or with the name of a copy.

use std::collections::BTreeMap;

use credence_core::credential::Credential;
use credence_core::formats::{ARGO_CD_LABEL, KARGO_LABEL};
use credence_core::labels::Labels;
use credence_model::config::OPAQUE;
use credence_model::model::{Distribution, ExpectedKeys, Model, Tampering};
use credence_watch::observer::SecretSeen;
use k8s_openapi::ByteString;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::{Value, json};

use crate::generate::{Pick, pick, secret_value};
use crate::testbed::tenant::Rights;

/// The type of pull secrets. Unlike a certificate or a password it is a shared credential always: that of a registry.
const PULL_SECRET: &str = "kubernetes.io/dockerconfigjson";
/// The older type of pull secrets, which the kubelet reads as well.
const OLD_PULL_SECRET: &str = "kubernetes.io/dockercfg";
/// A type with keys of its own that no consumer of a copy expects.
const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
/// The label by which ESO tells its Secrets (`apis/externalsecrets/v1`, `LabelManaged`).
const MANAGED_LABEL: &str = "reconcile.external-secrets.io/managed";

/// The actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// A ServiceAccount with these rights in its namespace.
    Tenant(Rights),
    /// The administrator of the cluster.
    Administrator,
}

impl Actor {
    /// Any of them, tenants more often; tenants alone if the administrator may write copies by hand.
    pub(super) fn strategy(may_administrator: bool) -> BoxedStrategy<Self> {
        let tenants = prop_oneof![Just(Self::Tenant(Rights::Edit)), Just(Self::Tenant(Rights::Admin))];
        if may_administrator {
            return tenants.boxed();
        }
        prop_oneof![
            2 => Just(Self::Tenant(Rights::Edit)),
            2 => Just(Self::Tenant(Rights::Admin)),
            1 => Just(Self::Administrator),
        ]
        .boxed()
    }
}

/// One thing that is tried.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// What.
    pub(super) act: Act,
    /// What chooses among the forms that the distribution offers for it.
    pub(super) form: Pick,
    /// The value that is written by hand.
    pub(super) value: Credential,
}

/// Kinds of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Makes a Secret that looks like a copy, beside it.
    Make {
        /// How.
        by: Maker,
        /// True if it holds what the copy holds.
        copied: bool,
    },
    /// Changes the copy.
    Change {
        /// By server-side apply where that can express it, else by a merge patch.
        apply: bool,
    },
    /// Deletes the copy.
    Delete,
    /// Deletes the copy and puts a Secret of another type in its place.
    Replace,
}

/// Ways to make a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// As it is.
    Create,
    /// By server-side apply.
    Apply,
    /// As an ordinary Secret that is labelled later.
    LabelLater,
    /// By an ExternalSecret and a SecretStore of one's own.
    Order,
}

impl Attempt {
    /// Anything that can be tried in a namespace that holds copies.
    pub(super) fn strategy() -> BoxedStrategy<Self> {
        let make = (maker(), any::<bool>()).prop_map(|(by, copied)| Act::Make { by, copied });
        let act = prop_oneof![
            6 => make,
            5 => any::<bool>().prop_map(|apply| Act::Change { apply }),
            1 => Just(Act::Delete),
            1 => Just(Act::Replace),
        ];
        (act, pick(), secret_value()).prop_map(|(act, form, value)| Self { act, form, value }).boxed()
    }
}

/// What is tried in one namespace.
#[derive(Debug, Clone)]
pub(super) struct Attempts {
    /// A way to take the name of a copy before the namespace asks for it.
    pub(super) before: Option<(Maker, Attempt)>,
    /// What follows when the copy is there.
    pub(super) then: Vec<Attempt>,
}

impl Attempts {
    /// At least one attempt on the copy.
    pub(super) fn strategy() -> BoxedStrategy<Self> {
        let before = proptest::option::weighted(0.3, (maker(), Attempt::strategy()));
        (before, vec(Attempt::strategy(), 1..=3)).prop_map(|(before, then)| Self { before, then }).boxed()
    }
}

fn maker() -> BoxedStrategy<Maker> {
    prop_oneof![3 => Just(Maker::Create), 1 => Just(Maker::Apply), 2 => Just(Maker::LabelLater), 2 => Just(Maker::Order)]
        .boxed()
}

/// A Secret that looks like a credential of the distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LookAlike {
    /// What makes it look like one.
    pub(super) by: &'static str,
    /// Its name, if that is what it shares with the copy.
    pub(super) name: Option<String>,
    /// Its type.
    pub(super) type_: String,
    /// Its labels.
    pub(super) labels: Labels,
}

/// The Secrets that look like the copies of `distribution` while they are beside it.
pub(super) fn look_alikes(distribution: &Distribution) -> Vec<LookAlike> {
    let mut all = Vec::new();
    let mut add = |by, type_: &str, labels: Labels| {
        all.push(LookAlike { by, name: None, type_: type_.to_owned(), labels });
    };
    if !distribution.labels.is_empty() {
        add("type and labels", &distribution.secret_type, distribution.labels.clone());
        add("labels", other_type(distribution), distribution.labels.clone());
    }
    for key in [ARGO_CD_LABEL, KARGO_LABEL] {
        if let Some(value) = distribution.labels.get(key) {
            add("consumer's label", OPAQUE, Labels::from([(key.to_owned(), value.clone())]));
        }
    }
    if [PULL_SECRET, OLD_PULL_SECRET].contains(&distribution.secret_type.as_str()) {
        add("type", PULL_SECRET, Labels::new());
        add("older type", OLD_PULL_SECRET, Labels::new());
    }
    all
}

/// The Secrets that take the place of the copies of `distribution`: of the same type, and of another one.
pub(super) fn squatters(distribution: &Distribution) -> [LookAlike; 2] {
    [("name and type", distribution.secret_type.as_str()), ("name", other_type(distribution))].map(|(by, type_)| {
        LookAlike { by, name: Some(distribution.secret.clone()), type_: type_.to_owned(), labels: Labels::new() }
    })
}

fn other_type(distribution: &Distribution) -> &'static str {
    if distribution.secret_type == OPAQUE { BASIC_AUTH } else { OPAQUE }
}

/// The keys that the API server wants of a Secret of this type (`pkg/apis/core/validation`, `ValidateSecret`).
fn required_keys(type_: &str) -> &'static [&'static str] {
    match type_ {
        PULL_SECRET => &[".dockerconfigjson"],
        OLD_PULL_SECRET => &[".dockercfg"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        // One of them would do, but consumers want both.
        BASIC_AUTH => &["username", "password"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    }
}

/// Data of a hand-made Secret of this type, which the API server takes: the keys that the type wants or else those of
/// the distribution, each holding `value`.
pub(super) fn content(type_: &str, distribution: &Distribution, value: &Credential) -> BTreeMap<String, ByteString> {
    let own: Vec<&str> = match &distribution.keys {
        ExpectedKeys::Exactly(keys) => keys.iter().map(String::as_str).collect(),
        ExpectedKeys::Unknown { .. } => vec!["value"],
    };
    let keys = match required_keys(type_) {
        [] => &own[..],
        required => required,
    };
    keys.iter().map(|key| ((*key).to_owned(), written(key, value))).collect()
}

/// What is written under a key: the value itself, or a Docker configuration that holds it.
fn written(key: &str, value: &Credential) -> ByteString {
    let entry =
        json!({ "registry.example": { "username": "hand-made", "password": String::from_utf8_lossy(value.expose()) } });
    ByteString(match key {
        ".dockerconfigjson" => json!({ "auths": entry }).to_string().into_bytes(),
        ".dockercfg" => entry.to_string().into_bytes(),
        _ => value.expose().to_vec(),
    })
}

/// A change of a copy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CopyChange {
    /// The act, in a few words.
    pub(super) what: &'static str,
    /// The merge patch that makes it.
    pub(super) patch: Value,
    /// True if it takes something away, which server-side apply cannot express.
    pub(super) removes: bool,
    /// Time within which it must be undone where it is not refused.
    pub(super) tampering: Tampering,
    /// True if only a new Secret can undo it.
    pub(super) for_good: bool,
}

/// The changes of a `copy` of `distribution` that nobody but ESO may make.
pub(super) fn changes(
    model: &Model,
    distribution: &Distribution,
    copy: &SecretSeen,
    value: &Credential,
) -> Vec<CopyChange> {
    let mut all = Vec::new();
    let mut add = |what, patch, removes, tampering| {
        all.push(CopyChange { what, patch, removes, tampering, for_good: false });
    };
    add("added a key", json!({ "data": { "hand-made": written("", value) } }), false, Tampering::Data);
    for key in copy.data.keys() {
        add("changed data", json!({ "data": { key: written(key, value) } }), false, Tampering::Data);
        if !required_keys(&copy.type_).contains(&key.as_str()) {
            add("removed a key", json!({ "data": { key: null } }), true, Tampering::Data);
        }
    }
    let mut relabel = |what, key: &str, value: Value, removes| {
        add(what, json!({ "metadata": { "labels": { key: value } } }), removes, Tampering::Metadata);
    };
    for key in distribution.labels.keys() {
        relabel("stripped a label", key, Value::Null, true);
        relabel("changed a label", key, json!("hand-made"), false);
    }
    relabel("stripped ESO's label", MANAGED_LABEL, Value::Null, true);
    let foreign =
        model.distributions.iter().flat_map(|other| &other.labels).find(|(key, _)| !copy.labels.contains_key(*key));
    if let Some((key, value)) = foreign {
        relabel("added the label of another credential", key, json!(value), false);
    }
    if distribution.labels.len() > 1 {
        let none: BTreeMap<&String, Value> = distribution.labels.keys().map(|key| (key, Value::Null)).collect();
        add("stripped all labels", json!({ "metadata": { "labels": none } }), true, Tampering::Metadata);
    }
    if !copy.owners.is_empty() {
        add("took its owner away", json!({ "metadata": { "ownerReferences": null } }), true, Tampering::Metadata);
    }
    let frozen = json!({ "immutable": true });
    all.push(CopyChange {
        what: "made it immutable",
        patch: frozen,
        removes: false,
        tampering: Tampering::Metadata,
        for_good: true,
    });
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use credence_model::model::testing::reference;
    use proptest::strategy::ValueTree;

    use super::*;
    use crate::generate::runner;

    fn distribution<'a>(model: &'a Model, name: &str) -> &'a Distribution {
        model.distributions.iter().find(|distribution| distribution.name == name).unwrap()
    }

    #[test]
    fn what_looks_like_a_credential_follows_from_the_target() {
        let model = reference();
        let by = |name| look_alikes(distribution(&model, name)).into_iter().map(|made| made.by).collect::<Vec<_>>();
        assert_eq!(by("application-docker-registry"), ["type and labels", "labels", "type", "older type"]);
        assert_eq!(by("kargo-git-credentials"), ["type and labels", "labels", "consumer's label"]);
        assert_eq!(by("wildcard-tls"), ["type and labels", "labels"]);
    }

    #[test]
    fn a_squatter_has_the_name_of_the_copy_and_none_of_its_labels() {
        let model = reference();
        for distribution in &model.distributions {
            let [same, other] = squatters(distribution);
            assert_eq!((same.name.as_ref(), &same.type_), (Some(&distribution.secret), &distribution.secret_type));
            assert_ne!(other.type_, distribution.secret_type);
            assert!(same.labels.is_empty() && other.labels.is_empty());
        }
    }

    #[test]
    fn hand_made_data_has_what_its_type_wants() {
        let model = reference();
        let value = Credential::new("a\"b");
        for distribution in &model.distributions {
            for made in look_alikes(distribution).into_iter().chain(squatters(distribution)) {
                let data = content(&made.type_, distribution, &value);
                assert!(!data.is_empty() && required_keys(&made.type_).iter().all(|key| data.contains_key(*key)));
            }
        }
        let docker = content(PULL_SECRET, distribution(&model, "wildcard-tls"), &value);
        let config: Value = serde_json::from_slice(&docker[".dockerconfigjson"].0).unwrap();
        assert_eq!(config["auths"]["registry.example"]["password"], "a\"b");
    }

    #[test]
    fn changes_touch_data_labels_owner_and_settings() {
        let model = reference();
        let distribution = distribution(&model, "kargo-git-credentials");
        let copy = SecretSeen {
            uid: "1".to_owned(),
            owners: vec!["ExternalSecret a".to_owned()],
            type_: distribution.secret_type.clone(),
            labels: distribution.labels.clone(),
            data: [("password".to_owned(), Credential::new("x"))].into(),
            resource_version: "1".to_owned(),
            deleting: false,
        };
        let all = changes(&model, distribution, &copy, &Credential::new("y"));
        let what: BTreeSet<&str> = all.iter().map(|change| change.what).collect();
        assert_eq!(what.len(), 10, "{what:?}");
        let at_once: BTreeSet<&str> =
            all.iter().filter(|change| change.tampering == Tampering::Data).map(|change| change.what).collect();
        assert_eq!(at_once, ["added a key", "changed data", "removed a key"].into());
    }

    #[test]
    fn an_administrator_who_may_write_by_hand_is_no_actor() {
        let actors = |may: bool| -> Vec<Actor> {
            let strategy = Actor::strategy(may);
            (0..100).map(|index| strategy.new_tree(&mut runner(7, "p13", index)).unwrap().current()).collect()
        };
        assert!(actors(false).contains(&Actor::Administrator));
        assert!(!actors(true).contains(&Actor::Administrator));
    }

    #[test]
    fn a_hundred_cases_try_everything() {
        let acts: Vec<Act> = (0..100)
            .flat_map(|index| Attempts::strategy().new_tree(&mut runner(7, "p13", index)).unwrap().current().then)
            .map(|attempt| attempt.act)
            .collect();
        for maker in [Maker::Create, Maker::Apply, Maker::LabelLater, Maker::Order] {
            assert!(acts.iter().any(|act| matches!(act, Act::Make { by, .. } if *by == maker)), "{maker:?}");
        }
        for act in [Act::Change { apply: true }, Act::Change { apply: false }, Act::Delete, Act::Replace] {
            assert!(acts.contains(&act), "{act:?}");
        }
    }
}
