//! Kubeconfig files, and clients made from them.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::ClusterError;
use crate::certificates::{Identity, write_private};
use crate::credential::Credential;

/// Writes a kubeconfig that authenticates by client certificate.
pub(crate) fn with_certificate(path: &Path, url: &str, ca: &str, identity: &Identity) -> Result<PathBuf, ClusterError> {
    let user = json!({
        "client-certificate-data": STANDARD.encode(&identity.certificate),
        "client-key-data": STANDARD.encode(&identity.key),
    });
    write(path, url, ca, &user)
}

/// Writes a kubeconfig that authenticates by bearer token.
pub(super) fn with_token(path: &Path, url: &str, ca: &str, token: &str) -> Result<PathBuf, ClusterError> {
    write(path, url, ca, &json!({ "token": token }))
}

fn write(path: &Path, url: &str, ca: &str, user: &Value) -> Result<PathBuf, ClusterError> {
    // JSON is YAML, so every reader of kubeconfig files takes it.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "credence", "cluster": {
            "server": url, "certificate-authority-data": STANDARD.encode(ca) } }],
        "users": [{ "name": "credence", "user": user }],
        "contexts": [{ "name": "credence", "context": { "cluster": "credence", "user": "credence" } }],
        "current-context": "credence",
    });
    write_private(path, config.to_string().as_bytes())?;
    Ok(path.to_owned())
}

/// A client for the kubeconfig's current context.
pub(super) async fn client(kubeconfig: &Path, user_agent: &str) -> Result<Client, ClusterError> {
    let failed = |source| failed(kubeconfig, source);
    let mut config = config(kubeconfig).await?;
    let agent = http::HeaderValue::from_str(user_agent).map_err(|error| failed(error.into()))?;
    config.headers.push((http::header::USER_AGENT, agent));
    Client::try_from(config).map_err(|error| failed(error.into()))
}

/// A client for the cluster of the kubeconfig's current context, as whoever `token` is for.
pub(super) async fn client_with_token(kubeconfig: &Path, token: &Credential) -> Result<Client, ClusterError> {
    let mut config = config(kubeconfig).await?;
    // Nothing of the file's own user stays: its certificate would win over the token.
    config.auth_info = AuthInfo { token: token.expose_str().map(Into::into), ..AuthInfo::default() };
    Client::try_from(config).map_err(|error| failed(kubeconfig, error.into()))
}

async fn config(kubeconfig: &Path) -> Result<Config, ClusterError> {
    let failed = |source| failed(kubeconfig, source);
    crate::tls::use_ring();
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| failed(error.into()))?;
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(|error| failed(error.into()))
}

fn failed(kubeconfig: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> ClusterError {
    ClusterError::Kubeconfig { path: kubeconfig.to_owned(), source }
}
