//! Pulse of the API server: it is asked all the time whether it answers.
//!
//! One that stands still breaks no watch, and one that went on in time lets a late write through. What did not happen meanwhile
//! says nothing of those who could not have done it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tokio::time::timeout;

use super::state::State;
use crate::wait::pause;

/// Time that an answer may take. Bounds allow for less than that to be lost (`PROPAGATION_SLACK` of credence-model).
const ANSWERED: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(3) };
/// Pause between an answer and the next question.
const PAUSE: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(1) };
/// Name of what is said to be stale meanwhile, beside the kinds that are watched.
const API_SERVER: &str = "API server";

/// Asks for a namespace, which the API server reads from etcd, and keeps in the state while there is no answer.
pub(super) async fn take(client: Client, namespace: String, state: Arc<Mutex<State>>) {
    let namespaces = Api::<Namespace>::all(client);
    loop {
        let silence = match timeout(ANSWERED, namespaces.get_metadata(&namespace)).await {
            Ok(Ok(_) | Err(kube::Error::Api(_))) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {ANSWERED:?}")),
        };
        state.lock().unwrap_or_else(PoisonError::into_inner).hear(silence);
        pause::pass(PAUSE).await;
    }
}

impl State {
    /// Keeps why there is no answer. Each silence counts once, however long it is.
    fn hear(&mut self, silence: Option<String>) {
        let Some(why) = silence else {
            self.staleness.remove(API_SERVER);
            return;
        };
        if self.staleness.insert(API_SERVER, why).is_none() {
            self.interruptions += 1;
        }
    }
}
