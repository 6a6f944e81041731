//! Bringing the consumers up, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;

use credence_harness::argo_cd::{ArgoCd, ArgoCdError};
use credence_harness::backstage::{self, BackstageError, Commands, Installation, Url};
use credence_harness::certificates::{Authority, CertificateError, write_private};
use credence_harness::cluster::ClusterError;
use credence_harness::components::{self, ComponentError, Part, Programs};
use credence_harness::credential::Credential;
use credence_harness::forge::{Forge, ForgeError, ForgeSetup, Network, WRITE_PACKAGE};
use credence_harness::image::{ImageError, Registry};
use credence_harness::kargo::{self, Kargo, KargoError};
use credence_harness::node::{self, Node, NodeError, NodePrograms};

use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::backstage::Portal;
use super::{Consumer, Consumers, Endpoints, Person};
use crate::console::Console;
use crate::environment::Environment;

/// File that holds the certificate of the forge's authority.
pub(super) const AUTHORITY: &str = "authority.crt";
/// Program that tells git username and password, which are in its environment and in no file or argument.
pub(super) const ASK_PASS: &str = "ask-pass";
/// Variable with the username.
pub(super) const USERNAME: &str = "CREDENCE_USERNAME";
/// Variable with the password.
pub(super) const PASSWORD: &str = "CREDENCE_PASSWORD";

/// Why Kargo's controller is absent, what that costs, and the next step.
const KARGO_NOT_GIVEN: &str = "Kargo cannot be obtained and is not given, so that only its lookup rules are tested: give the \
    program kargo of its control plane (in its image: /usr/local/bin/kargo) with --kargo PROGRAM, and its chart (in its \
    source: charts/kargo) with --kargo-chart CHART";

/// Parts of a node.
const NODE: [Part; 7] = [
    Part::Containerd,
    Part::ContainerdShim,
    Part::Ctr,
    Part::Kubelet,
    Part::CniPtp,
    Part::CniHostLocal,
    Part::CniLoopback,
];

/// Why the consumers could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The forge.
    #[error("failed to start the forge")]
    Forge(#[from] ForgeError),
    /// The node.
    #[error("failed to start a node")]
    Node(#[from] NodeError),
    /// Argo CD.
    #[error("failed to start Argo CD")]
    ArgoCd(#[from] ArgoCdError),
    /// Kargo.
    #[error("failed to start Kargo")]
    Kargo(#[from] KargoError),
    /// The authority of the forge's certificates.
    #[error("failed to make the forge's certificates")]
    Certificate(#[from] CertificateError),
    /// The image that pods pull.
    #[error("failed to make the images that pods pull")]
    Image(#[from] ImageError),
    /// The address of Backstage.
    #[error("failed to find a port for Backstage")]
    Port(#[source] io::Error),
    /// The list of processes of the run.
    #[error("failed to write the consumers down")]
    Record(#[from] ClusterError),
    /// A file.
    #[error("failed to write {path}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// What consumers are started from.
pub struct Setup {
    /// Where credentials are used.
    pub endpoints: Endpoints,
    /// Consumers that cannot run here, with the reason.
    pub absent: BTreeMap<Consumer, String>,
    programs: Programs,
    gitea: PathBuf,
    argo_cd: Option<PathBuf>,
    kargo: Option<kargo::Given>,
    backstage: Option<Installation>,
}

/// Why what consumers are started from could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A program.
    #[error("failed to obtain the consumers' programs")]
    Component(#[from] ComponentError),
    /// What was given as Kargo.
    #[error("failed to use the given Kargo")]
    Kargo(#[from] KargoError),
    /// Backstage.
    #[error("failed to install Backstage")]
    Backstage(#[from] BackstageError),
}

impl Setup {
    /// Finds out which consumers can run here, without starting anything, and obtains their programs.
    ///
    /// # Errors
    /// When a program that is needed cannot be obtained.
    pub async fn obtain(
        options: &components::Options,
        endpoints: Endpoints,
        cluster_is_owned: bool,
        console: &Console,
    ) -> Result<Self, SetupError> {
        let absent = absent(options, &endpoints, cluster_is_owned).await;
        let mut parts = vec![Part::Etcd, Part::Gitea];
        if !absent.contains_key(&Consumer::Kubelet) {
            parts.extend(NODE);
        }
        let argo_cd = !absent.contains_key(&Consumer::ArgoCd);
        parts.extend(argo_cd.then_some(Part::ArgoCd));
        let is_kargo_absent = [Consumer::KargoGit, Consumer::KargoImage].iter().all(|one| absent.contains_key(one));
        let kargo = options.kargo.clone().filter(|_| !is_kargo_absent);
        if let Some(given) = &kargo {
            let version = given.version().await?;
            console.note(&format!("Kargo {version} is given: {}", given.program.display()));
            parts.push(Part::Helm);
        }
        let programs = components::obtain(options, &parts, console.components()).await?;
        let backstage = if absent.contains_key(&Consumer::Backstage) {
            None
        } else {
            Some(backstage::obtain(&options.cache, &Commands::default(), &|line| console.note(line)).await?)
        };
        Ok(Self {
            programs,
            gitea: components::gitea_assets(options).await?,
            argo_cd: if argo_cd { Some(components::argo_cd_assets(options).await?) } else { None },
            kargo,
            backstage,
            endpoints,
            absent,
        })
    }

    fn node_programs(&self) -> NodePrograms {
        let path = |part| self.programs.path(part).to_owned();
        NodePrograms {
            containerd: path(Part::Containerd),
            shim: path(Part::ContainerdShim),
            ctr: path(Part::Ctr),
            kubelet: path(Part::Kubelet),
            ptp: path(Part::CniPtp),
            host_local: path(Part::CniHostLocal),
            loopback: path(Part::CniLoopback),
            // Its absence is a reason for no node, and that has been asked for.
            runc: node::find_program("runc").unwrap_or_default(),
            etcd: path(Part::Etcd),
        }
    }
}

/// The consumers that cannot run here, each with what would enable it. Nothing is started or obtained.
pub async fn absent(
    options: &components::Options,
    endpoints: &Endpoints,
    cluster_is_owned: bool,
) -> BTreeMap<Consumer, String> {
    let undocumented = |what: &str| format!("no manifest of a consumer names {what}; give them with --consumers DIR");
    let no_git = || node::find_program("git").is_none().then(|| "git is not installed".to_owned());
    let attached =
        (!cluster_is_owned).then(|| "a node needs a cluster of this run, not one of `credence up`".to_owned());
    let when = |is_empty: bool, what: &str| is_empty.then(|| undocumented(what));
    let kargo_git = || when(endpoints.kargo_git.is_empty(), "a repository that Kargo subscribes to").or_else(no_git);
    let kargo_images = || when(endpoints.kargo_images.is_empty(), "an image that Kargo subscribes to");
    let no_controller = || options.kargo.is_none().then(|| KARGO_NOT_GIVEN.to_owned());
    let controller = || options.kargo.is_some().then(|| "not needed, as Kargo's controller runs".to_owned());
    let reasons = [
        (
            Consumer::Kubelet,
            when(endpoints.pods.is_empty(), "an image that pods pull with a Secret")
                .or(attached)
                .or_else(Node::unsupported),
        ),
        (
            Consumer::ArgoCd,
            when(endpoints.argo_cd.is_empty(), "a repository that Argo CD syncs").or_else(ArgoCd::unsupported),
        ),
        (Consumer::KargoGit, kargo_git().or_else(no_controller)),
        (Consumer::KargoImage, kargo_images().or_else(no_controller)),
        (Consumer::KargoGitRules, kargo_git().or_else(controller)),
        (Consumer::KargoImageRules, kargo_images().or_else(controller)),
    ];
    let mut absent: BTreeMap<Consumer, String> =
        reasons.into_iter().filter_map(|(consumer, reason)| Some((consumer, reason?))).collect();
    if let Some(reason) = absent.get(&Consumer::Kubelet).cloned() {
        absent.insert(Consumer::Backstage, reason);
    } else if let Some(reason) = backstage::unsupported(&options.cache, &Commands::default()).await {
        absent.insert(Consumer::Backstage, reason.to_string());
    }
    absent
}

/// Starts all consumers that are not absent.
///
/// # Errors
/// When one of them does not start; the others end.
pub(crate) async fn start(env: &Environment, setup: &Setup) -> Result<Consumers, StartError> {
    let began = Instant::now();
    let directory = env.scratch().join("consumers");
    let authority = Authority::new("credence forge")?;
    for name in ["forge", "argo-cd", "kargo"] {
        let path = directory.join(name);
        fs::create_dir_all(&path).map_err(|source| StartError::Write { path, source })?;
    }
    write_private(&directory.join(AUTHORITY), authority.certificate().as_bytes())?;
    write_ask_pass(&directory.join(ASK_PASS))?;
    let (node, (forge, argo_cd, kargo)) =
        tokio::try_join!(start_node(env, setup), start_forge_and_its_clients(env, setup, &directory, &authority))?;
    if let Some(node) = &node {
        node.set_registry(&forge.addresses()[0].to_string(), &authority.certificate())?;
    }
    let owners = setup.endpoints.owners();
    let names: BTreeSet<String> =
        owners.iter().flat_map(|owner| [owner.name.clone(), owner.look_alike().name]).collect();
    let mut organizations = BTreeMap::new();
    for name in names {
        let organization = forge.create_organization(&name).await?;
        organizations.insert(name, organization);
    }
    let person = Person { name: "person".to_owned(), password: Credential::random(), browser: Mutex::default() };
    forge.create_user(&person.name, &person.password).await?;
    let token = forge.create_token(forge.administrator(), &[WRITE_PACKAGE]).await?;
    let address = forge.addresses()[0].to_string();
    let pusher = Registry::new(&address, &authority.certificate(), forge.administrator(), &token.value)?;
    let portal = setup.backstage.as_ref().map(|installation| portal(installation, &forge)).transpose()?;
    Ok(Consumers {
        node,
        argo_cd,
        kargo,
        portal,
        forge,
        endpoints: setup.endpoints.clone(),
        organizations,
        pusher,
        sleeper: node::sleeper(setup.programs.path(Part::Etcd))?,
        person,
        authority,
        directory,
        names: AtomicU32::new(0),
        took: began.elapsed(),
    })
}

async fn start_node(env: &Environment, setup: &Setup) -> Result<Option<Node>, StartError> {
    let (false, Some(authority)) = (setup.absent.contains_key(&Consumer::Kubelet), env.cluster.authority()) else {
        return Ok(None);
    };
    let options = node::Options {
        run: env.cluster.directory(),
        url: &env.cluster.description.url,
        authority,
        client: &env.cluster.client,
        programs: &setup.node_programs(),
    };
    let node = Node::start(&options).await?;
    node.processes().iter().try_for_each(|process| env.record(process))?;
    Ok(Some(node))
}

/// Starts the forge, and then those who need its address, side by side.
async fn start_forge_and_its_clients(
    env: &Environment,
    setup: &Setup,
    directory: &Path,
    authority: &Authority,
) -> Result<(Forge, Option<ArgoCd>, Option<Kargo>), StartError> {
    let owners = setup.endpoints.owners();
    let mut names: Vec<String> = owners.iter().flat_map(|owner| [owner.host.clone(), owner.elsewhere().host]).collect();
    // A certificate is for hosts, whatever their ports.
    names.iter_mut().for_each(|name| name.truncate(name.find(':').unwrap_or(name.len())));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let forge = Forge::start(&ForgeSetup {
        directory: &directory.join("forge"),
        gitea: setup.programs.path(Part::Gitea),
        assets: &setup.gitea,
        authority,
        names: &names,
        addresses: &[],
    })
    .await?;
    env.record(forge.process())?;
    let network = Network { https_proxy: forge.proxy(), authorities: authority.certificate() };
    let (argo_cd, kargo) = tokio::try_join!(
        start_argo_cd(env, setup, directory, &network),
        start_kargo(env, setup, directory, &network),
    )?;
    Ok((forge, argo_cd, kargo))
}

async fn start_argo_cd(
    env: &Environment,
    setup: &Setup,
    directory: &Path,
    network: &Network,
) -> Result<Option<ArgoCd>, StartError> {
    let Some(assets) = &setup.argo_cd else { return Ok(None) };
    let (program, kubeconfig) = (setup.programs.path(Part::ArgoCd), &env.cluster.description.kubeconfig);
    let directory = directory.join("argo-cd");
    let argo_cd = ArgoCd::start(&directory, program, assets, kubeconfig, &env.cluster.client, network).await?;
    argo_cd.processes().iter().try_for_each(|process| env.record(process))?;
    Ok(Some(argo_cd))
}

async fn start_kargo(
    env: &Environment,
    setup: &Setup,
    directory: &Path,
    network: &Network,
) -> Result<Option<Kargo>, StartError> {
    let Some(given) = &setup.kargo else { return Ok(None) };
    let (directory, helm) = (directory.join("kargo"), setup.programs.path(Part::Helm));
    let kargo =
        Kargo::start(&kargo::Setup { directory: &directory, given, helm, cluster: &env.cluster, network }).await?;
    env.record(kargo.process())?;
    Ok(Some(kargo))
}

/// Backstage on a free port of the node's network, which is this machine's.
fn portal(installation: &Installation, forge: &Forge) -> Result<Portal, StartError> {
    let free = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0));
    let listen = free.and_then(|listener| listener.local_addr()).map_err(StartError::Port)?;
    // Both are addresses with a port, and so make URLs.
    let url = |text: String| Url::parse(&text).expect("an address makes a URL");
    let served = backstage::Settings {
        base_url: url(format!("http://{listen}")),
        listen: listen.to_string(),
        forge: url(forge.url()),
        authority: Some(super::backstage::AUTHORITY.to_owned()),
    };
    Ok(Portal { installation: installation.clone(), served, published: OnceCell::new() })
}

fn write_ask_pass(path: &Path) -> Result<(), StartError> {
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in Username*) printf '%s\\n' \"${USERNAME}\";; *) printf '%s\\n' \"${PASSWORD}\";; esac\n"
    );
    let file = fs::File::options().write(true).create(true).truncate(true).mode(0o700).open(path);
    let written = file.and_then(|mut file| file.write_all(script.as_bytes()));
    written.map_err(|source| StartError::Write { path: path.to_owned(), source })
}
