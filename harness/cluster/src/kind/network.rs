//! The network of one cluster of kind: the only one on which its nodes are, and gone with it.

use std::net::IpAddr;

use credence_programs::engine::{Engine, EngineError, Name};

use super::KindError;
use crate::containers::LABEL;

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
