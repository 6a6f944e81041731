//! Requests of a tenant, each of which a policy of its own kind refuses. Nothing is left of them: they are dry runs, which
//! admission judges as it does a write.

use credence_core::text::chain;
use credence_model::model::Distribution;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Map, Value, json};

use crate::testbed::operator_api;
use crate::testbed::secret_types::required_keys;
use crate::testbed::tenant::Tenant;

/// Request of a tenant that policies may refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// A Secret like a copy.
    HandMade,
    /// The label of a copy, on the tenant's own namespace.
    Label,
    /// An ExternalSecret that reads the store of a copy.
    Reader,
    /// A SecretStore that takes what it logs in with from elsewhere.
    Store,
    /// An ExternalSecret whose template reads beyond its namespace.
    Template,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    Allowed,
    /// Refused by the policy with this binding.
    Refused(String),
    /// Refused by something else, or not answered.
    Failed(String),
}

impl Probe {
    pub(super) const ALL: [Self; 5] = [Self::HandMade, Self::Label, Self::Reader, Self::Store, Self::Template];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::HandMade => "a hand-made copy",
            Self::Label => "the label of a copy",
            Self::Reader => "an ExternalSecret that reads a central store",
            Self::Store => "a SecretStore with a login from elsewhere",
            Self::Template => "a template that reads beyond its namespace",
        }
    }

    /// Makes the request about `distribution`, as `tenant`, with this field manager.
    pub(super) async fn make(self, tenant: &Tenant, distribution: &Distribution, manager: &str) -> Written {
        let own = (tenant.client.clone(), tenant.namespace.as_str(), manager);
        let store = distribution.stores.first();
        match self {
            Self::HandMade => create_secret(own, &hand_made(distribution)).await,
            Self::Label => label(own, distribution).await,
            Self::Reader => {
                let (kind, name) =
                    store.map_or(("ClusterSecretStore", "none"), |store| (store.kind(), store.object_name()));
                create(own, "ExternalSecret", &external_secret(kind, name, json!(null))).await
            }
            Self::Store => create(own, "SecretStore", &elsewhere()).await,
            Self::Template => {
                let reads = "{{ getSecretKey \"none\" \"none\" \"none\" }}";
                let template = json!({ "engineVersion": "v2", "data": { "key": reads } });
                create(own, "ExternalSecret", &external_secret("SecretStore", "credence-own", template)).await
            }
        }
    }
}

/// Writes what is like no copy: a refusal of anything else would be for want of rights.
pub(super) async fn plain(tenant: &Tenant, manager: &str) -> Written {
    let secret = json!({ "metadata": { "name": "credence-plain" }, "type": "Opaque", "stringData": { "key": "none" } });
    create_secret((tenant.client.clone(), &tenant.namespace, manager), &secret).await
}

async fn create_secret((client, namespace, manager): (Client, &str, &str), secret: &Value) -> Written {
    // An object of texts is a Secret.
    let secret: Secret = serde_json::from_value(secret.clone()).expect("a well-formed Secret");
    let params = PostParams { dry_run: true, field_manager: Some(manager.to_owned()) };
    read(Api::namespaced(client, namespace).create(&params, &secret).await)
}

async fn create((client, namespace, manager): (Client, &str, &str), kind: &str, spec: &Value) -> Written {
    let objects = operator_api::api(&client, kind, Some(namespace));
    let object = DynamicObject::new("credence-probe", &operator_api::resource(kind)).data(json!({ "spec": spec }));
    let params = PostParams { dry_run: true, field_manager: Some(manager.to_owned()) };
    read(objects.create(&params, &object).await)
}

async fn label((client, namespace, manager): (Client, &str, &str), distribution: &Distribution) -> Written {
    let labels = distribution.opt_in_labels().into_iter().next().unwrap_or_default();
    let patch = json!({ "metadata": { "labels": labels } });
    let params = PatchParams { dry_run: true, field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    read(Api::<Namespace>::all(client).patch_metadata(namespace, &params, &Patch::Merge(patch)).await)
}

fn read<T>(answer: Result<T, kube::Error>) -> Written {
    match answer {
        Ok(_) => Written::Allowed,
        Err(kube::Error::Api(status)) => match binding_of(&status.message) {
            Some(binding) => Written::Refused(binding),
            None => Written::Failed(status.message.clone()),
        },
        Err(error) => Written::Failed(chain(&error)),
    }
}

/// The binding that a refusal names (k8s.io/apiserver pkg/admission/plugin/policy/validating/dispatcher.go).
fn binding_of(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("with binding '")?;
    let (binding, rest) = rest.split_once('\'')?;
    rest.starts_with(" denied request").then(|| binding.to_owned())
}

fn external_secret(kind: &str, store: &str, template: Value) -> Value {
    let mut distribution = json!({ "name": "credence-probe" });
    if !template.is_null() {
        distribution["template"] = template;
    }
    json!({ "refreshInterval": "1h", "secretStoreRef": { "kind": kind, "name": store }, "target": distribution,
        "data": [{ "secretKey": "key", "remoteRef": { "key": "none", "property": "none" } }] })
}

/// A store by a kubeconfig, which may name files of the operator.
fn elsewhere() -> Value {
    json!({ "provider": { "kubernetes": { "authRef": { "name": "none", "key": "none" } } } })
}

/// A Secret like a copy of `distribution`, without a credential. Kubernetes insists on the keys of its type before it asks any
/// policy.
fn hand_made(distribution: &Distribution) -> Value {
    let keys = match required_keys(&distribution.secret_type) {
        [] => &["key"],
        required => required,
    };
    // Docker configurations have to be JSON.
    let text = |key: &str| if key.starts_with(".docker") { "{}" } else { "none" };
    let data: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!(text(key)))).collect();
    json!({ "metadata": { "name": "credence-hand-made", "labels": distribution.labels },
        "type": distribution.secret_type, "stringData": data })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::binding_of;

    #[rstest]
    #[case::a_policy(
        "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: hand-made",
        Some("b")
    )]
    #[case::rbac("secrets is forbidden: User \"x\" cannot create resource \"secrets\"", None)]
    #[case::a_policy_that_failed(
        "failed to configure binding: ValidatingAdmissionPolicy 'p' with binding 'b' failed",
        None
    )]
    fn a_refusal_by_policy_names_its_binding(#[case] message: &str, #[case] binding: Option<&str>) {
        assert_eq!(binding_of(message).as_deref(), binding);
    }
}
