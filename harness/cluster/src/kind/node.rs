//! The node of a cluster of kind, as those see it who run pods on it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::config::{HOSTS, REGISTRIES};
use crate::node::{PodNode, RegistryError, write_registry};

/// The node: a container with a kubelet. Its end is that of the cluster.
#[derive(Debug)]
pub(super) struct KindNode {
    name: String,
    address: Ipv4Addr,
    hosts: PathBuf,
}

impl KindNode {
    /// The node in the container `name`, with its `address` on the cluster's network, which this machine reaches.
    pub(super) fn new(name: &str, address: Ipv4Addr, run: &Path) -> Self {
        Self { name: name.to_owned(), address, hosts: run.join(HOSTS) }
    }
}

impl PodNode for KindNode {
    fn name(&self) -> &str {
        &self.name
    }

    fn reachable_address(&self) -> IpAddr {
        self.address.into()
    }

    fn set_registry(&self, address: &str, ca: &str) -> Result<(), RegistryError> {
        write_registry(&self.hosts, REGISTRIES, address, ca)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_registry_is_named_with_paths_of_the_node() {
        let run = tempfile::tempdir().unwrap();
        let node = KindNode::new("a-control-plane", Ipv4Addr::new(172, 18, 0, 2), run.path());
        node.set_registry("172.18.0.1:3443", "CA").unwrap();
        let hosts: toml::Table =
            fs::read_to_string(run.path().join("hosts/_default/hosts.toml")).unwrap().parse().unwrap();
        assert_eq!(hosts["server"].as_str(), Some("https://172.18.0.1:3443"));
        assert_eq!(hosts["ca"].as_str(), Some("/etc/containerd/certs.d/_default/ca.crt"));
    }
}
