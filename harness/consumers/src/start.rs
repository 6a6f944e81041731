//! Bringing the consumers up, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use credence_cluster::cluster::{ClusterError, PodNode, RegistryError};
use credence_cluster::embedded::node::{self, Node, NodeError};
use credence_core::credential::Credential;
use credence_core::file_error::FileError;
use credence_core::formats::ARGO_CD;
use credence_programs::certificates::{Authority, CertificateError, write_private};
use credence_programs::oci::{ImageError, Registry};
use credence_programs::supply::Part;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::site::Site;
use crate::argo_cd::{self, ArgoCd, ArgoCdError, ArgoCdPlacement};
use crate::backstage::login::BackstageService;
use crate::backstage::{self, Installation, Url};
use crate::flux::{self, Flux, FluxError};
use crate::forge::{Forge, ForgeError, ForgeSetup, Network, WRITE_PACKAGE};
use crate::kargo::{self, Kargo, KargoError};
use crate::obtain::Setup;
use crate::running::{Consumers, Person, accounts};

/// File that holds the certificate of the forge's authority.
pub(crate) const AUTHORITY: &str = "authority.crt";
/// Program that tells git username and password, which are in its environment and in no file or argument.
pub(crate) const ASK_PASS: &str = "ask-pass";
/// Environment variable with the username.
pub(crate) const USERNAME: &str = "CREDENCE_USERNAME";
/// Environment variable with the password.
pub(crate) const PASSWORD: &str = "CREDENCE_PASSWORD";

/// The consumers could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The forge does not start.
    #[error("failed to start the forge")]
    Forge(#[from] ForgeError),
    /// The node for pods does not start.
    #[error("failed to start a node")]
    Node(#[from] NodeError),
    /// The registry that the node pulls images from failed.
    #[error("failed to configure the node to pull from the forge")]
    Registry(#[from] RegistryError),
    /// Argo CD does not start.
    #[error("failed to start Argo CD")]
    ArgoCd(#[from] ArgoCdError),
    /// Kargo's controller does not start.
    #[error("failed to start Kargo")]
    Kargo(#[from] KargoError),
    /// Flux's source-controller does not start.
    #[error("failed to start Flux's source-controller")]
    Flux(#[from] FluxError),
    /// The authority of the forge's certificates.
    #[error("failed to make the forge's certificates")]
    Certificate(#[from] CertificateError),
    /// The image that pods pull.
    #[error("failed to make the images that pods pull")]
    Image(#[from] ImageError),
    /// No port could be had for Backstage's address.
    #[error("failed to find a port for Backstage")]
    Port(#[source] io::Error),
    /// The list of processes of the run.
    #[error("failed to record the consumers")]
    Record(#[from] ClusterError),
    /// A file or directory of the consumers cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Starts all consumers that are not absent.
///
/// # Errors
/// When one of them does not start; the others end.
pub async fn start(site: &Site, setup: &Setup) -> Result<Consumers, StartError> {
    let began = Instant::now();
    let directory = site.scratch().join(setup.directory);
    let authority = Authority::new("credence forge")?;
    for name in ["forge", "argo-cd", "kargo", "flux"] {
        let path = directory.join(name);
        fs::create_dir_all(&path).map_err(FileError::of::<StartError>("write", &path))?;
    }
    write_private(&directory.join(AUTHORITY), authority.certificate().as_bytes())?;
    write_ask_pass(&directory.join(ASK_PASS))?;
    let (node, (forge, argo_cd, kargo, flux)) =
        tokio::try_join!(start_node(site, setup), start_forge_and_its_clients(site, setup, &directory, &authority))?;
    let (address, trusted) = (forge.addresses()[0].to_string(), authority.certificate());
    node.iter().try_for_each(|node| node.set_registry(&address, &trusted))?;
    let owners = setup.endpoints.owners();
    let names: BTreeSet<String> =
        owners.iter().flat_map(|owner| [accounts(owner), accounts(&owner.look_alike())]).flatten().collect();
    let mut organizations = BTreeMap::new();
    for name in names {
        let organization = forge.create_organization(&name).await?;
        organizations.insert(name, organization);
    }
    let person = Person { name: "person".to_owned(), password: Credential::random(), browser: Mutex::default() };
    forge.create_user(&person.name, &person.password).await?;
    let token = forge.create_token(forge.administrator(), &[WRITE_PACKAGE]).await?;
    let pusher = Registry::new(&address, &trusted, forge.administrator(), &token.value)?;
    let backstage = setup.backstage.as_ref().zip(node.as_deref());
    let backstage = backstage.map(|(installation, node)| backstage_on(node, installation, &forge)).transpose()?;
    let sleeper = credence_programs::oci::sleeper(setup.programs.path(Part::Etcd), &directory)?;
    Ok(Consumers {
        site: site.clone(),
        node,
        argo_cd,
        kargo,
        flux,
        backstage,
        forge,
        endpoints: setup.endpoints.clone(),
        organizations,
        pusher,
        sleeper,
        person,
        authority,
        directory,
        names: AtomicU32::new(0),
        shared: std::sync::Mutex::default(),
        shared_turn: Mutex::default(),
        took: began.elapsed(),
    })
}

async fn start_node(site: &Site, setup: &Setup) -> Result<Option<Arc<dyn PodNode>>, StartError> {
    if setup.has_no_node {
        return Ok(None);
    }
    if let Some(node) = site.cluster.node() {
        return Ok(Some(node));
    }
    let Some(authority) = site.cluster.authority() else { return Ok(None) };
    let options = node::Options {
        run: site.cluster.directory(),
        url: &site.cluster.description.url,
        authority,
        client: &site.cluster.client,
        programs: &setup.node_programs(),
    };
    let node = Node::start(&options).await?;
    node.processes().iter().try_for_each(|process| site.record(process))?;
    Ok(Some(Arc::new(node)))
}

/// Starts the forge, and then those who need its address, side by side.
async fn start_forge_and_its_clients(
    site: &Site,
    setup: &Setup,
    directory: &Path,
    authority: &Authority,
) -> Result<(Forge, Option<ArgoCd>, Option<Kargo>, Option<Flux>), StartError> {
    let owners = setup.endpoints.owners();
    let mut names: Vec<String> = owners.iter().flat_map(|owner| [owner.host.clone(), owner.elsewhere().host]).collect();
    // A certificate is for hosts, whatever their ports.
    names.iter_mut().for_each(|name| name.truncate(name.find(':').unwrap_or(name.len())));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let forge = Forge::start(&ForgeSetup {
        directory: &directory.join("forge"),
        gitea: setup.place_of_gitea(&site.cluster),
        authority,
        names: &names,
        host: site.cluster.description.host,
        addresses: &[],
    })
    .await?;
    forge.process().map(|process| site.record(process)).transpose()?;
    let network = Network { https_proxy: forge.proxy(), authorities: authority.certificate() };
    let (argo_cd, kargo, flux) = tokio::try_join!(
        start_argo_cd(site, setup, directory, &network),
        start_kargo(site, setup, directory, &network),
        start_flux(site, setup, directory, &network),
    )?;
    Ok((forge, argo_cd, kargo, flux))
}

async fn start_argo_cd(
    site: &Site,
    setup: &Setup,
    directory: &Path,
    network: &Network,
) -> Result<Option<ArgoCd>, StartError> {
    let Some(assets) = &setup.argo_cd else { return Ok(None) };
    let place = match (&setup.argo_cd_images, site.cluster.containers()) {
        (Some(images), Some(containers)) => {
            ArgoCdPlacement::Node { containers, images, kustomize: setup.programs.path(Part::Kustomize) }
        }
        _ => ArgoCdPlacement::Machine {
            program: setup.programs.path(Part::ArgoCd),
            kubeconfig: &site.cluster.description.kubeconfig,
        },
    };
    let directory = directory.join("argo-cd");
    let namespace = setup.endpoints.namespace_of(ARGO_CD).unwrap_or_default();
    let (client, labels) = (&site.cluster.client, &setup.argo_cd_labels);
    let from = argo_cd::Setup { directory: &directory, assets, client, network, place, namespace, labels };
    let argo_cd = ArgoCd::start(&from).await?;
    argo_cd.processes().iter().try_for_each(|process| site.record(process))?;
    Ok(Some(argo_cd))
}

async fn start_kargo(
    site: &Site,
    setup: &Setup,
    directory: &Path,
    network: &Network,
) -> Result<Option<Kargo>, StartError> {
    let Some(supplied) = &setup.kargo else { return Ok(None) };
    let (directory, helm) = (directory.join("kargo"), setup.programs.path(Part::Helm));
    let kargo =
        Kargo::start(&kargo::Setup { directory: &directory, supplied, helm, cluster: &site.cluster, network }).await?;
    site.record(kargo.process())?;
    Ok(Some(kargo))
}

async fn start_flux(
    site: &Site,
    setup: &Setup,
    directory: &Path,
    network: &Network,
) -> Result<Option<Flux>, StartError> {
    let Some(assets) = &setup.flux else { return Ok(None) };
    let (directory, program) = (directory.join("flux"), setup.programs.path(Part::SourceController));
    let flux =
        Flux::start(&flux::Setup { directory: &directory, program, assets, cluster: &site.cluster, network }).await?;
    site.record(flux.process())?;
    Ok(Some(flux))
}

/// Backstage on a port of the node's network that is free on this machine, and so most likely there.
fn backstage_on(
    node: &dyn PodNode,
    installation: &Installation,
    forge: &Forge,
) -> Result<BackstageService, StartError> {
    let free = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0));
    let port = free.and_then(|listener| listener.local_addr()).map_err(StartError::Port)?.port();
    let host = node.reachable_address();
    let listen = std::net::SocketAddr::from((host, port));
    // Both are addresses with a port, and so make URLs.
    let url = |text: String| Url::parse(&text).expect("an address makes a URL");
    let served = backstage::Settings {
        base_url: url(format!("http://{listen}")),
        listen: listen.to_string(),
        forge: url(forge.url()),
        authority: Some(crate::backstage::login::AUTHORITY.to_owned()),
    };
    Ok(BackstageService {
        installation: installation.clone(),
        served,
        host,
        published: OnceCell::new(),
        deployed: Mutex::default(),
    })
}

fn write_ask_pass(path: &Path) -> Result<(), StartError> {
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in Username*) printf '%s\\n' \"${USERNAME}\";; *) printf '%s\\n' \"${PASSWORD}\";; esac\n"
    );
    let file = fs::File::options().write(true).create(true).truncate(true).mode(0o700).open(path);
    let written = file.and_then(|mut file| file.write_all(script.as_bytes()));
    written.map_err(FileError::of("write", path))
}
