//! A credential type that manifests alone add, after the pattern of one that the configuration has. Pure.

use std::path::PathBuf;

use credence_cluster::apply::RUN_LABEL;
use credence_core::formats::{ARGO_CD_LABEL, KARGO_LABEL};
use credence_core::manifest::Manifest;
use credence_model::config::Config;
use credence_model::model::{Blueprint, Model};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::BoxedStrategy;
use serde_json::{Value, json};

use crate::generate::{Pick, pick};

/// Keys of sources whose names say that they are a secret.
const TELLING: &[&str] = &["token", "password", "ci-token", "db.password", "webhook_secret", "client-secret"];
/// Further keys, with every character that a key can have.
const OTHERS: &[&str] = &["licence.txt", "API_URL", "client-id", "region", "Signing-Key", "k8s.io_x"];

/// A credential that the configuration does not have yet, after the pattern of one that it has.
#[derive(Debug, Clone)]
pub(crate) struct Addition {
    /// Its name, without what all of them begin with.
    tag: String,
    /// The credential that it is like, by its place among those of the configuration.
    blueprint: Pick,
    shape: Shape,
}

/// Source of the credential, and shape of its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Keys of any names, copied one by one without a template.
    Single(Vec<String>),
    /// The same, copied as a whole.
    Whole(Vec<String>),
    /// The same, under the names of environment variables.
    Variables(Vec<String>),
    BasicAuth,
    SshAuth,
    Tls,
    /// `kubernetes.io/dockerconfigjson`, for the registry of this name.
    Registry(String),
}

/// The credentials that one more can be like by manifests alone: no policy lists their labels one by one.
pub(super) fn blueprints(model: &Model) -> Vec<&Blueprint> {
    model.blueprints.iter().filter(|blueprint| !model.listed_labels.contains_key(&blueprint.label)).collect()
}

/// The types, one of them for each number in turn.
fn shape(number: u32) -> BoxedStrategy<Shape> {
    let keys = || {
        (select(TELLING), subsequence(OTHERS, 0..=2)).prop_map(|(telling, others)| {
            std::iter::once(telling).chain(others).map(str::to_owned).collect::<Vec<String>>()
        })
    };
    match number % 7 {
        0 => keys().prop_map(Shape::Single).boxed(),
        1 => Just(Shape::BasicAuth).boxed(),
        2 => keys().prop_map(Shape::Variables).boxed(),
        3 => "[a-z]{1,8}\\.example\\.org(:[1-9][0-9]{3})?".prop_map(Shape::Registry).boxed(),
        4 => keys().prop_map(Shape::Whole).boxed(),
        5 => Just(Shape::Tls).boxed(),
        _ => Just(Shape::SshAuth).boxed(),
    }
}

impl Shape {
    /// The type of the source.
    fn source_type(&self) -> &'static str {
        match self {
            Self::Tls => "kubernetes.io/tls",
            _ => "Opaque",
        }
    }

    /// The keys of the source.
    fn keys(&self) -> Vec<&str> {
        match self {
            Self::Single(keys) | Self::Whole(keys) | Self::Variables(keys) => keys.iter().map(String::as_str).collect(),
            Self::BasicAuth | Self::Registry(_) => vec!["username", "password"],
            Self::SshAuth => vec!["ssh-privatekey"],
            Self::Tls => vec!["tls.crt", "tls.key"],
        }
    }

    /// The type of a copy and what makes each of its keys; nothing if it is copied as it is.
    fn template(&self) -> Option<(&'static str, Value)> {
        // The name that templates know the value of a key by.
        let value = |place: usize| format!("{{{{ .v{place} }}}}");
        let under = |names: &[&str]| {
            let keys = names.iter().enumerate().map(|(place, name)| ((*name).to_owned(), json!(value(place))));
            Value::Object(keys.collect())
        };
        match self {
            Self::Single(_) | Self::Whole(_) => None,
            Self::Variables(keys) => {
                let names: Vec<String> = keys.iter().map(|key| variable(key)).collect();
                Some(("Opaque", under(&names.iter().map(String::as_str).collect::<Vec<_>>())))
            }
            Self::BasicAuth => Some(("kubernetes.io/basic-auth", under(&self.keys()))),
            Self::SshAuth => Some(("kubernetes.io/ssh-auth", under(&self.keys()))),
            Self::Tls => Some(("kubernetes.io/tls", under(&self.keys()))),
            Self::Registry(host) => {
                let auth = r#"(printf "%s:%s" .v0 .v1 | b64enc)"#;
                let config = format!(
                    r#"{{{{ dict "auths" (dict "{host}" (dict "username" .v0 "password" .v1 "auth" {auth})) | toJson }}}}"#
                );
                Some(("kubernetes.io/dockerconfigjson", json!({ ".dockerconfigjson": config })))
            }
        }
    }

    /// Keys of the source `name` that the ExternalSecret reads.
    fn reads(&self, name: &str) -> (&'static str, Value) {
        if let Self::Whole(_) = self {
            return ("dataFrom", json!([{ "extract": { "key": name, "decodingStrategy": "None" } }]));
        }
        let entries = self.keys().into_iter().enumerate().map(|(place, key)| {
            let known_by = if self.template().is_some() { format!("v{place}") } else { key.to_owned() };
            json!({ "secretKey": known_by,
                "remoteRef": { "key": name, "property": key, "decodingStrategy": "None" } })
        });
        ("data", Value::Array(entries.collect()))
    }
}

/// A key as the name of an environment variable.
fn variable(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

impl Addition {
    /// Any credential; its type is taken in turn by `number`. `None` if the configuration has no pattern for one.
    pub(super) fn strategy(model: &Model, number: u32) -> Option<BoxedStrategy<Self>> {
        let any = ("[a-z0-9]{10}", pick(), shape(number));
        (!blueprints(model).is_empty())
            .then(|| any.prop_map(|(tag, blueprint, shape)| Self { tag, blueprint, shape }).boxed())
    }

    /// The name of all its objects.
    pub(super) fn name(&self) -> String {
        format!("credence-{}", self.tag)
    }

    pub(super) fn title(&self, model: &Model) -> String {
        let like = self.blueprint(model).distribution.pointer("/metadata/name").and_then(Value::as_str);
        let kind = self.shape.template().map_or("Opaque", |(kind, _)| kind);
        format!("a new credential of type {kind}, after the pattern of {}", like.unwrap_or_default())
    }

    fn blueprint<'a>(&self, model: &'a Model) -> &'a Blueprint {
        self.blueprint.of::<&Blueprint>(&blueprints(model))
    }

    /// Model of what it alone asks for. `None` if no such credential can be added, which would be a fault of the suite.
    pub(super) fn model(&self, model: &Model) -> Option<Model> {
        let manifests = self.manifests(model, "");
        Some(Model::derive(&Config::of_checked(manifests).ok()?))
    }

    /// Its objects, labelled for the run that they belong to.
    pub(super) fn manifests(&self, model: &Model, run: &str) -> Vec<Manifest> {
        let blueprint = self.blueprint(model);
        let name = self.name();
        let namespace = &blueprint.source.namespace;
        let account_namespace = &blueprint.account["metadata"]["namespace"];
        let placeholders = self.shape.keys().into_iter().map(|key| (key.to_owned(), json!("placeholder")));
        let secret = json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": name, "namespace": namespace },
            "type": self.shape.source_type(), "stringData": Value::Object(placeholders.collect()) });
        let mut account = blueprint.account.clone();
        account["metadata"] = json!({ "name": name, "namespace": account_namespace });
        let mut objects = vec![secret, account];
        for (number, (binding, role)) in blueprint.rights.iter().enumerate() {
            let own = format!("{name}-{number}");
            let mut binding = binding.clone();
            let place = binding["metadata"]["namespace"].clone();
            binding["metadata"] = json!({ "name": own, "namespace": place });
            binding["subjects"] = json!([{ "kind": "ServiceAccount", "name": name, "namespace": account_namespace }]);
            if let Some(role) = role {
                binding["roleRef"]["name"] = json!(own);
                let mut role = role.clone();
                role["metadata"] = json!({ "name": own, "namespace": place });
                for rule in role["rules"].as_array_mut().into_iter().flatten() {
                    // A rule that names no source gives them all; the new one is then no better than its pattern.
                    if rule["resourceNames"].as_array().is_some_and(|names| !names.is_empty()) {
                        rule["resourceNames"] = json!([name]);
                    }
                }
                objects.push(role);
            }
            objects.push(binding);
        }
        objects.extend([self.store(blueprint), self.distribution(blueprint)]);
        for object in &mut objects {
            object["metadata"]["labels"][RUN_LABEL] = json!(run);
        }
        let file = PathBuf::from("extension");
        objects.into_iter().map(|object| Manifest::made(file.clone(), 1, object)).collect()
    }

    fn store(&self, blueprint: &Blueprint) -> Value {
        let mut store = blueprint.store.clone();
        store["metadata"] = json!({ "name": self.name() });
        store["spec"]["provider"]["kubernetes"]["auth"]["serviceAccount"]["name"] = json!(self.name());
        // Its conditions say what its selector says, if stores have any.
        if store["spec"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty()) {
            store["spec"]["conditions"] = json!([{ "namespaceSelector": self.selector(blueprint) }]);
        }
        store
    }

    fn distribution(&self, blueprint: &Blueprint) -> Value {
        let name = self.name();
        let mut distribution = blueprint.distribution.clone();
        distribution["metadata"] = json!({ "name": name });
        let spec = &mut distribution["spec"];
        for deprecated in ["namespaceSelector", "namespaces"] {
            spec.as_object_mut().map(|spec| spec.remove(deprecated));
        }
        spec["externalSecretName"] = json!(name);
        spec["namespaceSelectors"] = json!([self.selector(blueprint)]);
        let reads = &mut spec["externalSecretSpec"];
        reads["secretStoreRef"]["name"] = json!(name);
        for way in ["data", "dataFrom"] {
            reads.as_object_mut().map(|reads| reads.remove(way));
        }
        let (way, entries) = self.shape.reads(&name);
        reads[way] = entries;
        let target = &mut reads["target"];
        target["name"] = json!(name);
        match self.shape.template() {
            Some((kind, data)) => {
                let mut labels = target.pointer("/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
                // It is for none of these.
                for consumer in [ARGO_CD_LABEL, KARGO_LABEL] {
                    labels.as_object_mut().map(|labels| labels.remove(consumer));
                }
                let metadata = json!({ "labels": labels });
                target["template"] = json!({ "engineVersion": "v2", "type": kind, "metadata": metadata, "data": data });
            }
            None => drop(target.as_object_mut().map(|target| target.remove("template"))),
        }
        distribution
    }

    /// The pattern's selector with a label of its own, under the same prefix, which policies may go by.
    fn selector(&self, blueprint: &Blueprint) -> Value {
        let prefix = blueprint.label.split_once('/').map_or(String::new(), |(prefix, _)| format!("{prefix}/"));
        let label = format!("{prefix}{}", self.name());
        let mut selector = json!(blueprint.selector);
        // Only what is there is looked at: a null in its place would be refused.
        if let Some(labels) = selector.get_mut("matchLabels").and_then(Value::as_object_mut)
            && let Some(value) = labels.remove(&blueprint.label)
        {
            labels.insert(label.clone(), value);
        }
        let requirements = selector.get_mut("matchExpressions").and_then(Value::as_array_mut);
        for requirement in requirements.into_iter().flatten() {
            if requirement["key"] == blueprint.label.as_str() {
                requirement["key"] = json!(label);
            }
        }
        selector
    }
}

#[cfg(test)]
mod tests {
    use credence_model::model::testing::reference;
    use credence_model::model::{Distribution, ExpectedKeys, expected_in};
    use proptest::strategy::ValueTree;
    use rstest::rstest;

    use super::*;
    use crate::generate;

    fn addition(model: &Model, number: u32) -> Addition {
        let mut runner = generate::runner(7, "p15/slot", number);
        Addition::strategy(model, number).unwrap().new_tree(&mut runner).unwrap().current()
    }

    #[test]
    fn an_addition_asks_for_one_more_copy_and_changes_nothing_else() {
        let model = reference();
        for number in 0..50 {
            let addition = addition(&model, number);
            let more = addition.model(&model).unwrap();
            let [distribution] = &more.distributions[..] else { panic!("{addition:?}") };
            let ways = distribution.opt_in_labels();
            let [way] = &ways[..] else { panic!("{addition:?}: {ways:?}") };
            let key = format!("secrets/{}", addition.name());
            assert_eq!(way.get(&key).map(String::as_str), Some("true"), "{addition:?}");
            let all = model.with(&more);
            assert_eq!(expected_in(&all, "n", way).keys().collect::<Vec<_>>(), [&addition.name()]);
            for other in model.distributions.iter().flat_map(Distribution::opt_in_labels) {
                let (before, after) = (expected_in(&model, "n", &other), expected_in(&all, "n", &other));
                assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
            }
            assert!(all.distributions.is_sorted_by(|a, b| a.name < b.name));
        }
    }

    #[test]
    fn a_label_that_a_policy_lists_is_no_pattern_for_another() {
        let mut model = reference();
        let listed = model.blueprints[0].label.clone();
        model.listed_labels.insert(listed.clone(), "labels".to_owned());
        assert!(blueprints(&model).iter().all(|blueprint| blueprint.label != listed));
        assert!(Addition::strategy(&model, 0).is_some());
        model.listed_labels = model.blueprints.iter().map(|one| (one.label.clone(), "labels".to_owned())).collect();
        assert!(Addition::strategy(&model, 0).is_none());
    }

    #[test]
    fn its_account_may_read_its_own_source_and_nothing_else() {
        let model = reference();
        let addition = addition(&model, 0);
        let manifests = addition.manifests(&model, "run");
        let role = manifests.iter().find(|manifest| manifest.kind() == "Role").unwrap();
        assert_eq!(role.object["rules"][0]["resourceNames"], json!([addition.name()]));
        assert!(manifests.iter().all(|manifest| manifest.object["metadata"]["labels"][RUN_LABEL] == "run"));
    }

    #[test]
    fn every_label_of_one_key_is_a_pattern() {
        let model = reference();
        let labels: std::collections::BTreeSet<&str> = model.blueprints.iter().map(|one| one.label.as_str()).collect();
        let expected = ["secrets/gh-docker-registry", "secrets/gh-oauth-credentials", "secrets/wildcard-tls"];
        assert_eq!(labels, expected.into());
    }

    #[rstest]
    #[case::variables(Shape::Variables(vec!["ci-token".into(), "licence.txt".into()]), &["CI_TOKEN", "LICENCE_TXT"])]
    #[case::basic_auth(Shape::BasicAuth, &["password", "username"])]
    #[case::registry(Shape::Registry("h".into()), &[".dockerconfigjson"])]
    #[case::single(Shape::Single(vec!["k8s.io_x".into()]), &["k8s.io_x"])]
    #[case::whole(Shape::Whole(vec!["b".into(), "a".into()]), &["a", "b"])]
    #[test]
    fn a_copy_has_the_keys_of_its_shape(#[case] shape: Shape, #[case] keys: &[&str]) {
        let model = reference();
        let addition = Addition { shape, ..addition(&model, 0) };
        let more = addition.model(&model).unwrap();
        assert_eq!(
            more.distributions[0].keys,
            ExpectedKeys::Exactly(keys.iter().map(|key| (*key).to_owned()).collect())
        );
    }
}
