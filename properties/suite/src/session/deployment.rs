//! A configuration deployed to the cluster of a session.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use credence_cluster::apply::RUN_LABEL;
use credence_cluster::capability::Capability;
use credence_cluster::cluster::Cluster;
use credence_cluster::operator;
use credence_cluster::stand_in::StandIn;
use credence_cluster::vault::Vault;
use credence_core::adjustments::OverlayField;
use credence_core::manifest::Manifest;
use credence_model::applied;
use credence_model::config::Config;
use credence_model::model::Model;
use credence_model::overlay::{self, Server, StandInServer, VaultServer};
use credence_watch::observer::Observer;

use super::cluster::{open_proxies, stand_in, undisturbed};
use super::configuration::Configuration;
use super::needs;
use super::vault::{self, Served};
use crate::error::RunError;
use crate::events::Events;
use crate::options::Options;
use crate::supplies::{FaultProxies, Need};
use crate::testbed::namespaces::Namespaces;
use crate::testbed::stores::Backends;
use crate::testbed::{TestBed, cleanup, deploy};

/// Test bed of a deployed configuration.
pub(super) struct Deployment {
    pub(super) bed: TestBed,
    pub(super) proxies: FaultProxies,
    /// Vault, if it serves a store.
    pub(super) vault: Option<Arc<Vault>>,
    /// Logins at it that nobody wrote down, and what each may read.
    pub(super) derived: Vec<String>,
    /// Fields that were changed so that the configuration works on this cluster.
    pub(super) overlay: Vec<OverlayField>,
}

/// Place at which a configuration is deployed.
pub(super) struct Place<'a> {
    pub(super) cluster: Cluster,
    /// True if an earlier run may have deployed something.
    pub(super) is_used: bool,
    /// The name of the run, and its directory.
    pub(super) name: &'a str,
    pub(super) directory: &'a Path,
}

impl Deployment {
    /// Deploys a configuration, in place of what an earlier run deployed.
    pub(super) async fn of(
        configuration: &Configuration,
        place: Place<'_>,
        options: &Options,
        events: &dyn Events,
    ) -> Result<Self, RunError> {
        let mut manifests = configuration.manifests.clone();
        let Place { mut cluster, is_used, name, directory } = place;
        if is_used {
            // Before anything of this run is there: whatever has the label of a run goes.
            remove_leftovers(&cluster, events).await?;
        }
        let vault = configuration.vault.serve(&mut cluster, name, directory).await?;
        let served = vault.as_ref().map(|served| served.stores.clone()).unwrap_or_default();
        let stand_in = stand_in(&cluster, &manifests, &served).await?;
        let proxies = if needs(options, Need::StoreProxies) {
            open_proxies(&cluster, &manifests, stand_in.as_deref(), vault.as_ref()).await?
        } else {
            FaultProxies::new()
        };
        let mut overlay = configuration.overlay.clone();
        let server = server(&cluster, &proxies, stand_in.as_deref(), vault.as_ref());
        overlay.extend(overlay::apply(&mut manifests, &server, options.time));
        overlay.extend(overlay::apply_identities(
            &mut manifests,
            &configuration.intended.identities,
            &operator::user(),
        ));
        let model = Model::derive(&Config::checked(manifests.clone(), &configuration.schema)?);
        let (model, unreadable) = model.intending(configuration.intended.clone()).readable();
        applied::replace_values(&mut manifests);
        vault.iter().for_each(|served| vault::put(&mut manifests, &served.logins));
        let deployed = deploy_and_watch(&cluster, &manifests, &model, name);
        let (notes, observer) = tokio::select! {
            // A dead program explains a failed request better than the request does.
            biased;
            death = cluster.died() => return Err(death.into()),
            deployed = deployed => deployed?,
        };
        for note in notes.into_iter().chain(unreadable.iter().map(|unreadable| format!("not judged: {unreadable}"))) {
            events.note(&note);
        }
        let backends = stand_in.into_iter().fold(Backends::default(), Backends::standing_in);
        let (vault, derived) = vault.map_or_else(Default::default, |served| (Some(served.vault), served.derived));
        let backends = vault.iter().cloned().fold(backends, |backends, vault| backends.with_vault(vault, &model));
        let mut bed = TestBed::new(cluster, observer, model, Namespaces::new(name), backends);
        bed.model.outages_unsupported = bed.cluster.supports(Capability::Outages).err().map(str::to_owned);
        bed.model.undisturbed = undisturbed(&bed.cluster);
        Ok(Self { bed, proxies, vault, derived, overlay })
    }
}

/// Removes from a cluster that lives on what earlier runs deployed and what they left.
async fn remove_leftovers(cluster: &Cluster, events: &dyn Events) -> Result<(), RunError> {
    deploy::remove_previous(cluster).await?;
    let removed = cleanup::sweep(&cluster.client).await?;
    if removed > 0 {
        events.note(&format!("removed {removed} objects that an earlier run left"));
    }
    Ok(())
}

/// Addresses by which the stores reach their sources.
fn server(cluster: &Cluster, proxies: &FaultProxies, stand_in: Option<&StandIn>, vault: Option<&Served>) -> Server {
    Server {
        url: cluster.description.url_for_operator.clone(),
        proxies: proxies.iter().map(|(store, proxy)| (store.clone(), proxy.url())).collect(),
        stand_in: stand_in
            .map(|server| StandInServer { url: server.url(), certificate: server.authority().certificate() }),
        vault: vault.map(|Served { vault, stores, .. }| VaultServer {
            server: StandInServer { url: vault.url(), certificate: vault.authority().certificate() },
            stores: stores.clone(),
        }),
    }
}

/// Applies the configuration and opens the watches. Gives what a run says of it, too.
async fn deploy_and_watch(
    cluster: &Cluster,
    manifests: &[Manifest],
    model: &Model,
    name: &str,
) -> Result<(Vec<String>, Observer), RunError> {
    let notes = deploy::deploy(cluster, manifests, &model.source_namespaces(), &model.assumed).await?;
    let observer = Observer::start(&cluster.client).await?.excluding(cluster.paused_time());
    let labels = BTreeMap::from([(RUN_LABEL.to_owned(), name.to_owned())]);
    let observer = observer.fenced(&cluster.client, &format!("credence-{name}-fence"), &labels).await?;
    Ok((notes, observer))
}
