//! Input from which the engine builds the image: a Dockerfile, and a directory with all that comes on top of Debian.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credence_core::file_error::FileError;
use walkdir::WalkDir;

use super::{NodeImageError, debian, images};
use crate::oci::Layer;
use crate::supply::{Part, Programs};
use crate::walk;

const DOCKERFILE: &str = include_str!("files/Dockerfile");
const NOTES: &str = include_str!("files/README-credence.txt");
/// Files of ours, with their modes.
const FILES: [(&str, u32, &str); 3] = [
    ("etc/systemd/system/credence-images.service", 0o644, include_str!("files/credence-images.service")),
    ("kind/bin/import-images.sh", 0o755, include_str!("files/import-images.sh")),
    ("etc/cni/net.d/10-credence.conflist", 0o644, include_str!("files/10-credence.conflist")),
];
/// Directories that others expect: kubeadm the first, containerd the second.
const DIRECTORIES: [&str; 2] = ["etc/kubernetes/manifests", "etc/containerd/certs.d"];
/// Directories of the node's own programs. kind and its units have fixed paths for most of them.
const PLACES: [(&str, &[Part]); 3] = [
    ("usr/local/bin", &[Part::Containerd, Part::ContainerdShim, Part::Ctr, Part::Crictl]),
    ("usr/bin", &[Part::Kubeadm, Part::Kubelet, Part::Kubectl]),
    ("opt/cni/bin", &[Part::CniPtp, Part::CniLoopback, Part::CniHostLocal, Part::CniPortmap]),
];
/// containerd's configuration in the node.
const CONTAINERD: &str = "etc/containerd/config.toml";
/// Most that the directory holds, in MB, with the layers of the image that is being packed.
pub(super) const MEGABYTES: u64 = 1250;

/// Inputs from which the image follows beside parts and Debian.
pub(super) fn recipe() -> Vec<String> {
    let files = FILES.iter().map(|(path, mode, text)| format!("{path} {mode:o} {text}"));
    let places = PLACES.iter().map(|(place, parts)| format!("{place} {parts:?}"));
    let rest = [DOCKERFILE.to_owned(), DIRECTORIES.join(","), REGISTRIES.to_owned(), NOTES.to_owned()];
    files.chain(places).chain(rest).collect()
}

/// Files that are put into the directory.
pub(super) struct Contents {
    pub(super) programs: Programs,
    /// A directory with `images/base/files` of kind.
    pub(super) assets: PathBuf,
    /// Names of the images of the control plane.
    pub(super) images: Vec<String>,
    /// Layer with the files that kube-proxy calls, such as iptables.
    pub(super) proxy: Arc<Layer>,
}

impl Contents {
    /// Fills `directory`, which is there.
    pub(super) fn write(&self, directory: &Path) -> Result<(), NodeImageError> {
        let dockerfile = directory.join("Dockerfile");
        fs::write(&dockerfile, DOCKERFILE).map_err(FileError::of::<NodeImageError>("write", &dockerfile))?;
        let root = Root(directory.join("root"));
        self.write_files_of_kind(&root)?;
        for (path, mode, text) in FILES {
            root.put(path, mode, text.as_bytes())?;
        }
        for path in DIRECTORIES {
            root.create(path)?;
        }
        for (place, parts) in PLACES {
            for &part in parts {
                root.copy(&format!("{place}/{part}"), self.programs.path(part))?;
            }
        }
        // kind reads it as the version of Kubernetes.
        root.put("kind/version", 0o644, format!("v{}\n", Part::Kubelet.version()).as_bytes())?;
        root.put("kind/README-credence.txt", 0o644, notes(&self.origins()).as_bytes())?;
        for name in &self.images {
            let archive = root.target(&format!("kind/images/{}.tar", images::title(name)))?;
            // Its own layer goes with it, as they all do before the engine gets the directory.
            images::pack(name, &self.programs, &self.proxy, directory)?.archive(name, &archive)?;
            root.set_mode(&archive, 0o644)?;
        }
        Ok(())
    }

    fn write_files_of_kind(&self, root: &Root) -> Result<(), NodeImageError> {
        let files = self.assets.join("images/base/files");
        for entry in WalkDir::new(&files) {
            let entry = entry.map_err(|error| FileError::of::<NodeImageError>("read", &files)(walk::cause(error)))?;
            if !entry.file_type().is_file() {
                continue;
            }
            let path = entry.path();
            let below = path.strip_prefix(&files).unwrap_or(path).display().to_string();
            let mut bytes = fs::read(path).map_err(FileError::of::<NodeImageError>("read", path))?;
            if below == CONTAINERD {
                bytes = containerd(&String::from_utf8_lossy(&bytes), images::sandbox(&self.images)?)?.into_bytes();
            }
            let mode = if bytes.starts_with(b"#!") { 0o755 } else { 0o644 };
            root.put(&below, mode, &bytes)?;
        }
        Ok(())
    }

    /// A line for each part, with where it came from.
    fn origins(&self) -> String {
        let mut lines = String::new();
        for part in super::PARTS {
            // Writing to a string cannot fail.
            writeln!(lines, "  {part} {}: {}", part.version(), self.programs.origin(part)).ok();
        }
        lines
    }
}

/// A root directory that is being filled.
struct Root(PathBuf);

impl Root {
    fn put(&self, path: &str, mode: u32, bytes: &[u8]) -> Result<(), NodeImageError> {
        let target = self.target(path)?;
        fs::write(&target, bytes).map_err(FileError::of::<NodeImageError>("write", &target))?;
        self.set_mode(&target, mode)
    }

    fn copy(&self, path: &str, source: &Path) -> Result<(), NodeImageError> {
        let target = self.target(path)?;
        fs::copy(source, &target).map_err(FileError::of::<NodeImageError>("copy", source))?;
        self.set_mode(&target, 0o755)
    }

    fn target(&self, path: &str) -> Result<PathBuf, NodeImageError> {
        let target = self.0.join(path);
        self.create_directory(target.parent().unwrap_or(&self.0))?;
        Ok(target)
    }

    fn create(&self, path: &str) -> Result<(), NodeImageError> {
        self.create_directory(&self.0.join(path))
    }

    fn create_directory(&self, path: &Path) -> Result<(), NodeImageError> {
        // The engine gives a node the modes that it finds here.
        let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
        let mut above = path.ancestors().take_while(|above| above.starts_with(&self.0));
        let set = |()| above.try_for_each(|above| fs::set_permissions(above, Permissions::from_mode(0o755)));
        made.and_then(set).map_err(FileError::of::<NodeImageError>("create", path))
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<(), NodeImageError> {
        fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(FileError::of::<NodeImageError>("set the mode of", path))
    }
}

/// Makes containerd read a configuration for each registry from a directory.
const REGISTRIES: &str = "
[plugins.\"io.containerd.grpc.v1.cri\".registry]
  config_path = \"/etc/containerd/certs.d\"
";

/// kind's configuration of containerd, changed where it does not fit.
fn containerd(theirs: &str, sandbox: &str) -> Result<String, NodeImageError> {
    // Root may lack CAP_SYS_RESOURCE, without which no score can be lowered: runc would end without a word.
    let ours = set(theirs, "restrict_oom_score_adj", "true")?;
    Ok(set(&ours, "sandbox_image", &format!("\"{sandbox}\""))? + REGISTRIES)
}

/// Replaces the value of the one line that sets `key`.
fn set(config: &str, key: &str, value: &str) -> Result<String, NodeImageError> {
    let is_it = |line: &&str| line.split_once('=').is_some_and(|(found, _)| found.trim() == key);
    if config.lines().filter(is_it).count() != 1 {
        return Err(NodeImageError::Changed { what: format!("kind's {CONTAINERD} sets {key} not once") });
    }
    let line = |line: &str| match line.find(key) {
        Some(indent) if is_it(&line) => format!("{}{key} = {value}\n", &line[..indent]),
        _ => format!("{line}\n"),
    };
    Ok(config.lines().map(line).collect())
}

/// Notes in the node about how it was made.
fn notes(parts: &str) -> String {
    NOTES
        .replace("{debian}", &debian::NODE.description())
        .replace("{kind}", Part::Kind.version())
        .replace("{coredns}", Part::Coredns.version())
        .replace("{parts}", parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "version = 2\n\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  # use fixed sandbox image\n  \
        sandbox_image = \"registry.k8s.io/pause:3.10\"\n  restrict_oom_score_adj = false\n";

    #[test]
    fn containerds_configuration_is_toml_with_our_values() {
        let ours: toml::Table = containerd(THEIRS, "registry.k8s.io/pause:3.10.2").unwrap().parse().unwrap();
        let plugin = &ours["plugins"]["io.containerd.grpc.v1.cri"];
        assert_eq!(plugin["sandbox_image"].as_str(), Some("registry.k8s.io/pause:3.10.2"));
        assert_eq!(plugin["restrict_oom_score_adj"].as_bool(), Some(true));
        assert_eq!(plugin["registry"]["config_path"].as_str(), Some("/etc/containerd/certs.d"));
    }

    #[test]
    fn a_configuration_without_the_line_is_an_error() {
        let error = containerd("version = 3\n", "pause").unwrap_err().to_string();
        assert!(error.contains("restrict_oom_score_adj"), "{error}");
    }

    #[test]
    fn the_dockerfile_starts_from_an_argument_and_ends_with_kinds_entry_point() {
        let instructions: Vec<&str> = DOCKERFILE.lines().filter(|line| !line.starts_with(['#', ' '])).collect();
        assert_eq!(instructions[..2], ["ARG BASE", "FROM $BASE"]);
        let last = ["STOPSIGNAL SIGRTMIN+3", r#"ENTRYPOINT [ "/usr/local/bin/entrypoint", "/sbin/init" ]"#];
        assert_eq!(instructions[instructions.len() - 2..], last);
        assert!(DOCKERFILE.contains("systemctl enable") && DOCKERFILE.contains("credence-images.service"));
    }

    #[test]
    fn the_network_is_json() {
        let (_, _, text) = FILES[2];
        let config: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(config.pointer("/plugins/0/ipMasq"), Some(&serde_json::json!(true)));
    }

    #[test]
    fn the_notes_say_what_differs() {
        let notes = notes("  etcd 3.6.8: given\n");
        for text in ["bookworm", "kind 0.33.0", "etcd 3.6.8: given", "CoreDNS is 1.15.0", "default-storage.yaml"] {
            assert!(notes.contains(text), "{text}");
        }
        assert!(!notes.contains(['{', '}']), "{notes}");
    }

    #[test]
    fn modes_do_not_depend_on_the_users_umask() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root(directory.path().join("root"));
        root.put("kind/bin/a.sh", 0o755, b"#!/bin/sh").unwrap();
        root.create("etc/kubernetes/manifests").unwrap();
        let mode = |path: &str| root.0.join(path).metadata().unwrap().permissions().mode() & 0o777;
        for path in ["", "kind", "kind/bin", "kind/bin/a.sh", "etc/kubernetes/manifests"] {
            assert_eq!(mode(path), 0o755, "{path}");
        }
    }
}
