//! A configuration deployed to the cluster of a session.

use std::collections::BTreeMap;

use credence_cluster::apply::RUN_LABEL;
use credence_cluster::capability::Capability;
use credence_cluster::cluster::Cluster;
use credence_cluster::operator;
use credence_cluster::stand_in::StandIn;
use credence_core::manifest::Manifest;
use credence_core::overlay_field::OverlayField;
use credence_model::applied;
use credence_model::config::Config;
use credence_model::model::Model;
use credence_model::overlay::{self, Server, StandInServer};
use credence_watch::observer::Observer;

use super::cluster::{open_proxies, stand_in, undisturbed};
use super::configuration::Configuration;
use super::needs;
use crate::error::RunError;
use crate::events::Events;
use crate::options::Options;
use crate::supplies::{FaultProxies, Need};
use crate::testbed::namespaces::Namespaces;
use crate::testbed::stores::Backends;
use crate::testbed::{TestBed, cleanup, deploy};

/// What a deployed configuration is tested on.
pub(super) struct Deployment {
    pub(super) bed: TestBed,
    pub(super) proxies: FaultProxies,
    /// Fields that were changed so that the configuration works on this cluster.
    pub(super) overlay: Vec<OverlayField>,
}

impl Deployment {
    /// Deploys a configuration as run `name`, in place of what an earlier run deployed if the cluster `is_used`.
    pub(super) async fn of(
        configuration: &Configuration,
        (cluster, is_used): (Cluster, bool),
        name: &str,
        options: &Options,
        events: &dyn Events,
    ) -> Result<Self, RunError> {
        let mut manifests = configuration.manifests.clone();
        let stand_in = stand_in(&cluster, &manifests).await?;
        let proxies = match needs(options, Need::StoreProxies) {
            true => open_proxies(&cluster, &manifests, stand_in.as_deref()).await?,
            false => FaultProxies::new(),
        };
        let mut overlay = configuration.overlay.clone();
        overlay.extend(overlay::apply(&mut manifests, &server(&cluster, &proxies, stand_in.as_deref()), options.time));
        overlay.extend(overlay::apply_identities(
            &mut manifests,
            &configuration.intended.identities,
            &operator::user(),
        ));
        let model = Model::derive(&Config::checked(manifests.clone(), &configuration.schema)?);
        let (model, unreadable) = model.intending(configuration.intended.clone()).readable();
        applied::replace_values(&mut manifests);
        let deployed = deploy_and_watch(&cluster, &manifests, &model, (name, is_used));
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
        let mut bed = TestBed::new(cluster, observer, model, Namespaces::new(name), backends);
        bed.model.outages_unsupported = bed.cluster.supports(Capability::Outages).err().map(str::to_owned);
        bed.model.undisturbed = undisturbed(&bed.cluster);
        Ok(Self { bed, proxies, overlay })
    }
}

/// Addresses by which the stores reach their sources.
fn server(cluster: &Cluster, proxies: &FaultProxies, stand_in: Option<&StandIn>) -> Server {
    Server {
        url: cluster.description.url_for_operator.clone(),
        proxies: proxies.iter().map(|(store, proxy)| (store.clone(), proxy.url())).collect(),
        stand_in: stand_in
            .map(|server| StandInServer { url: server.url(), certificate: server.authority().certificate() }),
    }
}

/// Applies the configuration and opens the watches. Gives what a run says of it, too.
async fn deploy_and_watch(
    cluster: &Cluster,
    manifests: &[Manifest],
    model: &Model,
    (name, is_used): (&str, bool),
) -> Result<(Vec<String>, Observer), RunError> {
    let mut removed = 0;
    if is_used {
        deploy::remove_previous(cluster).await?;
        removed = cleanup::sweep(&cluster.client).await?;
    }
    let mut notes = deploy::deploy(cluster, manifests, &model.source_namespaces(), &model.assumed).await?;
    if removed > 0 {
        notes.push(format!("removed {removed} objects that an earlier run left"));
    }
    let observer = Observer::start(&cluster.client).await?.excluding(cluster.paused_time());
    let labels = BTreeMap::from([(RUN_LABEL.to_owned(), name.to_owned())]);
    let observer = observer.fenced(&cluster.client, &format!("credence-{name}-fence"), &labels).await?;
    Ok((notes, observer))
}
