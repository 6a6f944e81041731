//! Argo CD in pods: its own manifests, with its own ServiceAccounts and rights, on a node that is a container.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use credence_cluster::apply::Applier;
use credence_cluster::containers::ContainerNetwork;
use credence_core::file_error::FileError;
use credence_programs::process::{Death, TAIL_LINES};
use credence_watch::shared::{Key, SharedWatch};
use credence_watch::wait::{self, Progress};
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{ApiResource, LogParams};
use kube::{Api, Client};
use serde_json::Value;
use walkdir::WalkDir;

use super::{ArgoCdError, Images, Setup, install, objects};

mod kustomization;
mod seen;

use kustomization::{AUTHORITIES, MANIFESTS, kustomization};
use seen::PodSeen;

/// The parts of Argo CD that run.
const PARTS: [&str; 3] = ["argocd-redis", "argocd-repo-server", "argocd-application-controller"];
/// The part that makes the password of Redis, in this Secret, which the others are given.
const FIRST: &str = PARTS[0];
const PASSWORD: &str = "argocd-redis";
/// Time that pods may take to be ready.
const READY: Duration = Duration::from_secs(120);
/// Time between two polls for the Secret.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Wait for an end, before the next wait for it begins.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// The pods. They end with their cluster.
pub(super) struct Pods {
    client: Client,
    namespace: String,
    directory: PathBuf,
    seen: SharedWatch<PodSeen>,
    /// State of the pods when they were ready.
    ready: BTreeMap<Key, PodSeen>,
}

impl Pods {
    /// Loads the images, installs the manifests, and waits until all pods are ready.
    pub(super) async fn start(
        setup: &Setup<'_>,
        containers: &ContainerNetwork,
        images: &Images,
        kustomize: &Path,
    ) -> Result<Self, ArgoCdError> {
        let Setup { directory, client, namespace, labels, .. } = *setup;
        write(setup, images)?;
        let rendered = credence_programs::kustomize::load_directory(directory, Some(kustomize)).await?;
        let rendered: Vec<Value> = rendered.into_iter().map(|manifest| manifest.object).collect();
        let (programs, rest): (Vec<Value>, Vec<Value>) = rendered.into_iter().partition(is_workload);
        let rest: Vec<Value> = objects::place(namespace, labels).into_iter().chain(rest).collect();
        let load = async { Ok(containers.load(&images.all()).await?) };
        let (applier, ()) = tokio::try_join!(install(setup, &rest), load)?;

        let all = Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Pod>(&()));
        let seen = SharedWatch::open(all, "Argo CD's pods", PodSeen::of).await?;
        let (client, namespace, directory) = (client.clone(), namespace.to_owned(), directory.to_owned());
        let mut pods = Self { client, namespace, directory, seen, ready: BTreeMap::new() };
        match pods.launch(&applier, &programs).await {
            Ok(ready) => pods.ready = ready,
            Err(error) => {
                pods.save_logs().await;
                return Err(error);
            }
        }
        Ok(pods)
    }

    /// Makes the pods, and gives what they are like once all are ready.
    async fn launch(&self, applier: &Applier, programs: &[Value]) -> Result<BTreeMap<Key, PodSeen>, ArgoCdError> {
        let (first, others): (Vec<&Value>, Vec<&Value>) =
            programs.iter().partition(|program| program["metadata"]["name"] == FIRST);
        applier.apply_all(first).await?;
        // The kubelet takes ten seconds to look again at a pod whose Secret is not there yet.
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        wait::poll(&format!("Secret {}/{PASSWORD}", self.namespace), READY, POLL_INTERVAL, || async {
            match secrets.get_metadata_opt(PASSWORD).await {
                Ok(Some(_)) => Progress::Done(()),
                Ok(None) => Progress::NotYet(self.seen.look_at_all(|pods| seen::obstacle(pods, FIRST))),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        })
        .await?;
        applier.apply_all(others).await?;
        Ok(self.seen.until_all("Argo CD's pods ready", READY, seen::ready).await?)
    }

    /// Resolves when a container ends that should have gone on.
    pub(super) async fn died(&self) -> ArgoCdError {
        loop {
            let end = self.seen.until_all("the end of a container of Argo CD", LONG, |now| {
                seen::ended(&self.ready, now).map_or_else(|| Progress::NotYet(String::new()), Progress::Done)
            });
            if let Ok(end) = end.await {
                self.save_logs().await;
                let tail = LogParams { tail_lines: i64::try_from(TAIL_LINES).ok(), ..LogParams::default() };
                let log = self.log(&end.pod, &end.container, end.is_back, tail).await;
                let log = log.unwrap_or_else(|error| format!("(they cannot be read: {error})"));
                return Death::new(&format!("{} in pod {}", end.container, end.pod), &end.how, &log).into();
            }
        }
    }

    /// Writes the logs of all containers into the directory, also of those that were started again. What cannot be read is
    /// of a container that has not run.
    pub(super) async fn save_logs(&self) {
        let containers: Vec<(String, String)> = self.seen.look_at_all(|pods| {
            let of = |((_, pod), seen): (&Key, &PodSeen)| {
                seen.containers().map(|container| (pod.clone(), container.to_owned())).collect::<Vec<_>>()
            };
            pods.iter().flat_map(of).collect()
        });
        let logs = containers.iter().flat_map(|(pod, container)| {
            [(false, "log"), (true, "before.log")].map(|(is_before, suffix)| async move {
                if let Ok(log) = self.log(pod, container, is_before, LogParams::default()).await {
                    // Whoever looks for it sees that it is not there.
                    fs::write(self.directory.join(format!("{pod}.{container}.{suffix}")), log).ok();
                }
            })
        });
        join_all(logs).await;
    }

    /// The log of a container, or of the one before it.
    async fn log(&self, pod: &str, container: &str, is_before: bool, params: LogParams) -> Result<String, kube::Error> {
        let params = LogParams { container: Some(container.to_owned()), previous: is_before, ..params };
        Api::<Pod>::namespaced(self.client.clone(), &self.namespace).logs(pod, &params).await
    }
}

/// Writes the kustomization, with all that it takes beside it: kustomize takes no absolute path.
fn write(setup: &Setup<'_>, images: &Images) -> Result<(), ArgoCdError> {
    let Setup { directory, assets, network, namespace, .. } = *setup;
    let (from, to) = (assets.join(MANIFESTS), directory.join(MANIFESTS));
    for entry in WalkDir::new(&from) {
        let entry = entry.map_err(|error| FileError::of::<ArgoCdError>("read", &from)(error.into()))?;
        let target = to.join(entry.path().strip_prefix(&from).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).map_err(FileError::of::<ArgoCdError>("create", &target))?;
        } else {
            fs::copy(entry.path(), &target).map_err(FileError::of::<ArgoCdError>("copy to", &target))?;
        }
    }
    let files = [
        (AUTHORITIES, network.authorities.clone()),
        ("kustomization.yaml", kustomization(images, network, namespace).to_string()),
    ];
    files.into_iter().try_for_each(|(name, text)| {
        let path = directory.join(name);
        fs::write(&path, text).map_err(FileError::of::<ArgoCdError>("write", &path))
    })
}

/// True if an object makes pods.
fn is_workload(object: &Value) -> bool {
    matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet"))
}
