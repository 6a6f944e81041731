//! Contents of the cluster as the watches have shown it, and their upkeep by kind.

use std::collections::BTreeMap;

use credence_core::credential::Credential;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::ResourceExt;
use kube::api::DynamicObject;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fence::{self, Versions};
use super::passes::{Passes, Seen};
use super::{ExternalSecretSeen, NamespaceSeen, PodSeen, SecretEvent, SecretSeen};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) secrets: BTreeMap<String, BTreeMap<String, SecretSeen>>,
    pub(super) namespaces: BTreeMap<String, NamespaceSeen>,
    pub(super) external_secrets: BTreeMap<String, BTreeMap<String, ExternalSecretSeen>>,
    pub(super) pods: BTreeMap<String, BTreeMap<String, PodSeen>>,
    pub(super) recordings: BTreeMap<String, Vec<mpsc::UnboundedSender<SecretEvent>>>,
    /// The last error of each kind's watch, while it lasts.
    pub(super) staleness: BTreeMap<&'static str, String>,
    /// Number of times that a watch was interrupted or listed anew, so that it may have missed something, or that the API server
    /// did not answer, so that nobody could do anything.
    pub(super) interruptions: u64,
    /// Time that the operator takes for what it makes.
    pub(super) passes: Passes,
    /// The namespace of the fence's objects.
    pub(super) fenced: Option<String>,
    /// The version of the fence's object that each kind's watch has shown.
    pub(super) fences: Versions,
}

impl State {
    /// Keeps the version of an object if it is one of the fence's.
    pub(super) fn show_fence(&mut self, kind: &'static str, object: &impl ResourceExt) {
        let Some(fenced) = &self.fenced else { return };
        let is_fence = match object.namespace() {
            Some(namespace) => namespace == *fenced && object.name_any() == fence::NAME,
            None => object.name_any() == *fenced,
        };
        if is_fence {
            self.fences.insert(kind, fence::resource_version(object));
        }
    }

    /// Forgets all objects of a kind before they are listed again; gives those whose changes are recorded.
    pub(super) fn forget(&mut self, kind: &str) -> Vec<(String, String)> {
        match kind {
            "Secrets" => {
                let secrets = std::mem::take(&mut self.secrets).into_iter();
                let recorded = secrets.filter(|(namespace, _)| self.recordings.contains_key(namespace));
                return recorded
                    .flat_map(|(namespace, inside)| inside.into_keys().map(move |name| (namespace.clone(), name)))
                    .collect();
            }
            "Namespaces" => self.namespaces.clear(),
            "Pods" => self.pods.clear(),
            _ => self.external_secrets.clear(),
        }
        Vec::new()
    }

    /// Tells of Secrets that went while the watch saw nothing.
    pub(super) fn tell_gone(&mut self, recorded: Vec<(String, String)>) {
        for (namespace, name) in recorded {
            if !self.secrets.get(&namespace).is_some_and(|inside| inside.contains_key(&name)) {
                self.tell(&namespace, &name, None);
            }
        }
    }

    /// Tells whoever records a namespace of a change.
    fn tell(&mut self, namespace: &str, name: &str, secret: Option<&SecretSeen>) {
        if let Some(recorders) = self.recordings.get_mut(namespace) {
            let event = SecretEvent { at: Instant::now(), name: name.to_owned(), secret: secret.cloned() };
            recorders.retain(|recorder| recorder.send(event.clone()).is_ok());
            if recorders.is_empty() {
                self.recordings.remove(namespace);
            }
        }
    }

    pub(super) fn put_secret(&mut self, object: &Secret, exists: bool) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let seen = exists.then(|| SecretSeen {
            uid: object.uid().unwrap_or_default(),
            owners: object.owner_references().iter().map(|owner| format!("{} {}", owner.kind, owner.name)).collect(),
            type_: object.type_.clone().unwrap_or_default(),
            labels: object.labels().clone(),
            data: object
                .data
                .iter()
                .flatten()
                .map(|(key, value)| (key.clone(), Credential::new(value.0.clone())))
                .collect(),
            resource_version: object.resource_version().unwrap_or_default(),
            deleting: object.metadata.deletion_timestamp.is_some(),
        });
        self.tell(&namespace, &name, seen.as_ref());
        place(&mut self.secrets, namespace, name, seen);
    }

    pub(super) fn put_namespace(&mut self, object: &Namespace, exists: bool) {
        let name = object.name_any();
        if !exists {
            self.namespaces.remove(&name);
            return;
        }
        let remaining = object
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .filter(|condition| condition.status == "True")
            .filter_map(|condition| condition.message.clone())
            .collect();
        let seen = NamespaceSeen {
            labels: object.labels().clone(),
            finalizers: object.finalizers().to_vec(),
            deleting: object.metadata.deletion_timestamp.is_some(),
            emptied: object.spec.iter().flat_map(|spec| &spec.finalizers).flatten().next().is_none(),
            remaining,
        };
        self.namespaces.insert(name, seen);
    }

    pub(super) fn put_pod(&mut self, object: &Pod, exists: bool) {
        let container = object.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first());
        let state = container.and_then(|container| container.state.as_ref());
        let ended = state.is_some_and(|state| state.terminated.is_some());
        let ran = ended || state.is_some_and(|state| state.running.is_some());
        let reason = state.and_then(|state| state.waiting.as_ref()?.reason.clone()).unwrap_or_default();
        let restarts = container.map_or(0, |container| container.restart_count);
        let seen = if ran { PodSeen::Ran { restarts, ended } } else { PodSeen::Waits { reason } };
        place(&mut self.pods, object.namespace().unwrap_or_default(), object.name_any(), exists.then_some(seen));
    }

    pub(super) fn put_external_secret(&mut self, object: &DynamicObject, exists: bool) {
        let ready = object
            .data
            .pointer("/status/conditions")
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Ready")
            .map(|ready| {
                let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
                format!("Ready={} {}", text("status"), text("reason"))
            });
        let refreshed = object.data.pointer("/status/refreshTime").and_then(serde_json::Value::as_str);
        let refreshed = refreshed.unwrap_or_default().to_owned();
        let seen = exists.then_some(ExternalSecretSeen { ready, refreshed });
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let is_known = self.external_secrets.get(&namespace).is_some_and(|inside| inside.contains_key(&name));
        let state = match &seen {
            None => Seen::Gone,
            Some(seen) if seen.says_ready() => Seen::Ready,
            Some(seen) if seen.ready.is_none() && !is_known => Seen::New,
            Some(_) => Seen::Other,
        };
        self.passes.see((&namespace, &name), state, Instant::now());
        place(&mut self.external_secrets, namespace, name, seen);
    }
}

fn place<T>(all: &mut BTreeMap<String, BTreeMap<String, T>>, namespace: String, name: String, value: Option<T>) {
    match value {
        Some(value) => {
            all.entry(namespace).or_default().insert(name, value);
        }
        None => {
            if let Some(inside) = all.get_mut(&namespace) {
                inside.remove(&name);
                if inside.is_empty() {
                    all.remove(&namespace);
                }
            }
        }
    }
}
