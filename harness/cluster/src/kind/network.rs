//! The network of one cluster of kind: the only one on which its nodes are, and gone with it.

use std::net::IpAddr;

use credence_programs::engine::{Engine, EngineError, Name};
use credence_programs::node_image::tools::ToolsImage;
use credence_programs::pod_image::{self, PodImage, PulledImage};

use super::{KindError, Setup};

/// Label of what belongs to a run, with the name of its cluster as value: the network and the containers beside the
/// node. By it they are removed.
pub const LABEL: &str = "credence.cluster";

/// The network as those see it who run containers on it, beside the node.
#[derive(Debug, Clone)]
pub struct ClusterNetwork {
    engine: Engine,
    name: String,
    tools_image: Option<ToolsImage>,
    images: Vec<PulledImage>,
}

impl ClusterNetwork {
    pub(super) fn new(setup: &Setup<'_>, name: &str) -> Self {
        Self {
            engine: setup.engine.clone(),
            name: name.to_owned(),
            tools_image: setup.tools_image.cloned(),
            images: setup.images.to_vec(),
        }
    }

    /// The engine that it is of.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its name, which is also that of the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What images for such containers are made on; none where it could not be had.
    pub fn tools_image(&self) -> Option<&ToolsImage> {
        self.tools_image.as_ref()
    }

    /// The image that the user gives for `of`, if any.
    pub fn given_image(&self, of: PodImage) -> Option<&PulledImage> {
        pod_image::find(&self.images, of)
    }
}

/// Makes a network named as its cluster, and gives the address of this machine on it.
pub(super) async fn create(engine: &Engine, name: &str) -> Result<IpAddr, KindError> {
    let label = format!("{LABEL}={name}");
    engine.output("make a network for the cluster", &["network", "create", "--label", &label, name]).await?;
    gateway(engine, name).await
}

async fn gateway(engine: &Engine, name: &str) -> Result<IpAddr, KindError> {
    let format = match engine.name() {
        Name::Docker => "{{range .IPAM.Config}}{{.Gateway}} {{end}}",
        Name::Podman => "{{range .Subnets}}{{.Gateway}} {{end}}",
    };
    let answer =
        engine.output("look at the cluster's network", &["network", "inspect", "--format", format, name]).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    // A network may have an address of each family; pods of kind have IPv4 only, unless configured otherwise.
    let gateway = answer.split_whitespace().filter_map(|address| address.parse().ok()).find(IpAddr::is_ipv4);
    Ok(gateway.ok_or(EngineError::Answer { what: "the address of this machine on the cluster's network", answer })?)
}
