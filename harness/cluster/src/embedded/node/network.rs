//! The bridge device with the node's address, and the network of its pods.
//!
//! A kubelet refuses a loopback address, and the machine's own are not known beforehand. The name of the device stands
//! for the network, so the kernel itself sees to it that two nodes never share one: a name can be taken only once.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use credence_programs::process::path::find_program;

use super::NodeError;
use super::record::Record;

/// All networks of nodes, of RFC 2544: kept for tests between machines, so nothing else should be reached there.
const NETWORKS: &str = "198.19.0.0/16";
/// First part of the name of the device and of the cgroups.
const PREFIX: &str = "credence-";

/// A network that is taken.
pub(super) struct Network {
    /// Name of the device, of the cgroups and of the node.
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    number: u8,
}

impl Network {
    /// Takes the first free network and gives the device its address.
    pub(super) fn claim(record: &Record) -> Result<Self, NodeError> {
        for number in 0..=u8::MAX {
            let network = Self::numbered(number);
            if exists(&network.name) || is_routed(&network.range())? {
                continue;
            }
            let hardware = record.device(&network.name)?;
            let added = ip(&["link", "add", "name", &network.name, "address", &hardware, "type", "bridge"]);
            match added {
                Ok(_) => {}
                // Another run was faster. Its device has another hardware address, so the record does no harm.
                Err(_) if exists(&network.name) => continue,
                Err(error) => return Err(error),
            }
            ip(&["address", "add", &format!("{}/24", network.address), "dev", &network.name])?;
            ip(&["link", "set", "dev", &network.name, "up"])?;
            return Ok(network);
        }
        Err(NodeError::NoNetwork(NETWORKS))
    }

    fn numbered(number: u8) -> Self {
        Self { name: format!("{PREFIX}{number}"), address: Ipv4Addr::new(198, 19, number, 1), number }
    }

    /// The network of a device by its name; `None` for other devices than nodes have.
    pub(super) fn named(name: &str) -> Option<Self> {
        let network = Self::numbered(name.strip_prefix(PREFIX)?.parse().ok()?);
        (network.name == name).then_some(network)
    }

    /// The addresses of the node and its pods.
    pub(super) fn range(&self) -> String {
        format!("198.19.{}.0/24", self.number)
    }

    /// The first address for pods.
    pub(super) fn first_pod(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, self.number, 2)
    }

    /// The device's hardware address, if there is such a device.
    pub(super) fn hardware_address(&self) -> Option<String> {
        std::fs::read_to_string(format!("/sys/class/net/{}/address", self.name)).ok().map(|text| text.trim().to_owned())
    }

    /// Removes the device, and those that lead to pods: the kernel would take these away with the pods' namespaces, but
    /// later.
    pub(super) fn remove(&self) -> Result<(), NodeError> {
        let listed = ip(&["-oneline", "-4", "address", "show", "to", &format!("{}/32", self.address)])?;
        for device in devices(&listed).filter(|device| *device != self.name) {
            // One that has gone with its pod in the meantime is as good.
            ip(&["link", "delete", "dev", device])
                .map(drop)
                .or_else(|error| if exists(device) { Err(error) } else { Ok(()) })?;
        }
        ip(&["link", "delete", "dev", &self.name]).map(drop)
    }
}

fn exists(device: &str) -> bool {
    Path::new("/sys/class/net").join(device).exists()
}

/// True if the machine has a route into the network that is none to everywhere.
fn is_routed(range: &str) -> Result<bool, NodeError> {
    ip(&["-4", "route", "show", "table", "all", "root", range]).map(|routes| !routes.trim().is_empty())
}

/// The device names in the output of `ip -oneline address show`: `NUMBER: NAME inet …`.
fn devices(listed: &str) -> impl Iterator<Item = &str> {
    listed.lines().filter_map(|line| line.split_whitespace().nth(1))
}

fn ip(arguments: &[&str]) -> Result<String, NodeError> {
    let failed = |message: String| NodeError::Command { act: format!("run ip {}", arguments.join(" ")), message };
    let program = find_program("ip").ok_or_else(|| failed("there is no such command".to_owned()))?;
    let output = Command::new(program).args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_name_fits_a_device_and_leads_back_to_its_network() {
        for number in 0..=u8::MAX {
            let network = Network::numbered(number);
            // IFNAMSIZ is 16, with the closing zero.
            assert!(network.name.len() < 16);
            assert_eq!(Network::named(&network.name).unwrap().address, network.address);
        }
    }

    #[rstest]
    #[case("eth0")]
    #[case("credence-")]
    #[case("credence-256")]
    #[case("credence-01")]
    #[case("credence-../1")]
    fn no_other_name_is_taken_for_a_nodes(#[case] name: &str) {
        assert!(Network::named(name).is_none());
    }

    #[test]
    fn devices_are_the_second_words() {
        let listed = "7: credence-0    inet 198.19.0.1/24 scope global credence-0\\\n\
                      9: veth1    inet 198.19.0.1/32 scope global veth1\\\n";
        assert_eq!(devices(listed).collect::<Vec<_>>(), ["credence-0", "veth1"]);
    }
}
