//! Forms of a credential that the suite makes of the configuration's own distributions, and who is served by them.

use credence_cluster::apply::RUN_LABEL;
use credence_core::formats::{self, Decoded};
use credence_core::manifest::Manifest;
use credence_core::text::Reason;
use credence_model::config::{ClusterSecretStore, Config, ConfigError, STANDS_IN_FOR, WRITTEN};
use credence_model::model::{Distribution, Model};
use credence_watch::observer::SecretSeen;
use serde_json::{Value, json};

use crate::oracle::{self, Known};

/// Label by which the forms of a case select its namespace.
pub(super) const SELECTED: &str = "credence.dev/transition";

/// A form of a credential: a ClusterExternalSecret of the suite's own.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) object: Value,
    /// The expected content of each copy of it.
    pub(super) distribution: Distribution,
    /// The endpoints that its consumers have the credential for; none as long as they are not known.
    pub(super) endpoints: Option<Vec<String>>,
}

impl Form {
    /// The form of `distribution` with this spec of an ExternalSecret, for the one namespace `selected`. `name` is that of the
    /// ExternalSecret and of the Secret; beside other forms of the namespace, it also tells the ClusterExternalSecret.
    pub(super) fn new(
        model: &Model,
        run: &str,
        distribution: &Distribution,
        spec: &Value,
        (selected, name): (&str, &str),
    ) -> Result<Self, ConfigError> {
        let mut spec = spec.clone();
        spec["target"]["name"] = json!(name);
        read_through(&mut spec, run, distribution.namespace());
        let mut whole = match distribution.namespace() {
            None => distribution.object["spec"].clone(),
            Some(_) => json!({}),
        };
        for field in ["namespaceSelector", "namespaceSelectors", "namespaces"] {
            whole.as_object_mut().and_then(|fields| fields.remove(field));
        }
        whole["externalSecretName"] = json!(name);
        whole["externalSecretSpec"] = spec;
        whole["namespaceSelectors"] = json!([{ "matchLabels": { SELECTED: selected } }]);
        let object = json!({ "apiVersion": distribution.object["apiVersion"], "kind": "ClusterExternalSecret",
            "metadata": { "name": format!("{selected}-{name}"), "labels": { RUN_LABEL: run } }, "spec": whole });
        let distribution = derive(model, run, &object)?;
        Ok(Self { object, distribution, endpoints: None })
    }

    /// The same ClusterExternalSecret with another content, for a change that is made in place.
    pub(super) fn in_place_of(mut self, old: &Self) -> Self {
        self.object["metadata"]["name"] = old.object["metadata"]["name"].clone();
        self.object["spec"]["externalSecretName"] = old.object["spec"]["externalSecretName"].clone();
        self.distribution.name.clone_from(&old.distribution.name);
        self.distribution.external_secret.clone_from(&old.distribution.external_secret);
        self
    }

    /// The name of the ClusterExternalSecret.
    pub(super) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Succeeds if a consumer of this form gets the present `values`, for the endpoints that it knows, out of what is there.
    pub(super) fn served(&self, secret: Option<&SecretSeen>, values: &impl Known) -> Result<(), Reason> {
        let secret = secret.ok_or_else(|| format!("{} is missing", self.distribution.secret))?;
        oracle::matches_source(&self.distribution, secret, values)?;
        match &self.endpoints {
            Some(known) if *known != decode(secret)?.endpoints => {
                Err(format!("{} is for other endpoints than {}", self.distribution.secret, known.join(", ")).into())
            }
            _ => Ok(()),
        }
    }
}

/// Reads a copy as its consumer does.
pub(super) fn decode(secret: &SecretSeen) -> Result<Decoded, Reason> {
    formats::decode(&secret.type_, &secret.labels, &secret.data).map_err(Reason::of)
}

/// The stores of the configuration, under names of the run, for the namespaces of the run.
pub(super) fn stores(model: &Model, run: &str) -> Vec<Value> {
    let mut stores: Vec<Value> = Vec::new();
    for store in model.distributions.iter().flat_map(|distribution| &distribution.stores) {
        let mut spec = store.object["spec"].clone();
        settle_namespaces(&mut spec, store);
        spec["conditions"] = json!([{ "namespaceSelector": { "matchLabels": { RUN_LABEL: run } } }]);
        let mut clone = json!({ "apiVersion": store.object["apiVersion"], "kind": "ClusterSecretStore",
            "metadata": { "name": store_name(run, &store.name), "labels": { RUN_LABEL: run } }, "spec": spec });
        // What stands in for a provider knows the store by its first name, and has what the store had in itself.
        for annotation in [STANDS_IN_FOR, WRITTEN] {
            if let Some(value) = store.object["metadata"]["annotations"].get(annotation) {
                clone["metadata"]["annotations"][annotation] = value.clone();
            }
        }
        if !stores.contains(&clone) {
            stores.push(clone);
        }
    }
    stores
}

/// Says in the provider of a store for all namespaces what one of a single namespace leaves open.
fn settle_namespaces(spec: &mut Value, store: &ClusterSecretStore) {
    let account = store.kubernetes.as_ref().and_then(|provider| provider.service_account());
    if let (Some(account), Some(written)) = (account, spec.pointer_mut("/provider/kubernetes/auth/serviceAccount")) {
        written["namespace"] = json!(account.namespace);
    }
    if let (Some(namespace), Some(written)) =
        (store.namespace(), spec.pointer_mut("/provider/kubernetes/server/caProvider"))
    {
        written["namespace"] = json!(namespace);
    }
    for reference in VAULT_REFERENCES {
        if let (Some(namespace), Some(written)) = (store.namespace(), spec.pointer_mut(reference)) {
            written["namespace"] = json!(namespace);
        }
    }
}

/// Fields that a store logs in to Vault with.
const VAULT_REFERENCES: [&str; 4] = [
    "/provider/vault/auth/kubernetes/serviceAccountRef",
    "/provider/vault/auth/appRole/roleRef",
    "/provider/vault/auth/appRole/secretRef",
    "/provider/vault/auth/tokenSecretRef",
];

/// The name of the store of the run; that of a SecretStore is none of an object.
fn store_name(run: &str, name: &str) -> String {
    format!("credence-{run}-{}", name.replace('/', "."))
}

/// Points every reference to a store at the store of the run. SecretStores are those of `namespace`.
fn read_through(spec: &mut Value, run: &str, namespace: Option<&str>) {
    let rename = |reference: Option<&mut Value>| {
        let Some(reference) = reference else { return };
        let name = reference["name"].as_str().unwrap_or_default();
        let name = match namespace {
            Some(namespace) if reference["kind"] != "ClusterSecretStore" => format!("{namespace}/{name}"),
            _ => name.to_owned(),
        };
        *reference = json!({ "kind": "ClusterSecretStore", "name": store_name(run, &name) });
    };
    rename(spec.get_mut("secretStoreRef"));
    for list in ["data", "dataFrom"] {
        for entry in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            rename(entry.pointer_mut("/sourceRef/storeRef"));
        }
    }
}

/// Promises of the ClusterExternalSecret, by the same rules as those of the configuration.
fn derive(model: &Model, run: &str, object: &Value) -> Result<Distribution, ConfigError> {
    let secrets = model.sources.iter().filter(|(reference, _)| reference.is_secret());
    let sources = secrets.map(|(reference, source)| {
        let keys: serde_json::Map<String, Value> = source.keys.iter().map(|key| (key.clone(), json!(""))).collect();
        json!({ "apiVersion": "v1", "kind": "Secret", "type": source.secret_type, "stringData": keys,
            "metadata": { "name": reference.name, "namespace": reference.namespace } })
    });
    let objects = stores(model, run).into_iter().chain(sources).chain([object.clone()]);
    let manifests = objects.map(|object| Manifest::made("p14".into(), 1, object)).collect();
    let mut derived = Model::derive(&Config::of_checked(manifests)?);
    // A configuration that distributes nothing is an error, and there was one ClusterExternalSecret in it, through
    // stores that serve it.
    Ok(derived.distributions.remove(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use credence_core::credential::Credential;
    use credence_core::manifest::parse_documents;
    use credence_model::config::spec_in;
    use credence_model::model::testing::reference;
    use credence_model::selector::effective_labels;
    use credence_model::values::Values;

    use super::super::change::FormChange;
    use super::*;

    fn form(model: &Model, name: &str, change: Option<FormChange>) -> Form {
        let distribution = model.distributions.iter().find(|distribution| distribution.name == name).unwrap();
        let spec = match change {
            Some(change) => change.apply(distribution).unwrap(),
            None => spec_in(&distribution.object).clone(),
        };
        Form::new(model, "run", distribution, &spec, ("space", "new")).unwrap()
    }

    #[test]
    fn a_form_selects_its_own_namespace_through_stores_of_the_run() {
        let model = reference();
        for distribution in &model.distributions {
            let form = form(&model, &distribution.name, None);
            let labels = |value: &str| BTreeMap::from([(SELECTED.to_owned(), value.to_owned())]);
            assert!(form.distribution.selection.matches(&effective_labels("any", &labels("space"))));
            assert!(!form.distribution.selection.matches(&effective_labels("any", &labels("other"))));
            assert!(!form.distribution.selection.matches(&effective_labels("argocd", &BTreeMap::new())));
            assert!(form.distribution.stores.iter().all(|store| store.name.starts_with("credence-run-")));
            assert_eq!(form.distribution.sources(), distribution.sources());
            assert_eq!((form.name(), form.distribution.secret.as_str()), ("space-new", "new"));
        }
    }

    /// An ExternalSecret of one namespace, through its own store.
    const PLAIN: &str = "\
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: own, namespace: shop}
spec:
  provider:
    kubernetes:
      remoteNamespace: vault
      server: {caProvider: {type: ConfigMap, name: kube-root-ca.crt, key: ca.crt}}
      auth: {serviceAccount: {name: reader}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: login, namespace: shop}
spec:
  secretStoreRef: {name: own}
  data:
    - {secretKey: user, remoteRef: {key: source, property: username}}
    - {secretKey: password, remoteRef: {key: source, property: password}, sourceRef: {storeRef: {name: own}}}
";

    #[test]
    fn forms_of_a_plain_external_secret_read_through_a_store_for_all_namespaces() {
        let manifests = parse_documents(Path::new("a.yaml"), PLAIN).unwrap();
        let model = Model::derive(&Config::from_manifests(manifests).unwrap());
        let [store] = stores(&model, "run").try_into().unwrap();
        assert_eq!(
            (&store["kind"], &store["metadata"]["name"]),
            (&json!("ClusterSecretStore"), &json!("credence-run-shop.own"))
        );
        let provider = &store["spec"]["provider"]["kubernetes"];
        assert_eq!(provider["auth"]["serviceAccount"], json!({ "name": "reader", "namespace": "shop" }));
        assert_eq!(provider["server"]["caProvider"]["namespace"], "shop");
        for change in [None, Some(FormChange::Type), Some(FormChange::Keys)] {
            let form = form(&model, "shop/login", change);
            assert_eq!(form.object["kind"], "ClusterExternalSecret");
            assert_eq!(form.distribution.stores[0].name, "credence-run-shop.own");
            assert_eq!(form.distribution.sources(), model.distributions[0].sources());
        }
    }

    /// A store as it is tested: a stand-in for AWS, and what was a search there.
    const STOOD_IN: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: cloud, annotations: {credence.dev/stands-in-for: aws/cloud}}
spec: {provider: {webhook: {url: 'https://127.0.0.1:1/cloud?key={{ .remoteRef.key }}', result: {}}}}
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: settings}
spec:
  namespaceSelectors: [{matchLabels: {settings: wanted}}]
  externalSecretSpec:
    secretStoreRef: {kind: ClusterSecretStore, name: cloud}
    dataFrom: [{extract: {key: 'found by {\"tags\":{\"team\":\"shop\"}}'}}]
";

    #[test]
    fn a_form_reads_through_the_stand_in_what_the_configuration_reads_through_it() {
        let manifests = parse_documents(Path::new("a.yaml"), STOOD_IN).unwrap();
        let model = Model::derive(&Config::from_manifests(manifests).unwrap());
        let form = form(&model, "settings", None);
        assert_eq!(form.distribution.stores[0].name, "credence-run-cloud");
        assert_eq!(form.distribution.sources(), model.distributions[0].sources());
    }

    #[test]
    fn only_the_consumers_of_a_form_are_served_by_it() {
        let model = reference();
        let secret = |form: &Form, data: &[(&str, &str)]| SecretSeen {
            uid: String::new(),
            owners: Vec::new(),
            type_: form.distribution.secret_type.clone(),
            labels: form.distribution.labels.clone(),
            data: data.iter().map(|(key, value)| ((*key).to_owned(), Credential::new(*value))).collect(),
            resource_version: String::new(),
            deleting: false,
        };
        let values = Values::from(
            [("client-id", "a"), ("client-secret", "b")].map(|(key, value)| (key.to_owned(), Credential::new(value))),
        );
        let old = form(&model, "backstage-oauth-credentials", None);
        let new = form(&model, "backstage-oauth-credentials", Some(FormChange::Keys));
        let before = secret(&old, &[("AUTH_GITHUB_CLIENT_ID", "a"), ("AUTH_GITHUB_CLIENT_SECRET", "b")]);
        let after = secret(&new, &[("v2_AUTH_GITHUB_CLIENT_ID", "a"), ("v2_AUTH_GITHUB_CLIENT_SECRET", "b")]);
        assert_eq!(old.served(Some(&before), &values), Ok(()));
        assert_eq!(new.served(Some(&after), &values), Ok(()));
        assert!(old.served(Some(&after), &values).is_err() && new.served(Some(&before), &values).is_err());
        assert!(old.served(None, &values).is_err());
        let other = Form { endpoints: Some(vec!["ghcr.io".to_owned()]), ..old };
        assert!(other.served(Some(&before), &values).unwrap_err().as_str().contains("other endpoints than ghcr.io"));
    }
}
