//! The bindings that give a ServiceAccount its rights in a namespace.

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::FIELD_MANAGER;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

/// A RoleBinding or a ClusterRoleBinding.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Namespace of a RoleBinding; none for a ClusterRoleBinding.
    pub namespace: Option<String>,
    /// Name of the RoleBinding or ClusterRoleBinding.
    pub name: String,
    /// Subjects that it gives rights.
    pub subjects: Vec<Subject>,
    /// Role or ClusterRole whose rights it gives.
    pub role: RoleRef,
}

impl Binding {
    /// All bindings that are in force in a namespace.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn effective(client: &Client, namespace: &str) -> Result<Vec<Self>, ApiError> {
        let failed = |kind: &str| ApiError::of::<ApiError>("list", kind);
        let inside: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        let inside = inside.list(&ListParams::default()).await.map_err(failed("RoleBindings"))?;
        let everywhere: Api<ClusterRoleBinding> = Api::all(client.clone());
        let everywhere = everywhere.list(&ListParams::default()).await.map_err(failed("ClusterRoleBindings"))?;
        let inside = inside.items.into_iter().map(|binding| Self {
            namespace: Some(namespace.to_owned()),
            name: binding.name_any(),
            subjects: binding.subjects.unwrap_or_default(),
            role: binding.role_ref,
        });
        let everywhere = everywhere.items.into_iter().map(|binding| Self {
            namespace: None,
            name: binding.name_any(),
            subjects: binding.subjects.unwrap_or_default(),
            role: binding.role_ref,
        });
        Ok(inside.chain(everywhere).collect())
    }

    /// Its name behind its namespace, if it has one: `NAMESPACE/NAME`.
    pub fn full_name(&self) -> String {
        self.namespace.iter().chain([&self.name]).map(String::as_str).collect::<Vec<_>>().join("/")
    }

    /// True if it names this ServiceAccount.
    pub fn names(&self, namespace: &str, account: &str) -> bool {
        self.subjects.iter().any(|subject| is_account(subject, namespace, account))
    }

    /// Writes these subjects in the place of those that it had when it was read, which can be written back the same way.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn set(&self, client: &Client, subjects: &[&Subject]) -> Result<(), ApiError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "subjects": subjects }));
        let patched = match &self.namespace {
            Some(namespace) => {
                let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
                bindings.patch_metadata(&self.name, &params, &patch).await.map(drop)
            }
            None => {
                let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
                bindings.patch_metadata(&self.name, &params, &patch).await.map(drop)
            }
        };
        patched.map_err(ApiError::of("change the subjects of", &format!("binding {}", self.name)))
    }
}

/// True if a subject is this ServiceAccount.
pub fn is_account(subject: &Subject, namespace: &str, account: &str) -> bool {
    subject.kind == "ServiceAccount" && subject.name == account && subject.namespace.as_deref() == Some(namespace)
}
