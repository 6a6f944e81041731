//! Tenants: ServiceAccounts with rights in their own namespace, who act as themselves.
//!
//! A tenant is made by the administrator and is real: a token of the API server, and RBAC as Kubernetes ships it. What
//! it may not do is refused by the system under test and never by the suite.

use std::fmt;
use std::time::Duration;

use credence_cluster::cluster::ClusterError;
use credence_core::credential::Credential;
use credence_core::id::{CaseId, agent};
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::testbed::TestBed;

/// Life of a token in seconds, longer than any case: the API server's shortest is 600.
const TOKEN_SECONDS: i64 = 3600;
/// Time that the API server may take to know the rights of a new tenant.
const KNOWN: Duration = Duration::from_secs(30);
/// Time between two polls: the API server's knowledge of rights cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Rights of a tenant in its namespace: the user-facing ClusterRoles that every cluster has, bound there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Reads and writes most objects, Secrets among them.
    Edit,
    /// The same, and gives rights in the namespace to others.
    Admin,
    /// Everything there, and changes the namespace itself, as Kubernetes says of `cluster-admin` in a RoleBinding.
    Owner,
}

impl Rights {
    /// Every set of rights, from the fewest to the most.
    pub const ALL: [Self; 3] = [Self::Edit, Self::Admin, Self::Owner];

    /// The name of the ClusterRole.
    pub(crate) fn cluster_role(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Admin => "admin",
            Self::Owner => "cluster-admin",
        }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cluster_role())
    }
}

/// Why there is no tenant.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum TenantError {
    #[error("failed to {act} of tenant {tenant}")]
    Refused {
        /// The act that failed, and on which of its objects.
        act: &'static str,
        /// The namespace and name of its ServiceAccount.
        tenant: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// No client could be made for its token.
    #[error("failed to act as tenant {tenant}")]
    Client {
        /// The namespace and name of its ServiceAccount.
        tenant: String,
        #[source]
        source: ClusterError,
    },
    /// Its rights did not come into force.
    #[error("failed to give tenant {tenant} its rights")]
    NoRights {
        /// The namespace and name of its ServiceAccount.
        tenant: String,
        #[source]
        source: WaitError,
    },
}

/// A ServiceAccount with rights in its namespace.
pub struct Tenant {
    /// Namespace that the tenant lives in.
    pub namespace: String,
    /// The name of its ServiceAccount and its RoleBinding.
    pub name: String,
    /// Rights of the tenant in that namespace.
    pub rights: Rights,
    /// A client that acts as the tenant, with the case as user agent.
    pub client: Client,
    /// The token of that client.
    pub token: Credential,
}

impl Tenant {
    /// Makes a tenant of `case` in `namespace`, and waits until the API server lets it use its rights. There is one at
    /// most for each case, namespace and right.
    ///
    /// # Errors
    /// When an object of it is refused, no client can be made, or its rights do not come into force.
    pub async fn create(env: &TestBed, case: CaseId, namespace: &str, rights: Rights) -> Result<Self, TenantError> {
        let name = format!("credence-{}-{}-{rights}", case.property, case.index);
        let tenant = format!("{namespace}/{name}");
        let admin = env.client_for(case);
        let refused = |act| {
            let tenant = tenant.clone();
            move |source| TenantError::Refused { act, tenant, source: Box::new(source) }
        };
        let metadata = || ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let params = PostParams { field_manager: Some(agent(case)), ..PostParams::default() };
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
        let account = ServiceAccount { metadata: metadata(), ..ServiceAccount::default() };
        accounts.create(&params, &account).await.map_err(refused("create the ServiceAccount"))?;
        let binding = RoleBinding {
            metadata: metadata(),
            role_ref: RoleRef {
                api_group: Some("rbac.authorization.k8s.io".to_owned()),
                kind: "ClusterRole".to_owned(),
                name: rights.cluster_role().to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: name.clone(),
                namespace: Some(namespace.to_owned()),
                ..Subject::default()
            }]),
        };
        let bindings: Api<RoleBinding> = Api::namespaced(admin, namespace);
        bindings.create(&params, &binding).await.map_err(refused("create the RoleBinding"))?;
        let token = token(&accounts, &name).await.map_err(refused("request a token"))?;
        let client = env
            .cluster
            .client_with_token(&agent(case), &token)
            .await
            .map_err(|source| TenantError::Client { tenant: tenant.clone(), source })?;
        until_allowed(&client, namespace).await.map_err(|source| TenantError::NoRights { tenant, source })?;
        Ok(Self { namespace: namespace.to_owned(), name, rights, client, token })
    }

    /// The name by which admission and the audit log know it.
    pub fn user_name(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// Takes the tenant out of its namespace; its token is worth nothing from then on.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn remove(self, env: &TestBed, case: CaseId) -> Result<(), TenantError> {
        let admin = env.client_for(case);
        let tenant = format!("{}/{}", self.namespace, self.name);
        let ended = |act, outcome: Result<(), kube::Error>| match outcome {
            // Gone already, for instance with its namespace.
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            outcome => {
                outcome.map_err(|source| TenantError::Refused { act, tenant: tenant.clone(), source: Box::new(source) })
            }
        };
        let bindings: Api<RoleBinding> = Api::namespaced(admin.clone(), &self.namespace);
        let deleted = bindings.delete(&self.name, &DeleteParams::default()).await.map(drop);
        ended("delete the RoleBinding", deleted)?;
        let accounts: Api<ServiceAccount> = Api::namespaced(admin, &self.namespace);
        let deleted = accounts.delete(&self.name, &DeleteParams::default()).await.map(drop);
        ended("delete the ServiceAccount", deleted)
    }
}

/// A token of the ServiceAccount `name`.
///
/// # Errors
/// When the API server refuses.
pub async fn token(accounts: &Api<ServiceAccount>, name: &str) -> Result<Credential, kube::Error> {
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
    Ok(Credential::new(answer.status.and_then(|status| status.token).unwrap_or_default()))
}

/// Waits until the owner of `client` may create Secrets, which all rights include: RBAC is read from a cache that
/// lags behind.
async fn until_allowed(client: &Client, namespace: &str) -> Result<(), WaitError> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some("create".to_owned()),
        resource: Some("secrets".to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let what = format!("a new tenant of {namespace} may create Secrets");
    wait::poll(&what, KNOWN, POLL_INTERVAL, || async {
        match reviews.create(&PostParams::default(), &review).await {
            Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed) => Progress::Done(()),
            Ok(_) => Progress::NotYet("it may not".to_owned()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}
