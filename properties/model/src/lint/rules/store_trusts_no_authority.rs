//! Stores of Kubernetes that do not find the certificate of the API server.

use credence_core::id::Requirement;

use crate::config::ClusterSecretStore;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "store-trusts-no-authority",
    requirement: Requirement::new(2, 1),
    severity: Severity::Error,
    summary: "a store does not find the certificate of the API server",
    help: "Name it in server.caProvider: for the cluster itself {type: ConfigMap, name: kube-root-ca.crt, key: ca.crt}, in a ClusterSecretStore with the namespace of the sources. Without it the operator refuses the store, or trusts no server.",
    check,
};

/// The ConfigMap that Kubernetes puts into every namespace, and its only key.
const OF_KUBERNETES: (&str, &str) = ("kube-root-ca.crt", "ca.crt");

fn check(context: &Context<'_>) -> Vec<Finding> {
    let stores = context.config.stores.values();
    stores.filter_map(|store| Some(RULE.at(&store.place, fault(context, store)?))).collect()
}

/// Source: External Secrets Operator, `ValidateStore` (pkg/provider/kubernetes/validate.go) and `FetchCACertFromSource`
/// (pkg/esutils/utils.go).
fn fault(context: &Context<'_>, store: &ClusterSecretStore) -> Option<String> {
    store.kubernetes.as_ref()?;
    let kubernetes = &store.object["spec"]["provider"]["kubernetes"];
    let server = &kubernetes["server"];
    if !kubernetes["authRef"].is_null() || !server["caBundle"].is_null() {
        return None;
    }
    let provider = &server["caProvider"];
    let text = |field: &str| provider[field].as_str();
    match (store.namespace(), text("namespace")) {
        _ if provider.is_null() => return Some("server has neither caProvider nor caBundle".to_owned()),
        (None, None) => {
            return Some("server.caProvider names no namespace, which a ClusterSecretStore needs".to_owned());
        }
        (Some(_), Some(_)) => {
            return Some("server.caProvider names a namespace, which a SecretStore must not".to_owned());
        }
        _ => {}
    }
    let (kind, name, key) = (text("type")?, text("name")?, text("key")?);
    if kind == "ConfigMap" && name == OF_KUBERNETES.0 {
        let (name, own) = OF_KUBERNETES;
        return (key != own)
            .then(|| format!("server.caProvider reads {key} of ConfigMap {name}, which has {own} alone"));
    }
    let namespace = text("namespace").or(store.namespace())?;
    let mut written = context.config.of_kind("", kind);
    let written = written.find(|one| one.name() == name && one.namespace().unwrap_or("default") == namespace)?;
    let fields = ["data", "stringData"].into_iter().filter_map(|field| written.object.get(field)?.as_object());
    let keys: Vec<&String> = fields.flat_map(|fields| fields.keys()).collect();
    let is_absent = !keys.is_empty() && !keys.into_iter().any(|own| own == key);
    is_absent.then(|| format!("server.caProvider reads {key} of {kind} {namespace}/{name}, which does not have it"))
}
