//! The configuration that kind is given: the repository's own, with the files and addresses of one run put in.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::KindError;
use crate::control_plane_files::ControlPlaneFiles;

/// Directory of audit policy and encryption, as the repository's configuration mounts it.
const POLICIES: &str = "/etc/kubernetes/policies";
/// Directory of kube-apiserver's audit log.
const AUDIT_LOGS: &str = "/var/log/kubernetes";
/// Directory in which containerd looks up registries.
pub(super) const REGISTRIES: &str = "/etc/containerd/certs.d";
/// Authorities that kubeadm looks for before it makes them (its documentation, "Custom certificates").
const AUTHORITIES: [&str; 2] = ["/etc/kubernetes/pki", "/etc/kubernetes/pki/etcd"];
/// Directory of a run with the audit log.
pub(super) const AUDIT: &str = "audit";
/// Directory of a run with the registries.
pub(super) const HOSTS: &str = "hosts";
/// The authority's certificate and key in a run directory.
pub(super) const AUTHORITY: [&str; 2] = ["ca.crt", "ca.key"];

/// Values that one run puts in.
pub(super) struct Run<'a> {
    pub(super) directory: &'a Path,
    /// Audit policy and encryption; their texts are in files of the run directory.
    pub(super) configured: &'a ControlPlaneFiles,
    /// The address of this machine on the cluster's network.
    pub(super) host: IpAddr,
    /// Version of control groups on this machine.
    pub(super) cgroup_version: u8,
    /// True if the node's image brings a network for pods of its own.
    pub(super) has_own_network: bool,
}

/// Puts a run into the repository's configuration. The result is JSON, which is YAML.
pub(super) fn render(repository: &str, run: &Run<'_>) -> Result<String, KindError> {
    let malformed = |error: serde_yaml::Error| KindError::Config(error.to_string());
    let mut config: Value = serde_yaml::from_str(repository).map_err(malformed)?;
    config["networking"] = json!({ "disableDefaultCNI": run.has_own_network });
    let nodes = config.get_mut("nodes").and_then(Value::as_array_mut);
    let node = nodes.and_then(|nodes| nodes.first_mut());
    let node = node.ok_or_else(|| KindError::Config("it has no node".to_owned()))?;
    // The image is named on the command line.
    if let Some(node) = node.as_object_mut() {
        node.remove("image");
    }
    node["extraMounts"] = mounts(run);
    let patches = node.get("kubeadmConfigPatches").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut patched = Vec::new();
    for patch in patches {
        let text = patch.as_str().ok_or_else(|| KindError::Config("a patch is no text".to_owned()))?;
        let mut patch: Value = serde_yaml::from_str(text).map_err(malformed)?;
        match patch["kind"].as_str() {
            Some("ClusterConfiguration") => cluster(&mut patch, run),
            Some("KubeletConfiguration") if run.cgroup_version > 1 => continue,
            _ => {}
        }
        patched.push(json!(patch.to_string()));
    }
    node["kubeadmConfigPatches"] = json!(patched);
    Ok(config.to_string())
}

fn mounts(run: &Run<'_>) -> Value {
    let mount = |file: &str, inside: String, read_only: bool| json!({ "hostPath": run.directory.join(file), "containerPath": inside, "readOnly": read_only });
    let mut mounts = vec![mount(AUDIT, AUDIT_LOGS.to_owned(), false), mount(HOSTS, REGISTRIES.to_owned(), true)];
    let files = [
        (&run.configured.audit_policy, ControlPlaneFiles::AUDIT_POLICY),
        (&run.configured.encryption, ControlPlaneFiles::ENCRYPTION),
    ];
    let present = files.into_iter().filter(|(text, _)| text.is_some());
    mounts.extend(present.map(|(_, file)| mount(file, format!("{POLICIES}/{file}"), true)));
    for directory in AUTHORITIES {
        mounts.extend(AUTHORITY.map(|file| mount(file, format!("{directory}/{file}"), true)));
    }
    json!(mounts)
}

/// Kubernetes' side: no flag for a file that the configuration under test does not have, and what the embedded cluster
/// does as well.
fn cluster(patch: &mut Value, run: &Run<'_>) {
    let absent = |name: &str| {
        (name.starts_with("audit-") && run.configured.audit_policy.is_none())
            || (name.starts_with("encryption-") && run.configured.encryption.is_none())
    };
    if let Some(arguments) = patch.pointer_mut("/apiServer/extraArgs").and_then(Value::as_array_mut) {
        arguments.retain(|argument| !absent(argument["name"].as_str().unwrap_or_default()));
        if run.configured.audit_policy.is_some() {
            // Its default is to rotate at 100 MB, and then entries leave the file.
            arguments.push(json!({ "name": "audit-log-maxsize", "value": "100000" }));
        }
    }
    // A patch takes the place of a list, so kind's own names are here again.
    patch["apiServer"]["certSANs"] = json!(["localhost", "127.0.0.1", run.host.to_string()]);
    // One that elects a leader would exit when the API server is away on purpose, and come back later each time.
    patch["scheduler"] = json!({ "extraArgs": [{ "name": "leader-elect", "value": "false" }] });
    patch["controllerManager"] = json!({ "extraArgs": [
        { "name": "leader-elect", "value": "false" },
        { "name": "enable-hostpath-provisioner", "value": "true" },
        // The default of 20 requests a second would make credence measure this client instead of the distribution.
        { "name": "kube-api-qps", "value": "1000" },
        { "name": "kube-api-burst", "value": "2000" },
    ] });
    // The data is thrown away with the run.
    patch["etcd"] = json!({ "local": { "extraArgs": [{ "name": "unsafe-no-fsync", "value": "true" }] } });
}

#[cfg(test)]
mod tests {
    use credence_programs::node_image::CONFIG;

    use super::*;

    fn run(configured: &ControlPlaneFiles, cgroup_version: u8) -> Value {
        let run = Run {
            directory: Path::new("/run/of/it"),
            configured,
            host: "172.18.0.1".parse().unwrap(),
            cgroup_version,
            has_own_network: true,
        };
        serde_json::from_str(&render(CONFIG, &run).unwrap()).unwrap()
    }

    fn patches(config: &Value) -> Vec<Value> {
        let patches = config.pointer("/nodes/0/kubeadmConfigPatches").unwrap().as_array().unwrap();
        patches.iter().map(|patch| serde_json::from_str(patch.as_str().unwrap()).unwrap()).collect()
    }

    fn arguments(config: &Value) -> Vec<String> {
        let patch = patches(config).into_iter().find(|patch| patch["kind"] == "ClusterConfiguration").unwrap();
        let arguments = patch.pointer("/apiServer/extraArgs").unwrap().as_array().unwrap();
        arguments.iter().map(|argument| argument["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_files_of_the_run_are_mounted_where_the_repositorys_configuration_has_them() {
        let config = run(&ControlPlaneFiles::reference(), 2);
        let mounts = config.pointer("/nodes/0/extraMounts").unwrap().as_array().unwrap();
        let repository: Value = serde_yaml::from_str(CONFIG).unwrap();
        for mount in repository.pointer("/nodes/0/extraMounts").unwrap().as_array().unwrap() {
            let same = mounts.iter().find(|own| own["containerPath"] == mount["containerPath"]);
            let from = same.unwrap()["hostPath"].as_str().unwrap();
            assert!(from.starts_with("/run/of/it/"), "{from}");
        }
        assert!(mounts.iter().any(|mount| mount["containerPath"] == "/etc/kubernetes/pki/etcd/ca.key"));
        assert!(config.pointer("/nodes/0/image").is_none());
    }

    #[test]
    fn a_file_that_the_configuration_does_not_have_is_neither_mounted_nor_asked_for() {
        let config = run(&ControlPlaneFiles { audit_policy: None, encryption: None }, 2);
        assert!(!arguments(&config).iter().any(|name| name.starts_with("audit-") || name.starts_with("encryption-")));
        let mounts = config.pointer("/nodes/0/extraMounts").unwrap().to_string();
        assert!(!mounts.contains("policies"), "{mounts}");
        let all = arguments(&run(&ControlPlaneFiles::reference(), 2));
        assert!(
            all.iter().any(|name| name == "audit-policy-file") && all.iter().any(|name| name == "audit-log-maxsize")
        );
    }

    #[test]
    fn the_patch_for_version_1_of_control_groups_is_only_where_it_is_needed() {
        let has_patch = |version: u8| {
            let config = run(&ControlPlaneFiles::reference(), version);
            patches(&config).iter().any(|patch| patch["kind"] == "KubeletConfiguration")
        };
        assert!(has_patch(1));
        assert!(!has_patch(2));
    }

    #[test]
    fn the_certificate_of_the_api_server_is_also_for_proxies_on_this_machine() {
        let patches = patches(&run(&ControlPlaneFiles::reference(), 2));
        let names = patches.iter().find_map(|patch| patch.pointer("/apiServer/certSANs")).unwrap();
        assert_eq!(*names, json!(["localhost", "127.0.0.1", "172.18.0.1"]));
    }

    #[test]
    fn what_is_no_configuration_is_an_error() {
        let configured = ControlPlaneFiles::reference();
        let run = Run {
            directory: Path::new("/"),
            configured: &configured,
            host: "172.18.0.1".parse().unwrap(),
            cgroup_version: 2,
            has_own_network: false,
        };
        assert!(render("kind: Cluster", &run).unwrap_err().to_string().contains("no node"));
        assert!(render("a: [", &run).is_err());
    }
}
