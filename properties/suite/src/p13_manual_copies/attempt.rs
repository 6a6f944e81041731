//! Attempts of people with credentials by hand, as data: what they look like, and what they send.
//!
//! Pure. What counts as a credential follows from the model: see [`look_alikes`](super::look_alike::look_alikes).

use std::collections::BTreeMap;

use credence_core::credential::Credential;
use credence_model::model::{Distribution, Model, Tampering};
use credence_watch::observer::SecretSeen;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::{Value, json};

use super::look_alike::{Endpoints, written};
use crate::generate::{Pick, pick, secret_value};
use crate::testbed::secret_types::required_keys;
use crate::testbed::tenant::Rights;

/// The label by which ESO tells its Secrets (`apis/externalsecrets/v1`, `LabelManaged`).
const MANAGED_LABEL: &str = "reconcile.external-secrets.io/managed";

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
    pub(super) act: Act,
    /// Choice among the forms that the distribution offers for it.
    pub(super) form: Pick,
    /// The value that is written by hand.
    pub(super) value: Credential,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Makes a Secret that looks like a copy, beside it.
    Make {
        by: Maker,
        /// True if it holds what the copy holds.
        copied: bool,
    },
    Change {
        /// True for server-side apply where that can express it, false for a merge patch.
        apply: bool,
    },
    Delete,
    /// Deletes the copy and puts a Secret of another type in its place.
    Replace,
}

/// Ways to make a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// With all that makes it look like a copy from the beginning.
    Create,
    Apply,
    /// An ordinary Secret is labelled later.
    LabelLater,
    /// The actor writes an ExternalSecret and a SecretStore.
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

#[derive(Debug, Clone)]
pub(super) struct Attempts {
    /// A way to take the name of a copy before the namespace asks for it.
    pub(super) before: Option<(Maker, Attempt)>,
    /// Attempts that follow when the copy is there.
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
    add(
        "added a key",
        json!({ "data": { "hand-made": written("", &Endpoints::default(), value) } }),
        false,
        Tampering::Data,
    );
    let endpoints = Endpoints::of(copy);
    for key in copy.data.keys() {
        add("changed data", json!({ "data": { key: written(key, &endpoints, value) } }), false, Tampering::Data);
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
