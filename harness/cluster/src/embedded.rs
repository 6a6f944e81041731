//! The embedded cluster: real parts as local processes, as any user, with no container engine.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use credence_programs::certificates::Authority;
use credence_programs::process::Paused;
use credence_programs::process::service::Service;
use credence_programs::run_dir::{ClearError, RunDir};
use credence_programs::supply::{Programs, Progress};
use credence_watch::paused_time::PausedTime;
use futures::FutureExt;
use futures::future::{BoxFuture, join, join_all};
use kube::Client;
use tokio::sync::Mutex;

use crate::capability::{Capability, Lacks};
use crate::cluster::Cluster;
use crate::control_plane_files::ControlPlaneFiles;
use crate::description::{self, Description, versions};
use crate::embedded::control_plane::{ControlPlane, first_death};
use crate::embedded::replacement::Standby;
use crate::error::ClusterError;
use crate::operator::{self, Release};
use crate::provider::{Found, Inputs, PreparationError, Provider, Startable, Wanted};
use crate::provisioned::{Component, Provisioned, Replacement};
use crate::start_up::wait_until_ready;
use crate::{apply, kubeconfig};

mod control_plane;
pub mod node;
mod replacement;

/// File in a run directory with the kubeconfig of External Secrets Operator; its token is in a file beside it.
const OPERATOR_KUBECONFIG: &str = "external-secrets.kubeconfig";

/// The name of such clusters.
const ID: &str = "embedded";
/// Why there is no webhook.
const NO_WEBHOOK: &str = "no webhook runs here; --cluster kind adds it";
const LACKS: Lacks = &[(Capability::Webhook, NO_WEBHOOK)];
/// Capabilities that it lacks where a process cannot have a mount namespace of its own.
const LACKS_WITHOUT_MOUNTS: Lacks =
    &[(Capability::Webhook, NO_WEBHOOK), (Capability::LeaderElection, replacement::NO_MOUNTS)];

/// Everything that ends with this process. Fields drop in this order: programs first, then their directory.
struct EmbeddedCluster {
    standby: Mutex<Option<Standby>>,
    operator: Service,
    controllers: Service,
    apiserver: Service,
    etcd: Service,
    /// Address that the operator calls its own.
    operator_url: String,
    /// True if a process can have a file system of its own.
    has_mounts: bool,
    authority: Authority,
    client: Client,
    run: RunDir,
}

/// The kind of embedded clusters, which need nothing of the machine.
pub struct Embedded;

impl Provider for Embedded {
    fn id(&self) -> &'static str {
        ID
    }

    fn help(&self) -> &'static str {
        "A real control plane and the operator as local processes; as root, also a node. Needs no container engine"
    }

    fn lacks(&self) -> Lacks {
        LACKS
    }

    fn find<'a>(
        &'a self,
        _wanted: &'a Wanted<'a>,
        _progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Box<dyn Found>, PreparationError>> {
        async { Ok(Box::new(Self) as _) }.boxed()
    }

    fn clear(&self, run: &Path) -> Result<(), ClearError> {
        node::clear(run).map_err(ClearError::new)
    }
}

impl Found for Embedded {
    fn obtain<'a>(
        self: Box<Self>,
        _wanted: &'a Wanted<'a>,
        _progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Box<dyn Startable>, PreparationError>> {
        async move { Ok(self as _) }.boxed()
    }
}

impl Startable for Embedded {
    fn start<'a>(
        &'a self,
        run: RunDir,
        Inputs { programs, assets, configured }: &'a Inputs<'a>,
        _progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Cluster, ClusterError>> {
        start(run, programs, assets, configured).boxed()
    }
}

/// Starts an embedded cluster in `run`, with the audit policy and the encryption that are configured.
///
/// # Errors
/// When a part cannot be started, dies, or is not ready in time.
pub async fn start(
    run: RunDir,
    programs: &Programs,
    assets: &Path,
    configured: &ControlPlaneFiles,
) -> Result<Cluster, ClusterError> {
    let directory = run.path().to_owned();
    let release = operator::render(programs, assets, &directory).await?;
    let plane = ControlPlane::start(&directory, programs, configured).await?;
    record(&run, &[&plane.etcd, &plane.apiserver])?;
    let operator = install(&plane, &release, programs, &directory).await?;
    let controllers = Service::start(plane.controller_manager)?;
    record(&run, &[&operator, &controllers])?;
    tokio::select! {
        ready = operator::wait_until_live(&release.live_url) => ready?,
        death = first_death([&plane.etcd, &plane.apiserver, &operator, &controllers]) => return Err(death.into()),
    }
    let description = Description {
        provider: ID.to_owned(),
        versions: versions(programs, assets),
        url_for_operator: Some(plane.url.clone()),
        url: plane.url,
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        operator_token: directory.join(OPERATOR_KUBECONFIG).with_extension("token"),
        kubeconfig: plane.kubeconfig,
        audit_log: plane.audit_log,
        etcd: plane.etcd_url,
        operator: description::operator_identity(programs, assets),
        control_plane_files: configured.digest(),
        owner: std::process::id(),
    };
    let embedded = EmbeddedCluster {
        standby: Mutex::default(),
        has_mounts: replacement::has_mounts(),
        operator,
        controllers,
        apiserver: plane.apiserver,
        etcd: plane.etcd,
        operator_url: release.live_url,
        authority: plane.authority,
        client: plane.client.clone(),
        run,
    };
    Cluster::of(Box::new(embedded), description, plane.client)
}

impl EmbeddedCluster {
    fn service(&self, component: Component) -> Result<&Service, ClusterError> {
        match component {
            Component::ApiServer => Ok(&self.apiserver),
            Component::ExternalSecrets => Ok(&self.operator),
            Component::Webhook => Err(ClusterError::Absent { why: NO_WEBHOOK }),
        }
    }

    async fn bring_back(&self, component: Component) -> Result<(), ClusterError> {
        let service = self.service(component)?;
        self.run.record(&*service.start_again()?)?;
        let ready = async {
            match component {
                Component::ApiServer => wait_until_ready(&self.client).await,
                Component::ExternalSecrets | Component::Webhook => operator::wait_until_live(&self.operator_url).await,
            }
        };
        tokio::select! {
            ready = ready => Ok(ready?),
            death = service.died() => Err(death.into()),
        }
    }
}

impl Provisioned for EmbeddedCluster {
    fn run(&self) -> &RunDir {
        &self.run
    }

    fn run_mut(&mut self) -> &mut RunDir {
        &mut self.run
    }

    fn authority(&self) -> &Authority {
        &self.authority
    }

    fn lacks(&self) -> Lacks {
        if self.has_mounts { LACKS } else { LACKS_WITHOUT_MOUNTS }
    }

    fn died(&self) -> BoxFuture<'_, ClusterError> {
        let services = [&self.etcd, &self.apiserver, &self.controllers, &self.operator];
        async move { first_death(services).await.into() }.boxed()
    }

    fn paused_time(&self) -> Option<PausedTime> {
        let latest = self.operator.processes();
        Some(PausedTime::of(move || latest.borrow().as_ref().is_some_and(|process| process.stands_still())))
    }

    fn pause(&self, component: Component) -> BoxFuture<'_, Result<Option<Paused>, ClusterError>> {
        let process = self.service(component).map(Service::process);
        async move { Ok(process?.map(|process| process.pause())) }.boxed()
    }

    fn stop(&self, component: Component) -> BoxFuture<'_, Result<(), ClusterError>> {
        async move {
            self.service(component)?.stop().await;
            Ok(())
        }
        .boxed()
    }

    fn start_again(&self, component: Component) -> BoxFuture<'_, Result<(), ClusterError>> {
        self.bring_back(component).boxed()
    }

    fn begin_replacement(&self, how: Replacement) -> BoxFuture<'_, Result<(), ClusterError>> {
        self.begin_to_replace(how).boxed()
    }

    fn end_replacement(&self) -> BoxFuture<'_, Result<(), ClusterError>> {
        self.end_to_replace().boxed()
    }

    fn lose_control_plane(&self) -> BoxFuture<'_, Result<(), ClusterError>> {
        async move {
            let killed = join_all([&self.operator, &self.controllers, &self.apiserver].map(Service::stop));
            // It runs without fsync here and keeps what it says it has written for itself, so that a kill would lose entries.
            join(killed, self.etcd.end()).await;
            Ok(())
        }
        .boxed()
    }

    fn bring_control_plane_back(&self) -> BoxFuture<'_, Result<(), ClusterError>> {
        async move {
            self.run.record(&*self.etcd.start_again()?)?;
            self.bring_back(Component::ApiServer).await?;
            self.run.record(&*self.controllers.start_again()?)?;
            self.bring_back(Component::ExternalSecrets).await
        }
        .boxed()
    }
}

fn record(run: &RunDir, services: &[&Service]) -> Result<(), ClusterError> {
    let processes = services.iter().filter_map(|service| service.process());
    processes.into_iter().try_for_each(|process| run.record(&process)).map_err(ClusterError::RunDir)
}

/// Installs the chart's objects, and starts ESO as its own ServiceAccount.
async fn install(
    plane: &ControlPlane,
    release: &Release,
    programs: &Programs,
    directory: &Path,
) -> Result<Service, ClusterError> {
    let (namespace, account) = (operator::NAMESPACE, operator::SERVICE_ACCOUNT);
    apply::install(&plane.client, &release.definitions, namespace, &release.objects).await?;
    let path = directory.join(OPERATOR_KUBECONFIG);
    let kubeconfig = kubeconfig::for_account(&path, &plane.kubeconfig, &plane.client, namespace, account).await?;
    Ok(Service::start(operator::program(release, programs, &kubeconfig, directory))?)
}
