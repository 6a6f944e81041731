//! The node of a cluster of kind, as those see it who run pods on it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::config::{HOSTS, REGISTRIES};
use crate::node::{self, NodeError};

/// The node: a container with a kubelet.
#[derive(Debug, Clone)]
pub struct KindNode {
    name: String,
    address: Ipv4Addr,
    hosts: PathBuf,
}

impl KindNode {
    pub(super) fn new(name: &str, address: Ipv4Addr, run: &Path) -> Self {
        Self { name: name.to_owned(), address, hosts: run.join(HOSTS) }
    }

    /// Its name, also that of its container.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the cluster's network, which this machine reaches.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Lets it pull images of all registries from `address` (with its port) alone, by TLS with the authority `ca`.
    /// Counts from the next pull on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_registry(&self, address: &str, ca: &str) -> Result<(), NodeError> {
        node::write_registry(&self.hosts, REGISTRIES, address, ca)
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
