//! Secrets that look like copies, and what is in them. Pure.
//!
//! One looks like a copy that has the labels of a distribution or the name of a copy, or that a consumer takes for
//! where it takes the copy: by its label or as a pull secret, for the same endpoint. One for another endpoint is no
//! credential of the distribution, whatever its type.

use std::collections::BTreeMap;

use credence_core::credential::Credential;
use credence_core::formats::{self, ARGO_CD_LABEL, KARGO_LABEL};
use credence_core::labels::Labels;
use credence_model::config::OPAQUE;
use credence_model::model::{Distribution, ExpectedKeys};
use credence_watch::observer::SecretSeen;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::testbed::secret_types::{BASIC_AUTH, OLD_PULL_SECRET, PULL_SECRET, required_keys};

/// A registry that nobody uses.
const NOWHERE: &str = "registry.example";

/// A Secret that looks like a credential of the distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LookAlike {
    /// Sign that makes it look like one.
    pub(super) by: &'static str,
    /// Its name, if that is what it shares with the copy.
    pub(super) name: Option<String>,
    pub(super) type_: String,
    pub(super) labels: Labels,
}

/// The Secrets that look like the copies of `distribution` while they are beside it: by what consumers find them by only if it is
/// known what endpoints those are for.
pub(super) fn look_alikes(distribution: &Distribution, has_endpoints: bool) -> Vec<LookAlike> {
    let mut all = Vec::new();
    let mut add = |by, type_: &str, labels: Labels| {
        all.push(LookAlike { by, name: None, type_: type_.to_owned(), labels });
    };
    if !distribution.labels.is_empty() {
        add("type and labels", &distribution.secret_type, distribution.labels.clone());
        add("labels", other_type(distribution), distribution.labels.clone());
    }
    if !has_endpoints {
        return all;
    }
    for key in [ARGO_CD_LABEL, KARGO_LABEL] {
        if let Some(value) = distribution.labels.get(key) {
            add("consumer's label and endpoint", OPAQUE, Labels::from([(key.to_owned(), value.clone())]));
        }
    }
    if [PULL_SECRET, OLD_PULL_SECRET].contains(&distribution.secret_type.as_str()) {
        add("type and endpoint", PULL_SECRET, Labels::new());
        add("older type and endpoint", OLD_PULL_SECRET, Labels::new());
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

/// Places at which a copy is used, as far as its consumer reads that of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Endpoints {
    /// Hosts or URLs, as the copy spells them.
    pub(super) all: Vec<String>,
    /// The keys that hold one, with what they hold.
    pub(super) keys: BTreeMap<String, String>,
}

impl Endpoints {
    /// The places that consumers read of `copy`; none of a copy that none of them can read.
    pub(super) fn of(copy: &SecretSeen) -> Self {
        let decoded = formats::decode(&copy.type_, &copy.labels, &copy.data);
        let all = decoded.map(|decoded| decoded.endpoints).unwrap_or_default();
        let texts = copy.data.iter().filter_map(|(key, value)| Some((key.clone(), value.expose_str()?.to_owned())));
        let keys = texts.filter(|(_, text)| all.contains(text)).collect();
        Self { all, keys }
    }
}

/// Data of a hand-made Secret of this type, which the API server takes: the keys that the type wants or else those of
/// the distribution, each holding `value`, for the endpoints of the copy.
pub(super) fn content(
    type_: &str,
    distribution: &Distribution,
    endpoints: &Endpoints,
    value: &Credential,
) -> BTreeMap<String, ByteString> {
    let own: Vec<&str> = match &distribution.keys {
        ExpectedKeys::Exactly(keys) => keys.iter().map(String::as_str).collect(),
        ExpectedKeys::Unknown { .. } => vec!["value"],
    };
    let keys = match required_keys(type_) {
        [] => &own[..],
        required => required,
    };
    let content = |key: &&str| match endpoints.keys.get(*key) {
        Some(endpoint) => ByteString(endpoint.clone().into_bytes()),
        None => written(key, endpoints, value),
    };
    keys.iter().map(|key| ((*key).to_owned(), content(key))).collect()
}

/// Value that is written under a key: the value itself, or a Docker configuration that holds it.
pub(super) fn written(key: &str, endpoints: &Endpoints, value: &Credential) -> ByteString {
    let login = json!({ "username": "hand-made", "password": String::from_utf8_lossy(value.expose()) });
    let hosts = if endpoints.all.is_empty() { &[NOWHERE.to_owned()][..] } else { &endpoints.all };
    let entry = Value::Object(hosts.iter().map(|host| (host.clone(), login.clone())).collect());
    ByteString(match key {
        ".dockerconfigjson" => json!({ "auths": entry }).to_string().into_bytes(),
        ".dockercfg" => entry.to_string().into_bytes(),
        _ => value.expose().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use credence_model::model::Model;
    use credence_model::model::testing::reference;

    use super::*;

    fn distribution<'a>(model: &'a Model, name: &str) -> &'a Distribution {
        model.distributions.iter().find(|distribution| distribution.name == name).unwrap()
    }

    #[test]
    fn what_looks_like_a_credential_follows_from_the_target() {
        let model = reference();
        let by = |name, has_endpoints| -> Vec<&str> {
            look_alikes(distribution(&model, name), has_endpoints).into_iter().map(|made| made.by).collect()
        };
        let pull = by("application-docker-registry", true);
        assert_eq!(pull, ["type and labels", "labels", "type and endpoint", "older type and endpoint"]);
        let kargo = by("kargo-git-credentials", true);
        assert_eq!(kargo, ["type and labels", "labels", "consumer's label and endpoint"]);
        assert_eq!(by("wildcard-tls", true), ["type and labels", "labels"]);
        for name in ["application-docker-registry", "kargo-git-credentials"] {
            assert_eq!(by(name, false), ["type and labels", "labels"], "for where, nobody knows");
        }
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
            for made in look_alikes(distribution, true).into_iter().chain(squatters(distribution)) {
                let data = content(&made.type_, distribution, &Endpoints::default(), &value);
                assert!(!data.is_empty() && required_keys(&made.type_).iter().all(|key| data.contains_key(*key)));
            }
        }
        let docker = content(PULL_SECRET, distribution(&model, "wildcard-tls"), &Endpoints::default(), &value);
        let config: Value = serde_json::from_slice(&docker[".dockerconfigjson"].0).unwrap();
        assert_eq!(config["auths"][NOWHERE]["password"], "a\"b");
    }

    #[test]
    fn what_is_found_by_a_consumer_is_for_the_endpoints_of_the_copy() {
        let model = reference();
        let (registry, kargo) =
            (distribution(&model, "application-docker-registry"), distribution(&model, "kargo-git-credentials"));
        let copy = |distribution: &Distribution, data: &[(&str, &str)]| SecretSeen {
            uid: "1".to_owned(),
            owners: Vec::new(),
            type_: distribution.secret_type.clone(),
            labels: distribution.labels.clone(),
            data: data.iter().map(|(key, value)| ((*key).to_owned(), Credential::new(*value))).collect(),
            resource_version: "1".to_owned(),
            deleting: false,
        };
        let value = Credential::new("hand-made");
        let auths = r#"{"auths":{"ghcr.io":{"username":"u","password":"p","auth":"dTpw"}}}"#;
        let endpoints = Endpoints::of(&copy(registry, &[(".dockerconfigjson", auths)]));
        let made = content(PULL_SECRET, registry, &endpoints, &value);
        let config: Value = serde_json::from_slice(&made[".dockerconfigjson"].0).unwrap();
        assert_eq!(config["auths"]["ghcr.io"]["password"], "hand-made");
        let url = "https://github.com/example-org/";
        let data = [("repoURL", url), ("username", "u"), ("password", "p")];
        let made = content(OPAQUE, kargo, &Endpoints::of(&copy(kargo, &data)), &value);
        assert_eq!((&*made["repoURL"].0, &*made["password"].0), (url.as_bytes(), &b"hand-made"[..]));
    }
}
