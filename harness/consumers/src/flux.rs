//! Flux's source-controller as a process of this machine, with rights that come and go with each source.
//!
//! ```text
//!  module ──▶ definitions          objects: ServiceAccount, roles
//!  source ──▶ source-controller ──▶ git, registry client ──CONNECT──▶ forge
//! ```
//!
//! What decides when source-controller 1.9 logs in to a repository, by `internal/controller` and `main.go` of its source:
//! - It reads the Secret of a source from the API server each time it looks at the source: Secrets are in no cache of it
//!   unless the feature `CacheSecretsAndConfigMaps` is on. So a copy that has changed is used at once.
//! - Its ServiceAccount may read Secrets everywhere by Flux's own installation. Here it may where a source is, and for as
//!   long as that is there.
//! - A GitRepository is cloned, logged in from the first request on. Of an OCIRepository the manifest of the tag is asked for,
//!   with a token of its own each time, and then its layer.
//! - A new source is looked at twice, the first time only to put a finalizer there; one that fails is tried again, after twice
//!   as long each time. The finalizer of a source that is deleted goes when nothing is asked for it any more.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply;
use credence_cluster::cluster::{Cluster, SET_UP};
use credence_cluster::kubeconfig;
use credence_core::file_error::FileError;
use credence_programs::process::{Death, Process};
use credence_watch::shared::SharedWatch;
use credence_watch::wait::{Progress, WaitError};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::controller_objects::{self, create, delete, gone_is_fine};
use crate::forge::Network;

mod error;
mod files;
pub(crate) mod login;
pub(crate) mod login_by_rules;
mod objects;
mod sources;

pub(crate) use error::FluxError;
pub(crate) use sources::{Failure, Kind, Source, SourceSeen};

use files::Files;

/// The namespace of the controller, as Flux's own installation names it.
const NAMESPACE: &str = "flux-system";
/// Time that the watch may take to see a new source.
const SEEN: Duration = Duration::from_secs(30);
/// Time that a source that is deleted may take to go: what is being asked for it ends first.
const GONE: Duration = Duration::from_secs(60);
/// A source whose repository is nowhere (RFC 2606): that it fails is the controller's first sign of life.
const FIRST: Source<'_> = Source {
    kind: Kind::Git,
    namespace: NAMESPACE,
    name: "ready",
    url: "https://flux.invalid/o/ready.git",
    reference: "main",
    secret: None,
};

/// Inputs from which the controller is started.
pub(crate) struct Setup<'a> {
    /// An existing directory, for this controller alone.
    pub(crate) directory: &'a Path,
    /// source-controller.
    pub(crate) program: &'a Path,
    /// A copy of its source with `config/crd/bases`.
    pub(crate) assets: &'a Path,
    /// Cluster whose API server the controller watches.
    pub(crate) cluster: &'a Cluster,
    /// Its route to the forge.
    pub(crate) network: &'a Network,
}

/// A running source-controller. It ends when this is dropped; what it put into the cluster stays.
pub(crate) struct Flux {
    repositories: SharedWatch<SourceSeen>,
    artifacts: SharedWatch<SourceSeen>,
    process: Process,
}

impl Flux {
    /// Installs what the controller needs, starts it, and waits until it looks at sources.
    ///
    /// # Errors
    /// When an object is refused, or the controller cannot be started, dies, or is not ready in time.
    pub(crate) async fn start(setup: &Setup<'_>) -> Result<Self, FluxError> {
        let Setup { directory, program, assets, cluster, network } = *setup;
        let client = &cluster.client;
        let files = Files::write(directory, network)?;
        apply::install(client, &definitions(assets)?, NAMESPACE, &objects::of_controller(NAMESPACE)).await?;
        remove_leftovers(client).await?;
        let administrator = &cluster.description.kubeconfig;
        kubeconfig::for_account(&files.kubeconfig(), administrator, client, NAMESPACE, objects::ACCOUNT)
            .await
            .map_err(|error| FluxError::Kubeconfig(Box::new(error)))?;
        let process = Process::start(&files.controller(program, network))?;
        let open = |kind: Kind| {
            let all = Api::all_with(client.clone(), &sources::resource(kind));
            SharedWatch::open(all, kind.name(), SourceSeen::of)
        };
        let (repositories, artifacts) = tokio::try_join!(open(Kind::Git), open(Kind::Oci))?;
        let flux = Self { repositories, artifacts, process };
        tokio::select! {
            ready = flux.until_ready(client) => ready?,
            death = flux.died() => return Err(death),
        }
        Ok(flux)
    }

    async fn until_ready(&self, client: &Client) -> Result<(), FluxError> {
        self.create(client, &FIRST).await?;
        let looked_at = |seen: Option<&SourceSeen>| match seen.and_then(SourceSeen::fetched) {
            Some(_) => Progress::Done(()),
            None => Progress::NotYet("it has not looked at a source".to_owned()),
        };
        self.until(&FIRST, "source-controller ready", SET_UP, looked_at).await?;
        self.remove(client, &FIRST).await
    }

    /// The controller, to be written down by whoever has to end it should this process die.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Resolves when the controller ends by itself.
    pub(crate) async fn died(&self) -> FluxError {
        Death::of(&self.process, self.process.ended().await).into()
    }

    /// Creates a source, and lets the controller read the Secrets of its namespace. Returns once the watch has it, without
    /// which a source that is gone could not be told from one that is still to come.
    ///
    /// # Errors
    /// When the API server refuses, or the watch does not see it.
    pub(crate) async fn create(&self, client: &Client, source: &Source<'_>) -> Result<(), FluxError> {
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), source.namespace);
        let binding = sources::binding(source, NAMESPACE);
        create::<_, FluxError>(&bindings, binding, "let Flux read Secrets for", source.name).await?;
        let api = sources::api(client, source);
        create::<_, FluxError>(&api, sources::object(source), "create source", source.name).await?;
        self.until(source, &format!("watch of {source}"), SEEN, |seen| match seen {
            Some(_) => Progress::Done(()),
            None => Progress::NotYet("it is not seen".to_owned()),
        })
        .await
        .map_err(FluxError::Unseen)
    }

    /// Waits until `step`, asked at each change to any source of this kind, is done with this one.
    ///
    /// # Errors
    /// When the deadline passes, when `step` says never, or when the watch has lost sight of the cluster.
    pub(crate) async fn until<T>(
        &self,
        source: &Source<'_>,
        what: &str,
        within: Duration,
        step: impl FnMut(Option<&SourceSeen>) -> Progress<T>,
    ) -> Result<T, WaitError> {
        let watch = match source.kind {
            Kind::Git => &self.repositories,
            Kind::Oci => &self.artifacts,
        };
        watch.until((source.namespace, source.name), what, within, step).await
    }

    /// Removes a source, with the controller's right that came with it, and waits until it is gone: then nothing is asked for
    /// it any more. One that is gone already is as good.
    ///
    /// # Errors
    /// When the API server refuses, or it does not go.
    pub(crate) async fn remove(&self, client: &Client, source: &Source<'_>) -> Result<(), FluxError> {
        let Source { namespace, name, .. } = *source;
        delete::<_, FluxError>(&sources::api(client, source), name, "delete source").await?;
        self.until(source, &format!("{source} gone"), GONE, |seen| match seen {
            None => Progress::Done(()),
            Some(_) => Progress::NotYet("it has its finalizer".to_owned()),
        })
        .await
        .map_err(FluxError::NotDeleted)?;
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        delete(&bindings, &sources::binding_name(name), "delete RoleBinding").await
    }
}

/// Removes the sources that an earlier run left which was killed, without their finalizers, as nobody is there to take them away.
async fn remove_leftovers(client: &Client) -> Result<(), FluxError> {
    for kind in [Kind::Git, Kind::Oci] {
        let resource = sources::resource(kind);
        let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let listed = all.list_metadata(&ListParams::default().labels(&controller_objects::selector())).await;
        for left in listed.map_err(ApiError::of::<FluxError>("list sources of", kind.name()))? {
            let (namespace, name) = (left.namespace().unwrap_or_default(), left.name_any());
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
            delete::<_, FluxError>(&api, &name, "delete source").await?;
            let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
            gone_is_fine(api.patch_metadata(&name, &PatchParams::default(), &patch).await.map(drop))
                .map_err(ApiError::of::<FluxError>("take the finalizer of source", &name))?;
            let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), &namespace);
            delete::<_, FluxError>(&bindings, &sources::binding_name(&name), "delete RoleBinding").await?;
        }
    }
    Ok(())
}

fn definitions(assets: &Path) -> Result<Vec<Value>, FluxError> {
    let directory = assets.join("config/crd/bases");
    let read = FileError::of::<FluxError>("read", &directory);
    let entries = fs::read_dir(&directory).map_err(&read)?;
    let paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(&read)?;
    controller_objects::definitions(paths)
}
