//! Argo CD's pods as the API server holds them.

use std::collections::BTreeMap;

use credence_watch::shared::Key;
use credence_watch::wait::Progress;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, PodStatus};
use kube::ResourceExt;
use kube::api::DynamicObject;

use super::PARTS;

/// The label that names a part of Argo CD, in its own manifests.
const PART: &str = "app.kubernetes.io/name";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PodSeen {
    /// Its identity: another one if it was deleted and made again.
    uid: String,
    /// The part of Argo CD that it is, if it is one.
    part: String,
    /// Its containers by name, without those that only prepare it.
    containers: BTreeMap<String, ContainerSeen>,
    /// Names of its containers that only prepare it.
    preparing: Vec<String>,
    /// Obstacle that keeps it from being ready.
    obstacle: Option<String>,
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ContainerSeen {
    /// Number of times that it was started again.
    restarts: i32,
    /// Last outcome, if there is one.
    end: Option<String>,
    /// True if it has ended and has not been started again.
    is_over: bool,
}

/// The end of a container that should have gone on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) how: String,
    /// True if it runs again, so that its log is that of the one before.
    pub(super) is_back: bool,
}

impl PodSeen {
    pub(super) fn of(object: &DynamicObject) -> Self {
        let status = object.data.get("status").cloned().unwrap_or_default();
        // A status that is no status tells nothing.
        let status: PodStatus = serde_json::from_value(status).unwrap_or_default();
        let named = |status: &ContainerStatus| (status.name.clone(), ContainerSeen::of(status));
        Self {
            uid: object.uid().unwrap_or_default(),
            part: object.labels().get(PART).cloned().unwrap_or_default(),
            containers: status.container_statuses.iter().flatten().map(named).collect(),
            preparing: status.init_container_statuses.iter().flatten().map(|status| status.name.clone()).collect(),
            obstacle: obstacle_of(&status),
        }
    }

    /// Names of its containers; none if it is no part of Argo CD.
    pub(super) fn containers(&self) -> impl Iterator<Item = &str> {
        let all = self.preparing.iter().chain(self.containers.keys());
        all.filter(|_| PARTS.contains(&self.part.as_str())).map(String::as_str)
    }
}

impl ContainerSeen {
    fn of(status: &ContainerStatus) -> Self {
        let now = terminated(status.state.as_ref());
        let end = now.or(terminated(status.last_state.as_ref())).map(|end| {
            let reason = end.reason.as_deref().unwrap_or("ended");
            format!("{reason}, exit code {}", end.exit_code)
        });
        Self { restarts: status.restart_count, end, is_over: now.is_some() }
    }
}

/// Obstacle that keeps the pod of a part from being ready, for a message.
pub(super) fn obstacle(pods: &BTreeMap<Key, PodSeen>, part: &str) -> String {
    match pods.iter().find(|(_, pod)| pod.part == part) {
        Some(((_, name), pod)) => format!("{name}: {}", pod.obstacle.as_deref().unwrap_or("ready")),
        None => format!("there is no pod of {part}"),
    }
}

/// The pods of all parts, once all are ready.
pub(super) fn ready(pods: &BTreeMap<Key, PodSeen>) -> Progress<BTreeMap<Key, PodSeen>> {
    let mut ready = BTreeMap::new();
    for part in PARTS {
        match pods.iter().find(|(_, pod)| pod.part == part && pod.obstacle.is_none()) {
            Some((key, pod)) => ready.insert(key.clone(), pod.clone()),
            None => return Progress::NotYet(obstacle(pods, part)),
        };
    }
    Progress::Done(ready)
}

/// The first container that has ended since the pods were as they were `then`.
pub(super) fn ended(then: &BTreeMap<Key, PodSeen>, now: &BTreeMap<Key, PodSeen>) -> Option<Ended> {
    then.iter().find_map(|(key, before)| {
        let seen = now.get(key).filter(|seen| seen.uid == before.uid);
        before.containers.iter().find_map(|(container, before)| {
            let (pod, container) = (key.1.clone(), container.clone());
            let Some(seen) = seen else {
                return Some(Ended { pod, container, how: "its pod is gone".to_owned(), is_back: false });
            };
            // The kubelet may not know of a container for a moment, which is no sign of its end.
            let seen = seen.containers.get(&container)?;
            let how = seen.end.clone().unwrap_or_else(|| "nothing is known of how".to_owned());
            let has_ended = seen.restarts > before.restarts || seen.is_over;
            has_ended.then_some(Ended { pod, container, how, is_back: !seen.is_over })
        })
    })
}

fn terminated(state: Option<&ContainerState>) -> Option<&ContainerStateTerminated> {
    state?.terminated.as_ref()
}

/// The reason of the first container that does not run, or that the pod is not ready. Messages are not kept: they are long.
fn obstacle_of(status: &PodStatus) -> Option<String> {
    let is_ready =
        status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    if is_ready {
        return None;
    }
    let all = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    let reason = |status: &ContainerStatus| {
        let state = status.state.as_ref()?;
        let waits = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
        let failed = state.terminated.as_ref().filter(|end| end.exit_code != 0);
        let reason = waits.or_else(|| failed.map(|end| format!("exit code {}", end.exit_code)))?;
        Some(format!("{}: {reason}", status.name))
    };
    // What only waits for what prepares the pod says less than that.
    let reasons: Vec<String> = all.filter_map(reason).collect();
    let telling = reasons.iter().find(|reason| !reason.ends_with("PodInitializing")).or(reasons.first());
    Some(telling.cloned().unwrap_or_else(|| "not ready".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(uid: &str, container: Value) -> PodSeen {
        let object = json!({ "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "a", "uid": uid, "labels": { PART: "argocd-redis" } },
            "status": { "containerStatuses": [container] } });
        PodSeen::of(&serde_json::from_value(object).unwrap())
    }

    fn container(restarts: u32, state: Value, last: Value) -> Value {
        json!({ "name": "redis", "image": "i", "imageID": "i", "ready": false, "restartCount": restarts, "state": state,
            "lastState": last })
    }

    fn running() -> Value {
        json!({ "running": {} })
    }

    fn killed() -> Value {
        json!({ "terminated": { "exitCode": 137, "reason": "Error" } })
    }

    fn key(name: &str) -> Key {
        ("argocd".to_owned(), name.to_owned())
    }

    fn look(now: Option<PodSeen>) -> Option<(String, bool)> {
        let then = BTreeMap::from([(key("a"), pod("1", container(1, running(), killed())))]);
        let now = now.map(|pod| (key("a"), pod)).into_iter().collect();
        ended(&then, &now).map(|ended| (ended.how, ended.is_back))
    }

    #[test]
    fn a_container_that_goes_on_has_not_ended_whatever_was_before() {
        assert_eq!(look(Some(pod("1", container(1, running(), killed())))), None);
    }

    #[test]
    fn a_container_that_ended_is_seen_before_and_after_it_is_started_again() {
        let how = "Error, exit code 137".to_owned();
        assert_eq!(look(Some(pod("1", container(1, killed(), json!({}))))), Some((how.clone(), false)));
        assert_eq!(look(Some(pod("1", container(2, running(), killed())))), Some((how, true)));
    }

    #[test]
    fn a_pod_that_is_gone_or_another_one_has_ended() {
        let gone = Some(("its pod is gone".to_owned(), false));
        assert_eq!(look(None), gone);
        assert_eq!(look(Some(pod("2", container(0, running(), json!({}))))), gone);
    }

    #[test]
    fn pods_are_ready_once_there_is_one_of_each_part_without_obstacle() {
        let part = |part: &str| PodSeen { part: part.to_owned(), ..PodSeen::default() };
        let mut pods: BTreeMap<Key, PodSeen> = PARTS.iter().map(|name| (key(name), part(name))).collect();
        pods.insert(key("other"), PodSeen { obstacle: Some("a".to_owned()), ..part("other") });
        assert!(matches!(ready(&pods), Progress::Done(ready) if ready.len() == PARTS.len()));
        let obstacle = Some("redis: Waiting".to_owned());
        pods.insert(key(PARTS[0]), PodSeen { obstacle, ..part(PARTS[0]) });
        assert!(matches!(ready(&pods), Progress::NotYet(why) if why == "argocd-redis: redis: Waiting"));
        pods.remove(&key(PARTS[0]));
        assert!(matches!(ready(&pods), Progress::NotYet(why) if why.contains("no pod of argocd-redis")));
    }

    #[test]
    fn an_obstacle_is_what_waits_or_has_failed() {
        let waiting = pod("1", container(0, json!({ "waiting": { "reason": "ErrImageNeverPull" } }), json!({})));
        assert_eq!(waiting.obstacle.as_deref(), Some("redis: ErrImageNeverPull"));
        let failed = pod("1", container(0, killed(), json!({})));
        assert_eq!(failed.obstacle.as_deref(), Some("redis: exit code 137"));
        assert_eq!(pod("1", container(0, running(), json!({}))).obstacle.as_deref(), Some("not ready"));
    }
}
