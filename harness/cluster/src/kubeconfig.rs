//! Kubeconfig files, and clients made from them.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credence_core::credential::Credential;
use credence_programs::certificates::{Identity, write_private};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::error::ClusterError;

/// Life of a ServiceAccount's token in seconds: 30 days, longer than a cluster is kept up.
const TOKEN_SECONDS: i64 = 30 * 24 * 3600;

/// Writes a kubeconfig that authenticates by client certificate.
pub(crate) fn with_certificate(path: &Path, url: &str, ca: &str, identity: &Identity) -> Result<PathBuf, ClusterError> {
    // JSON is YAML, so every reader of kubeconfig files takes it.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "credence", "cluster": {
            "server": url, "certificate-authority-data": STANDARD.encode(ca) } }],
        "users": [{ "name": "credence", "user": {
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        } }],
        "contexts": [{ "name": "credence", "context": { "cluster": "credence", "user": "credence" } }],
        "current-context": "credence",
    });
    write_private(path, config.to_string().as_bytes())?;
    Ok(path.to_owned())
}

/// Writes a kubeconfig like that of an `administrator`, whose `client` this is, but for the ServiceAccount `account` of
/// `namespace`: a program that has an administrator's rights hides faults of its own roles. It reads its token from a file,
/// as in a pod: `path` with the extension `token`.
pub async fn for_account(
    path: &Path,
    administrator: &Path,
    client: &Client,
    namespace: &str,
    account: &str,
) -> Result<PathBuf, ClusterError> {
    let mut file = Kubeconfig::read_from(administrator).map_err(unusable(administrator))?;
    let token_file = path.with_extension("token");
    write_private(&token_file, token(client, namespace, account).await?.expose())?;
    for user in &mut file.auth_infos {
        let token_file = Some(token_file.display().to_string());
        user.auth_info = Some(AuthInfo { token_file, ..AuthInfo::default() });
    }
    let text = serde_json::to_vec(&file).map_err(unusable(administrator))?;
    write_private(path, &text)?;
    Ok(path.to_owned())
}

async fn token(client: &Client, namespace: &str, account: &str) -> Result<Credential, ClusterError> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() }),
        ..TokenRequest::default()
    };
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
    let answer = answer.map_err(|source| ClusterError::Token {
        account: format!("{namespace}/{account}"),
        source: Box::new(source),
    })?;
    Ok(Credential::new(answer.status.and_then(|status| status.token).unwrap_or_default()))
}

/// A client for the kubeconfig's current context.
pub(crate) async fn client(kubeconfig: &Path, user_agent: &str) -> Result<Client, ClusterError> {
    let mut config = config(kubeconfig).await?;
    let agent = http::HeaderValue::from_str(user_agent).map_err(unusable(kubeconfig))?;
    config.headers.push((http::header::USER_AGENT, agent));
    Client::try_from(config).map_err(unusable(kubeconfig))
}

/// A client for the cluster of the kubeconfig's current context, as whoever `token` is for.
pub(super) async fn client_with_token(kubeconfig: &Path, token: &Credential) -> Result<Client, ClusterError> {
    let mut config = config(kubeconfig).await?;
    // Nothing of the file's own user stays: its certificate would win over the token.
    config.auth_info = AuthInfo { token: token.expose_str().map(Into::into), ..AuthInfo::default() };
    Client::try_from(config).map_err(unusable(kubeconfig))
}

async fn config(kubeconfig: &Path) -> Result<Config, ClusterError> {
    credence_watch::crypto::use_ring();
    let file = Kubeconfig::read_from(kubeconfig).map_err(unusable(kubeconfig))?;
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(unusable(kubeconfig))
}

fn unusable<E: Into<Box<dyn std::error::Error + Send + Sync>>>(kubeconfig: &Path) -> impl Fn(E) -> ClusterError {
    move |error| ClusterError::Kubeconfig { path: kubeconfig.to_owned(), source: error.into() }
}
