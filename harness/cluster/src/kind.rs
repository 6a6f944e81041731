//! A cluster of kind: its node is a container, and External Secrets Operator runs in pods, by its official chart.
//!
//! The node is set up by kubeadm from the repository's `kind-config.yaml`, with the same audit policy and encryption as
//! the embedded cluster. Each cluster has a network, a name and a certificate authority of its own run, so that several
//! live side by side and what a dead run left is told from what belongs to others.

use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_programs::oci::ImageError;
use credence_programs::process::ProcessError;
use credence_programs::supply::{ComponentError, Programs};
use credence_watch::wait::WaitError;

use crate::apply::ApplyError;
use crate::capability::{Capability, Lacks};
use crate::control_plane_files::ControlPlaneFiles;
use crate::error::{ClusterError, ProviderError};
use crate::operator::ReleaseError;
use crate::provisioned::PROCESSES_ALONE;

mod cleanup;
mod cluster;
mod command;
mod config;
mod network;
mod node;
mod operator;
mod preparation;
pub mod room;

pub use preparation::Kind;

use credence_programs::engine::{Engine, EngineError};
use credence_programs::node_image::tools::ToolsImage;
use credence_programs::node_image::{NodeImage, NodeImageError};
use credence_programs::pod_image::PulledImage;

/// The name of such clusters.
const ID: &str = "kind";
const LACKS: Lacks = &[
    (Capability::Replicas, PROCESSES_ALONE),
    (Capability::LeaderElection, PROCESSES_ALONE),
    (Capability::ControlPlane, PROCESSES_ALONE),
    (Capability::SecondCluster, "another node takes minutes to start; --cluster embedded starts in seconds"),
];

/// Inputs from which a cluster of kind is started.
struct Setup<'a> {
    engine: &'a Engine,
    /// kind, helm and External Secrets Operator.
    programs: &'a Programs,
    /// The image of the node.
    node_image: &'a NodeImage,
    /// The image for containers beside the node; without one they are processes of this machine.
    tools_image: Option<&'a ToolsImage>,
    /// Images of pods that the user gives; the others are made of the programs.
    images: &'a [PulledImage],
    /// A directory with External Secrets Operator's chart and definitions.
    assets: &'a Path,
    /// Audit policy and encryption.
    configured: &'a ControlPlaneFiles,
    /// Told of each step that takes its time.
    report: &'a (dyn Fn(&str) + Sync),
}

/// A cluster of kind could not be made or used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum KindError {
    #[error("failed to find a container engine for a cluster of kind")]
    NoEngine(#[source] EngineError),
    /// An image that was given for pods cannot be had.
    #[error("failed to obtain the images given; see whether the engine can pull them by hand, or leave --image out")]
    PodImages(#[source] NodeImageError),
    /// The image of the node cannot be had.
    #[error("failed to obtain the image of a node of kind")]
    NodeImage(#[source] NodeImageError),
    #[error("failed to use the container engine")]
    Engine(#[from] EngineError),
    /// kind could not be started.
    #[error("failed to start kind")]
    Process(#[from] ProcessError),
    #[error("failed to {act}: kind ended with {status}; the last lines of its log:\n{tail}")]
    Kind {
        act: &'static str,
        status: String,
        /// The end of its log.
        tail: String,
    },
    /// The port that was free when kind looked for one was not any more.
    #[error(
        "failed to {act}: another program took the port of the API server meanwhile; run again, and if it goes on, see what \
         takes ports on this machine; the last lines of kind's log:\n{tail}"
    )]
    Port {
        /// The act that kind was to do.
        act: &'static str,
        /// The end of its log.
        tail: String,
    },
    /// Somebody else has a cluster of this name.
    #[error(
        "failed to make cluster {name}: there is one that no run of credence made; remove it with \
         `kind delete cluster --name {name}`"
    )]
    Foreign { name: String },
    /// The repository's configuration for kind is not what is expected.
    #[error("failed to understand kind-config.yaml: {0}")]
    Config(String),
    /// The operator's image could not be made.
    #[error("failed to make the image of External Secrets Operator")]
    Image(#[from] ImageError),
    /// The chart could not be rendered.
    #[error("failed to prepare External Secrets Operator")]
    Chart(#[from] ReleaseError),
    #[error("failed to install External Secrets Operator")]
    Install(#[from] ApplyError),
    /// Something did not become ready.
    #[error("failed to bring the cluster of kind up")]
    NotReady(#[from] WaitError),
    /// A request of the set-up failed.
    #[error("failed to {act}")]
    Request {
        act: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    #[error(
        "container {node}, the node of the cluster, ended by itself ({status}); see whether the machine ran out of memory, \
         and run again"
    )]
    NodeDied {
        node: String,
        /// The engine's word on its end.
        status: String,
    },
    /// There is too little room.
    #[error("failed to find room for a cluster of kind; make room there, or use --cluster embedded")]
    Room(#[source] ComponentError),
    /// The engine is there, but does not answer.
    #[error(
        "failed to {act} with {engine}: no answer within {seconds} s; restart its daemon, after which the next run removes \
         what is left"
    )]
    Silent { act: &'static str, engine: PathBuf, seconds: u64 },
    /// The run directory cannot be mounted.
    #[error(
        "failed to mount {path} into a container: the path has a colon or is not UTF-8; choose another state directory \
         with CREDENCE_STATE"
    )]
    Unmountable { path: PathBuf },
    /// The engine runs containers where this process cannot reach them.
    #[error(
        "failed to use {name} for a cluster of kind: it is {how}, so this machine reaches neither its networks nor shares \
         files with it; use an engine of this machine that runs as root, or --cluster embedded"
    )]
    Apart {
        name: credence_programs::engine::Name,
        /// The way in which it is apart.
        how: &'static str,
    },
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<KindError> for ProviderError {
    fn from(error: KindError) -> Self {
        let is_usage = match &error {
            KindError::Foreign { .. }
            | KindError::Unmountable { .. }
            | KindError::Apart { .. }
            | KindError::NoEngine(_)
            | KindError::PodImages(_) => true,
            KindError::NodeImage(why) => {
                matches!(why, NodeImageError::NotRoot | NodeImageError::Missing { .. } | NodeImageError::Engine(_))
            }
            _ => false,
        };
        Self::new(error, is_usage)
    }
}

impl From<KindError> for ClusterError {
    fn from(error: KindError) -> Self {
        Self::Provider(error.into())
    }
}
