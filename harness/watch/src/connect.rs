//! Clients for clusters that exist already: a context of a kubeconfig, or the cluster that this process runs in.

use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ConnectError {
    /// The kubeconfig has no such context.
    #[error(
        "failed to find context {context:?} in {place}, which has {}; choose one of them with --context, or another file \
         with --kubeconfig",
        listed(known)
    )]
    NoContext {
        /// The context that was asked for.
        context: String,
        /// Place at which it was looked for.
        place: String,
        /// The contexts that are there.
        known: Vec<String>,
    },
    /// A kubeconfig chooses no context by itself.
    #[error(
        "failed to choose a context: {place} has no current-context; choose one of {} with --context",
        listed(known)
    )]
    NoCurrentContext {
        /// Place at which it was looked for.
        place: String,
        /// The contexts that are there.
        known: Vec<String>,
    },
    /// There is no kubeconfig, and this process runs in no cluster.
    #[error("failed to find a cluster: this is no pod, and {cause}; name a kubeconfig with --kubeconfig")]
    Nowhere {
        /// Why there is no kubeconfig, with its own causes.
        cause: Box<KubeconfigError>,
    },
    /// The kubeconfig cannot be read or used.
    #[error("failed to use {place}: {cause}")]
    Kubeconfig {
        place: String,
        /// The cause, with its own causes.
        cause: Box<KubeconfigError>,
    },
    /// No client can be made from it.
    #[error("failed to make a client from {place}")]
    Client {
        place: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A client for `context` of the file `kubeconfig`; without a context for the current one, without a file for that of
/// `KUBECONFIG` or `~/.kube/config`. With neither, inside a pod, for the pod's own cluster.
///
/// Nothing is sent: whether the cluster answers is seen at the first request.
///
/// # Errors
/// When there is no such file or context, or it holds nothing that a client can be made from.
pub async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    user_agent: &'static str,
) -> Result<Client, ConnectError> {
    crate::crypto::use_ring();
    let place = place(kubeconfig);
    let read = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let mut config = match read {
        Ok(file) => in_file(file, context, &place).await?,
        Err(cause) if kubeconfig.is_none() && context.is_none() => {
            Config::incluster().map_err(|_| ConnectError::Nowhere { cause: Box::new(cause) })?
        }
        Err(cause) => return Err(ConnectError::Kubeconfig { place, cause: Box::new(cause) }),
    };
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(user_agent)));
    Client::try_from(config).map_err(|source| ConnectError::Client { place, source: source.into() })
}

/// Place at which a kubeconfig is looked for, in words.
fn place(kubeconfig: Option<&Path>) -> String {
    let variable = || std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    match kubeconfig.map(Path::to_owned).or_else(variable) {
        Some(path) => path.display().to_string(),
        None => "~/.kube/config".to_owned(),
    }
}

async fn in_file(file: Kubeconfig, context: Option<&str>, place: &str) -> Result<Config, ConnectError> {
    let known: Vec<String> = file.contexts.iter().map(|context| context.name.clone()).collect();
    let place = place.to_owned();
    match context.map(str::to_owned).or_else(|| file.current_context.clone()) {
        None => return Err(ConnectError::NoCurrentContext { place, known }),
        Some(context) if !known.contains(&context) => return Err(ConnectError::NoContext { context, place, known }),
        Some(_) => {}
    }
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(file, &options).await;
    config.map_err(|cause| ConnectError::Kubeconfig { place, cause: Box::new(cause) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TWO: &str = r#"{"apiVersion": "v1", "kind": "Config", "users": [], "CURRENT": "one",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "one", "context": {"cluster": "c"}}, {"name": "two", "context": {"cluster": "c"}}]}"#;

    async fn attempt(text: &str, context: Option<&str>) -> Result<Client, ConnectError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        std::fs::write(&path, text).unwrap();
        connect(Some(&path), context, "test").await
    }

    #[rstest]
    #[case::by_name(Some("two"))]
    #[case::the_current_one(None)]
    #[tokio::test]
    async fn a_context_that_exists_gives_a_client(#[case] context: Option<&str>) {
        attempt(&TWO.replace("CURRENT", "current-context"), context).await.unwrap();
    }

    #[rstest]
    #[case::unknown(TWO, Some("three"), "context \"three\"")]
    #[case::unknown_names_the_known(TWO, Some("three"), "which has one, two; choose one of them with --context")]
    #[case::none_is_current(TWO, None, "choose one of one, two with --context")]
    #[case::no_kubeconfig("[", None, "failed to use ")]
    #[tokio::test]
    async fn an_error_says_what_to_choose(#[case] text: &str, #[case] context: Option<&str>, #[case] says: &str) {
        let Err(error) = attempt(text, context).await else { panic!("there is a client") };
        assert!(error.to_string().contains(says), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let Err(error) = connect(Some(Path::new("/nowhere/config")), None, "test").await else {
            panic!("there is a client")
        };
        let text = error.to_string();
        assert!(text.starts_with("failed to use /nowhere/config: ") && text.contains("No such file"), "{text}");
    }
}
