//! The real consumers of copies, and the forge that they log in to.
//!
//! ```text
//!  copy ──▶ kubelet, Argo CD, Kargo, OAuth client ──▶ forge ──▶ its request log is the oracle
//!      └──▶ HTTPS server ◀── client that trusts the run's authority
//! ```
//!
//! A consumer that cannot run here is absent, with the reason: no case is generated for it, and the report says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backstage::Portal;
use credence_harness::argo_cd::ArgoCd;
use credence_harness::certificates::Authority;
use credence_harness::credential::Credential;
use credence_harness::forge::{Forge, Mark, Offered, Organization, Request};
use credence_harness::image::{Layer, Registry, Settings};
use credence_harness::kargo::Kargo;
use pod::PodNode;

mod argo_cd;
mod backstage;
mod deployment;
mod kargo;
mod kargo_rules;
mod kubelet;
mod oauth;
mod pod;
mod preparation;
mod setup;
mod site;
mod start;
mod tls;

use crate::endpoints::Endpoints;

pub use argo_cd::{Followed, SyncError};
pub use backstage::{PORTAL_IMAGE, PORTAL_VARIABLES, PortalDeployment, PortalError, catalog_file};

pub use kargo::{DiscoveryError, Subscribed};
pub use kargo_rules::LookupError;
pub use kubelet::{Pull, PullError, SecondTry};
pub use pod::PodError;
pub use preparation::Preparation;
pub use setup::{Nodes, Setup, absent};
pub use site::Site;
pub use start::StartError;
pub use start::start;

/// What a consumer got for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It got in.
    Admitted,
    /// It did not; what it says about that, without values.
    Refused(String),
}

/// The running consumers. Those that are absent are `None`.
pub struct Consumers {
    site: Site,
    // A node has to end before the cluster that it belongs to, and the forge outlives those who ask it.
    node: Option<PodNode>,
    argo_cd: Option<ArgoCd>,
    kargo: Option<Kargo>,
    portal: Option<Portal>,
    /// The forge.
    pub forge: Forge,
    /// Where credentials are used.
    pub endpoints: Endpoints,
    organizations: BTreeMap<String, Organization>,
    pusher: Registry,
    sleeper: (std::sync::Arc<Layer>, Settings),
    person: Person,
    /// Signs the forge's certificates, and those that servers are given.
    pub authority: Authority,
    directory: std::path::PathBuf,
    names: AtomicU32,
    /// How long they took to start, side by side.
    pub took: Duration,
}

/// A user of the forge who signs in to applications.
struct Person {
    name: String,
    password: Credential,
    /// Held while the person is at the forge: Gitea records a first consent to an application once, and fails a second
    /// one at the same moment.
    browser: tokio::sync::Mutex<()>,
}

impl Consumers {
    /// A name that no repository, image, pod or Application of this run has yet. It begins with that of the case.
    pub fn unused_name(&self, case: crate::id::CaseId) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}-{number}", case.property, case.index)
    }

    /// Lets a user of the forge read what the owners in the consumers' manifests own.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn admit(&self, user: &str) -> Result<(), credence_harness::forge::ForgeError> {
        let owners: BTreeSet<&str> = self.endpoints.owners().into_iter().map(|owner| owner.name.as_str()).collect();
        for owner in owners {
            if let Some(organization) = self.organizations.get(owner) {
                self.forge.grant_read(organization, user).await?;
            }
        }
        Ok(())
    }

    /// The requests after `mark` that are about the repository or image `name`.
    pub async fn requests_about(&self, mark: &Mark, name: &str) -> Vec<Request> {
        let mut requests = self.forge.since(mark).await;
        requests.retain(|request| is_about(request, name));
        requests
    }

    /// Writes the logs of those that run in pods beside those of the others, for a person to look at.
    pub async fn save_logs(&self) {
        if let Some(argo_cd) = &self.argo_cd {
            argo_cd.save_logs().await;
        }
    }

    /// Resolves when a program of a consumer ends by itself, with the reason and its last log lines.
    pub async fn died(&self) -> String {
        let node = async {
            match &self.node {
                Some(PodNode::Own(node)) => node.died().await.to_string(),
                // That of kind is the cluster, whose end others watch for.
                Some(PodNode::Kind(_)) | None => std::future::pending().await,
            }
        };
        let argo_cd = async {
            match &self.argo_cd {
                Some(argo_cd) => argo_cd.died().await.to_string(),
                None => std::future::pending().await,
            }
        };
        let kargo = async {
            match &self.kargo {
                Some(kargo) => kargo.died().await.to_string(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            death = node => death,
            death = argo_cd => death,
            death = kargo => death,
            death = self.forge.died() => death.to_string(),
        }
    }
}

/// Whether a request is about the repository or the image of this name.
fn is_about(request: &Request, name: &str) -> bool {
    let scope = request.query.get("scope").and_then(Option::as_deref);
    // Names end in a number, so one could begin like another.
    let about = |text: &str| text.split(['/', ':', '.']).any(|part| part == name);
    about(&request.path) || scope.is_some_and(about)
}

/// Whether the server refused a request for who made it, or hid from it that there is anything.
pub(crate) fn is_denial(request: &Request) -> bool {
    request.status.is_some_and(|status| matches!(status, 400 | 401 | 403 | 404))
}

/// Whether the server refused a credential that came with the request. Clients that have one ask without it first, or, as
/// git does for a URL with a user name, with an empty password.
pub(crate) fn refuses_credential(request: &Request) -> bool {
    let secret = match &request.offered {
        Offered::Basic { secret, .. } | Offered::Token { secret } | Offered::Client { secret, .. } => secret,
        Offered::Nothing | Offered::Bearer { .. } | Offered::Session | Offered::Other => return false,
    };
    is_denial(request) && *secret != Credential::new("").fingerprint()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_harness::manifest::parse_documents;
    use rstest::rstest;

    use super::*;
    use crate::bundle::Bundle;
    use crate::consumer::Consumer;
    use crate::model::Model;

    const STORE: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: s}
spec: {provider: {kubernetes: {remoteNamespace: central}}}
---
";

    #[rstest]
    #[case::given(&[], Some(Consumer::KargoGit))]
    #[case::not_given(&[Consumer::KargoGit], Some(Consumer::KargoGitRules))]
    #[case::neither(&[Consumer::KargoGit, Consumer::KargoGitRules], None)]
    fn the_rules_stand_in_for_the_controller_alone(#[case] absent: &[Consumer], #[case] expected: Option<Consumer>) {
        let absent: BTreeMap<Consumer, String> = absent.iter().map(|consumer| (*consumer, String::new())).collect();
        assert_eq!(Consumer::KargoGit.among(&absent), expected);
        let absent = BTreeMap::from([(Consumer::ArgoCd, String::new())]);
        assert_eq!(Consumer::ArgoCd.among(&absent), None);
    }

    #[rstest]
    #[case::registry("type: kubernetes.io/dockerconfigjson", Some(Consumer::Kubelet))]
    #[case::certificate("type: kubernetes.io/tls", Some(Consumer::TlsServer))]
    #[case::argo_cd("metadata: {labels: {argocd.argoproj.io/secret-type: repo-creds}}", Some(Consumer::ArgoCd))]
    #[case::kargo_git("metadata: {labels: {kargo.akuity.io/cred-type: git}}", Some(Consumer::KargoGit))]
    #[case::kargo_image("metadata: {labels: {kargo.akuity.io/cred-type: image}}", Some(Consumer::KargoImage))]
    #[case::a_label_that_kargo_overlooks(
        "metadata: {labels: {kargo.akuity.io/cred-type: gti}}",
        Some(Consumer::KargoGit)
    )]
    #[case::oauth_by_its_keys("data: {AUTH_CLIENT_ID: x, AUTH_CLIENT_SECRET: y}", Some(Consumer::OAuthClient))]
    #[case::oauth_with_values_swapped(
        "data: {AUTH_CLIENT_ID: '{{ .client_secret }}', AUTH_CLIENT_SECRET: '{{ .client_id }}'}",
        Some(Consumer::OAuthClient)
    )]
    #[case::anything("data: {a: x}", None)]
    fn a_consumer_is_told_by_type_labels_and_keys(#[case] template: &str, #[case] expected: Option<Consumer>) {
        let text = format!(
            "{STORE}apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: t}}\nspec:\n  \
             namespaceSelectors: [{{matchLabels: {{a: b}}}}]\n  externalSecretSpec:\n    \
             secretStoreRef: {{kind: ClusterSecretStore, name: s}}\n    target: {{template: {{{template}}}}}\n    \
             data: [{{secretKey: t, remoteRef: {{key: pat, property: token}}}}]\n"
        );
        let manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
        let model = Model::derive(&Bundle::from_manifests(manifests).unwrap());
        assert_eq!(Consumer::of(&model.targets[0].shape()), expected);
    }
}
