//! Inputs from which consumers are started, and which of them cannot be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use credence_cluster::capability::Capability;
use credence_cluster::cluster::Cluster;
use credence_cluster::containers::ContainerNetwork;
use credence_cluster::embedded::node::NodePrograms;
use credence_core::consumer::Consumer;
use credence_core::endpoints::Endpoints;
use credence_core::formats::{BACKSTAGE, KUBELET};
use credence_core::labels::Labels;
use credence_core::text::chain;
use credence_programs::process::path::find_program;
use credence_programs::supply::{self, Part, Programs, Progress};

use crate::argo_cd::Images;
use crate::backstage::{self, Commands, Installation};
use crate::forge::{GiteaImage, GiteaPlacement};
use crate::kargo;
use crate::login::{self, Runner};

/// Why there is no consumer at all.
const NO_GIT: &str = "git is not installed, which the forge calls that consumers log in to; install it (on Debian: apt-get \
    install git)";
pub(crate) const NODE: [Part; 7] = [
    Part::Containerd,
    Part::ContainerdShim,
    Part::Ctr,
    Part::Kubelet,
    Part::CniPtp,
    Part::CniHostLocal,
    Part::CniLoopback,
];

/// Origin of a cluster's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// It has none, and can get none.
    None {
        /// Why not, and what would be needed.
        why: &'static str,
    },
    /// One is started for it.
    Started,
    /// It has some of its own.
    OfCluster {
        /// True if there is an image with what the forge calls, so that it runs in a container.
        has_tools: bool,
        /// True if there are images of Argo CD and its Redis, so that they run in pods.
        has_argo_cd_images: bool,
    },
}

impl Nodes {
    /// Nodes that consumers can run on in `cluster`, by what it supports.
    pub fn of(cluster: &Cluster) -> Self {
        match (cluster.containers(), cluster.supports(Capability::Pods)) {
            (Some(network), _) => Self::OfCluster {
                has_argo_cd_images: Images::are_possible(network),
                has_tools: network.tools_image().is_some(),
            },
            (None, Ok(())) => Self::Started,
            (None, Err(why)) => Self::None { why },
        }
    }
}

/// Facts of a place that decide which consumers it has.
pub(crate) struct Facts {
    pub(crate) nodes: Nodes,
    /// True if there is git on this machine.
    pub(crate) has_git: bool,
    /// True if there is ssh on this machine.
    pub(crate) has_ssh: bool,
    /// True if Kargo is given.
    pub(crate) has_kargo: bool,
}

impl Facts {
    /// Why nothing can be read with git of this machine, if it cannot.
    pub(crate) fn no_git(&self) -> Option<String> {
        (!self.has_git).then(|| "git is not installed".to_owned())
    }

    /// Why nothing can be read over SSH from this machine, if it cannot.
    pub(crate) fn no_ssh(&self) -> Option<String> {
        (!self.has_ssh)
            .then(|| "ssh is not installed; install it (on Debian: apt-get install openssh-client)".to_owned())
    }

    /// True if Argo CD can run in pods.
    pub(crate) fn has_argo_cd_images(&self) -> bool {
        matches!(self.nodes, Nodes::OfCluster { has_argo_cd_images: true, .. })
    }
}

/// Inputs from which consumers are started.
pub struct Setup {
    /// Places where credentials are used.
    pub endpoints: Endpoints,
    /// Its directory in that of the run.
    pub(crate) directory: &'static str,
    pub(crate) programs: Programs,
    pub(crate) gitea: PathBuf,
    pub(crate) gitea_image: Option<GiteaImage>,
    pub(crate) argo_cd: Option<PathBuf>,
    /// Labels of Argo CD's namespace, by which it asks for copies.
    pub(crate) argo_cd_labels: Labels,
    /// Images of Argo CD in pods.
    pub(crate) argo_cd_images: Option<Images>,
    pub(crate) kargo: Option<kargo::UserKargo>,
    /// Definitions of Flux, if its source-controller is to run.
    pub(crate) flux: Option<PathBuf>,
    pub(crate) backstage: Option<Installation>,
    /// True if the kubelet is absent.
    pub(crate) has_no_node: bool,
}

impl Setup {
    /// Place of Gitea: beside the node of `cluster`, if it has one there and the image could be had.
    pub(crate) fn place_of_gitea<'a>(&'a self, cluster: &'a Cluster) -> GiteaPlacement<'a> {
        match (cluster.containers(), &self.gitea_image) {
            (Some(network), Some(image)) => GiteaPlacement::Container { network, image },
            _ => GiteaPlacement::Process { program: self.programs.path(Part::Gitea), assets: &self.gitea },
        }
    }

    /// Inputs from which a node is started. Only where [`Nodes::Started`].
    pub(crate) fn node_programs(&self) -> NodePrograms {
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
            runc: find_program("runc").unwrap_or_default(),
            etcd: path(Part::Etcd),
        }
    }
}

/// The image of Gitea for a container beside the node. Where it cannot be had, one line says why.
pub(crate) async fn gitea_image(
    options: &supply::Options,
    network: Option<&ContainerNetwork>,
    programs: &Programs,
    assets: &Path,
    progress: &dyn Progress,
) -> Option<GiteaImage> {
    // Why there are no tools has been said when they were looked for.
    let network = network.filter(|network| network.tools_image().is_some())?;
    match GiteaImage::obtain(network, options, programs.path(Part::Gitea), assets, &|step| progress.note(step)).await {
        Ok(image) => {
            progress.note(&format!("forge: in a container of {}", image.name()));
            Some(image)
        }
        Err(error) => {
            progress.note(&format!("forge: a process of this machine, not a container: {}", chain(&error)));
            None
        }
    }
}

/// The consumers that cannot run here, each with what would enable it. Nothing is started or obtained.
pub async fn absent(options: &supply::Options, endpoints: &Endpoints, nodes: Nodes) -> BTreeMap<Consumer, String> {
    let has_git = find_program("git").is_some();
    // With the tools, the forge has git in its container.
    if !has_git && !matches!(nodes, Nodes::OfCluster { has_tools: true, .. }) {
        return Consumer::ALL.iter().map(|consumer| (*consumer, NO_GIT.to_owned())).collect();
    }
    let has_ssh = find_program("ssh").is_some();
    let facts = Facts { nodes, has_git, has_ssh, has_kargo: options.kargo.is_some() };
    let missing = |runner: &dyn Runner| {
        let consumer = runner.consumer();
        let undocumented = consumer.meta().endpoint.filter(|_| endpoints.owners_of(consumer).is_empty());
        let reason =
            undocumented.map(|what| format!("no manifest of a consumer names {what}; give them with --consumers DIR"));
        Some((consumer, reason.or_else(|| runner.missing(&facts))?))
    };
    let mut absent: BTreeMap<Consumer, String> = login::runners().filter_map(missing).collect();
    if let Some(reason) = absent.get(&KUBELET).cloned() {
        absent.insert(BACKSTAGE, reason);
    } else if let Some(reason) = backstage::unsupported(&options.cache, &Commands::default()).await {
        absent.insert(BACKSTAGE, reason.to_string());
    }
    absent
}
