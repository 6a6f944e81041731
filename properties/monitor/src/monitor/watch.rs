//! The watches: one for each kind, begun anew after a failure, each event handed to the state.
//!
//! Lists come in pages and only what the state keeps is kept, so memory follows the distribution and not the cluster.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use credence_core::formats::DOCKER_CONFIG;
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use credence_watch::wait;
use futures::{StreamExt, pin_mut};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, PartialObjectMeta};
use kube::core::{NotUsed, Object};
use kube::discovery::{self, ApiGroup};
use kube::error::DiscoveryError;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::state::{State, StateEvent};
use super::status::{ExternalSecretStatus, StoreStatus, WatchedKind};
use super::sync_state::WatchFailure;
use super::{MonitorError, Shared};

/// Seconds after which the API server ends a watch, to be taken up again where it ended. A connection that died without a
/// word is noticed 5 s later (kube-runtime's `watcher`).
const WATCH_SECONDS: u32 = 60;
/// The pause before a watch that failed is begun anew doubles from the first of these to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(16));

/// An object of External Secrets Operator without its specification.
type Reported<S> = Object<NotUsed, S>;

/// The kinds of External Secrets Operator, as the cluster serves them.
pub(super) struct Served {
    external_secrets: ApiResource,
    stores: ApiResource,
}

impl Served {
    /// Asks the cluster in which versions it serves the operator's kinds.
    pub(super) async fn discover(client: &Client) -> Result<Self, MonitorError> {
        let group = discovery::group(client, EXTERNAL_SECRETS_GROUP).await.map_err(|error| match error {
            kube::Error::Discovery(DiscoveryError::MissingApiGroup(_)) => MonitorError::NoOperator,
            error => MonitorError::Unreachable { advice: advice(None, &error), source: Box::new(error) },
        })?;
        let kind = |group: &ApiGroup, kind: &str| Some(group.recommended_kind(kind)?.0);
        match (kind(&group, "ExternalSecret"), kind(&group, "ClusterSecretStore")) {
            (Some(external_secrets), Some(stores)) => Ok(Self { external_secrets, stores }),
            _ => Err(MonitorError::NoOperator),
        }
    }
}

/// Begins the watches of `kinds`.
pub(super) fn begin(
    tasks: &mut JoinSet<()>,
    client: &Client,
    kinds: &[WatchedKind],
    served: &Served,
    shared: &Arc<Shared>,
) {
    for kind in kinds {
        let (client, shared) = (client.clone(), Arc::clone(shared));
        match kind {
            WatchedKind::Secrets => {
                let put = |state: &mut State, secret: &PartialObjectMeta<Secret>, exists, now| {
                    state.secret(&secret.metadata, exists, now)
                };
                tasks.spawn(follow(shared, *kind, Api::all(client), config(), put));
            }
            WatchedKind::PullSecrets => {
                let put = |state: &mut State, secret: &PartialObjectMeta<Secret>, exists, _| {
                    state.pull_secret(&secret.metadata, exists);
                    Vec::new()
                };
                let config = config().fields(&format!("type={DOCKER_CONFIG}"));
                tasks.spawn(follow(shared, *kind, Api::all(client), config, put));
            }
            WatchedKind::Namespaces => {
                let put = |state: &mut State, namespace: &PartialObjectMeta<Namespace>, exists, _| {
                    state.namespace(&namespace.metadata, exists);
                    Vec::new()
                };
                tasks.spawn(follow(shared, *kind, Api::all(client), config(), put));
            }
            WatchedKind::ExternalSecrets => {
                let put = |state: &mut State, object: &Reported<ExternalSecretStatus>, exists, _| {
                    let status = object.status.clone().unwrap_or_default();
                    state.external_secret(&object.metadata, &status, exists);
                    Vec::new()
                };
                tasks.spawn(follow(shared, *kind, Api::all_with(client, &served.external_secrets), config(), put));
            }
            WatchedKind::Stores => {
                let put = |state: &mut State, object: &Reported<StoreStatus>, exists, _| {
                    let status = object.status.clone().unwrap_or_default();
                    state.store(&object.metadata, &status, exists);
                    Vec::new()
                };
                tasks.spawn(follow(shared, *kind, Api::all_with(client, &served.stores), config(), put));
            }
        }
    }
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Hands an object to the state; gives what its event showed.
type Put<K> = fn(&mut State, &K, bool, Timestamp) -> Vec<StateEvent>;

async fn follow<K>(shared: Arc<Shared>, kind: WatchedKind, api: Api<K>, config: watcher::Config, put: Put<K>)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut pause = PAUSE.0;
    loop {
        // Begun anew after each failure: a watch that goes on by itself gives no sign until something changes.
        let events = watcher(api.clone(), config.clone());
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if take(&shared, kind, event, put) {
                        pause = PAUSE.0;
                    }
                }
                Err(error) => {
                    shared.lose(kind, failure(kind, &error));
                    break;
                }
            }
        }
        wait::pass(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Takes an event in; says whether a list is complete with it.
fn take<K: Resource>(shared: &Shared, kind: WatchedKind, event: watcher::Event<K>, put: Put<K>) -> bool {
    let mut happenings = Vec::new();
    let is_complete = matches!(event, watcher::Event::InitDone);
    {
        let mut state = shared.state();
        let now = Timestamp::now();
        match event {
            watcher::Event::Init => state.begin(kind),
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                happenings = put(&mut state, &object, true, now);
            }
            watcher::Event::Delete(object) => happenings = put(&mut state, &object, false, now),
            watcher::Event::InitDone => state.finish(kind),
        }
    }
    for state_event in happenings {
        shared.metrics.count(state_event);
    }
    if is_complete {
        shared.gain(kind);
    }
    is_complete
}

fn failure(kind: WatchedKind, error: &watcher::Error) -> WatchFailure {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    };
    let code = status.map(|status| status.code);
    WatchFailure {
        text: status.map_or_else(|| said(error), |status| status.message.clone()),
        advice: advice_for(Some(kind), code),
        is_refusal: matches!(code, Some(401 | 403 | 404)),
    }
}

/// Advice about an error, as far as that can be told.
fn advice(kind: Option<WatchedKind>, error: &kube::Error) -> &'static str {
    let code = if let kube::Error::Api(status) = error { Some(status.code) } else { None };
    advice_for(kind, code).unwrap_or("check that the cluster is up, and that --context names the right one")
}

fn advice_for(kind: Option<WatchedKind>, code: Option<u16>) -> Option<&'static str> {
    match (kind, code) {
        (_, Some(401)) => Some("log in to the cluster again, or choose another user with --context or --kubeconfig"),
        (Some(WatchedKind::Secrets | WatchedKind::PullSecrets), Some(403)) => Some(
            "Kubernetes grants metadata only with the right to read: `credence monitor --print rbac` has what is needed, \
             get, list and watch",
        ),
        (_, Some(403)) => Some("`credence monitor --print rbac` has the rights that are needed: get, list and watch"),
        (_, Some(404)) => Some("check that External Secrets Operator's definitions are installed"),
        _ => None,
    }
}

/// An error with its causes, each said once.
fn said(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        next = cause.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::rights_to_secrets(WatchedKind::Secrets, 403, "`credence monitor --print rbac`", true)]
    #[case::rights_to_stores(WatchedKind::Stores, 403, "`credence monitor --print rbac`", true)]
    #[case::credentials(WatchedKind::Secrets, 401, "log in to the cluster again", true)]
    #[case::definitions(WatchedKind::Stores, 404, "definitions are installed", true)]
    #[case::passing(WatchedKind::Secrets, 503, "", false)]
    fn a_refusal_says_what_to_do(
        #[case] kind: WatchedKind,
        #[case] code: u16,
        #[case] says: &str,
        #[case] is_refusal: bool,
    ) {
        let status = Status { code, ..Status::failure("said the server", "Reason") };
        let failure = failure(kind, &watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status))));
        assert_eq!((failure.text.as_str(), failure.is_refusal), ("said the server", is_refusal));
        assert_eq!(failure.advice.is_some_and(|advice| advice.contains(says)), is_refusal);
    }
}
