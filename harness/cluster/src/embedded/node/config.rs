//! The files that a node's programs read. All paths in them are those inside its namespaces.

use std::path::Path;

use credence_programs::certificates::write_private;
use credence_programs::oci::SLEEPER_IMAGE;
use serde_json::json;

use super::network::Network;
use super::{NodeError, create_directory};
use crate::node::write_registry;

/// The node's directory, as programs in its namespaces see it.
pub(super) const INSIDE: &str = "/run/credence";
/// Containerd's registries, as it sees their directory.
pub(super) const HOSTS_INSIDE: &str = "/run/credence/hosts";
/// A home with nothing in it.
pub(super) const HOME: &str = "/run/credence/home";
/// The same in the node's directory.
pub(super) const HOSTS: &str = "hosts";
pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";
/// containerd's arguments.
pub(super) const CONTAINERD: [&str; 2] = ["--config", "/run/credence/containerd.toml"];

/// Sysctls of the whole machine that kubelet (`setupKernelTunables` in its `pkg/kubelet/cm`) and CNI plugins set, with
/// the values that they want to see. The node's own view of them has those, so they leave the machine's alone.
const SYSCTLS: [(&str, &str); 7] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
    ("net/ipv4/ip_forward", "1"),
];

/// Credentials of the machine, in the file where kubelet looks first: none. The first that it finds ends its search, so
/// a `docker login` on the machine, in `/.docker` or some home, pulls nothing (its `pkg/credentialprovider/config.go`).
const NO_CREDENTIALS: (&str, &str) = ("lib/kubelet/config.json", r#"{ "auths": {} }"#);

/// A port of loopback at which nothing answers, RFC 863: where pulls go before there is a registry.
const NOWHERE: &str = "127.0.0.1:9";

/// Makes the directories that are mounted inside, and those of the files below.
pub(super) fn create_directories(directory: &Path) -> Result<(), NodeError> {
    for name in ["run", "lib/kubelet", "log", "home", "cni", HOSTS] {
        create_directory(&directory.join(name))?;
    }
    for (name, value) in SYSCTLS {
        let file = directory.join("sysctl").join(name);
        create_directory(file.parent().unwrap_or(directory))?;
        write(&file, &format!("{value}\n"))?;
    }
    Ok(())
}

/// Writes everything except certificates and the kubeconfig.
pub(super) fn write_all(directory: &Path, network: &Network, port: u16, ca: &str) -> Result<(), NodeError> {
    write(&directory.join("ca.crt"), ca)?;
    write(&directory.join("containerd.toml"), &containerd())?;
    write(&directory.join("kubelet.json"), &kubelet(network, port))?;
    write(&directory.join("cni/10-credence.conflist"), &pod_network(network))?;
    write(&directory.join(NO_CREDENTIALS.0), NO_CREDENTIALS.1)?;
    // With an empty file containerd would give pods the machine's own.
    write(&directory.join("resolv.conf"), "options ndots:1\n")?;
    Ok(write_registry(&directory.join(HOSTS), HOSTS_INSIDE, NOWHERE, ca)?)
}

/// containerd's configuration, version 3.
fn containerd() -> String {
    format!(
        r#"version = 3
# It would make directories in /opt.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[plugins.'io.containerd.metadata.v1.bolt']
# What it keeps is thrown away with the run.
no_sync = true

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{SLEEPER_IMAGE}"

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "{HOSTS_INSIDE}"

[plugins.'io.containerd.cri.v1.runtime']
# Root may lack CAP_SYS_RESOURCE, without which no score can be lowered: runc would end without a word.
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/run/bin"]
conf_dir = "{INSIDE}/cni"
"#
    )
}

/// The kubelet's configuration. JSON is YAML.
fn kubelet(network: &Network, port: u16) -> String {
    let file = |name: &str| format!("{INSIDE}/{name}");
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.address,
        "port": port,
        "healthzPort": 0,
        "tlsCertFile": file("kubelet.crt"),
        "tlsPrivateKeyFile": file("kubelet.key"),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": file("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", network.name),
        // Refused by default since 1.35.
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        // A machine that is nearly full must not lose its pods to that.
        "evictionHard": {
            "imagefs.available": "0%", "imagefs.inodesFree": "0%", "memory.available": "0%",
            "nodefs.available": "0%", "nodefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": false,
        // Its default is a score that only CAP_SYS_RESOURCE can set.
        "oomScoreAdj": 0,
        "resolvConf": file("resolv.conf"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "serializeImagePulls": false,
        "maxParallelImagePulls": 8,
        // No limits: 0 is none for these two.
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
    })
    .to_string()
}

/// The kubelet's arguments: what its configuration file has no fields for.
pub(super) fn kubelet_arguments(network: &Network) -> [String; 4] {
    [
        format!("--config={INSIDE}/kubelet.json"),
        format!("--kubeconfig={INSIDE}/kubeconfig"),
        format!("--hostname-override={}", network.name),
        format!("--node-ip={}", network.address),
    ]
}

/// The network of pods that do not use the node's: a pair of devices for each, with a route to the node and to nowhere
/// else, as nothing is masqueraded.
fn pod_network(network: &Network) -> String {
    let range = json!({ "subnet": network.range(), "rangeStart": network.first_pod(), "gateway": network.address });
    json!({
        "cniVersion": "1.0.0",
        "name": "credence",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": { "type": "host-local", "ranges": [[range]], "routes": [{ "dst": "0.0.0.0/0" }] },
        }],
    })
    .to_string()
}

/// The kubeconfig beside these files has a key in it, and all are made the same way.
fn write(path: &Path, text: &str) -> Result<(), NodeError> {
    Ok(write_private(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;

    fn network() -> Network {
        Network::named("credence-7").unwrap()
    }

    #[test]
    fn containerds_configuration_is_toml_with_the_sleeper_as_sandbox() {
        let config: toml::Table = containerd().parse().unwrap();
        let images = &config["plugins"]["io.containerd.cri.v1.images"];
        assert_eq!(images["pinned_images"]["sandbox"].as_str(), Some(SLEEPER_IMAGE));
        assert_eq!(images["registry"]["config_path"].as_str(), Some("/run/credence/hosts"));
    }

    #[test]
    fn pods_get_addresses_after_the_nodes() {
        let config: Value = serde_json::from_str(&pod_network(&network())).unwrap();
        let range = config.pointer("/plugins/0/ipam/ranges/0/0").unwrap();
        let expected = json!({ "subnet": "198.19.7.0/24", "rangeStart": "198.19.7.2", "gateway": "198.19.7.1" });
        assert_eq!(*range, expected);
    }

    #[test]
    fn a_kubelet_serves_at_the_nodes_address_only() {
        let config: Value = serde_json::from_str(&kubelet(&network(), 12345)).unwrap();
        assert_eq!((&config["address"], &config["port"]), (&json!("198.19.7.1"), &json!(12345)));
        assert_eq!(config["cgroupRoot"], "/credence-7");
    }

    #[test]
    fn a_registry_can_be_changed_at_any_time() {
        let directory = tempfile::tempdir().unwrap();
        create_directories(directory.path()).unwrap();
        write_all(directory.path(), &network(), 1, "CA").unwrap();
        let hosts = || fs::read_to_string(directory.path().join("hosts/_default/hosts.toml")).unwrap();
        assert!(hosts().contains(NOWHERE));
        write_registry(&directory.path().join(HOSTS), HOSTS_INSIDE, "127.0.0.1:3443", "CA 2").unwrap();
        assert!(hosts().contains("127.0.0.1:3443"));
    }
}
