//! The images of the control plane by the names that kubeadm has for them, each of one static program.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use credence_core::file_error::FileError;
use tokio::process::Command;

use super::NodeImageError;
use crate::oci::{Image, Layer, LayerEntry, Settings};
use crate::supply::{Part, Programs};

/// Directory of programs in an image. kubeadm's pods name most of them without a directory.
const DIRECTORY: &str = "usr/local/bin";
/// Directories of commands in Debian and in images.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Lists and packs what kube-proxy calls, in the node's Debian.
pub(super) const PROXY_FILES: &str = include_str!("files/proxy-files.sh");
/// Decides which iptables kube-proxy calls.
const WRAPPER: &str = include_str!("files/iptables-wrapper");
/// The names by which kube-proxy calls iptables.
const IPTABLES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// Inputs from which the images follow beside the programs.
pub(super) fn recipe() -> Vec<String> {
    vec![PROXY_FILES.to_owned(), WRAPPER.to_owned(), IPTABLES.join(","), format!("{DIRECTORY} {PATH}")]
}

/// Names of the images that a cluster of this Kubernetes is made of.
pub(super) async fn list(kubeadm: &Path) -> Result<Vec<String>, NodeImageError> {
    // Without the version it would ask the internet for the newest.
    let version = format!("v{}", Part::Kubeadm.version());
    let output = Command::new(kubeadm)
        .args(["config", "images", "list", "--kubernetes-version", &version])
        .kill_on_drop(true)
        .output()
        .await
        .map_err(FileError::of::<NodeImageError>("run", kubeadm))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(FileError::of::<NodeImageError>("list images with", kubeadm)(io::Error::other(said)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect())
}

/// The one that sandboxes sleep in.
pub(super) fn sandbox(names: &[String]) -> Result<&str, NodeImageError> {
    let found = names.iter().find(|name| title(name) == "pause");
    found.map(String::as_str).ok_or_else(|| NodeImageError::Changed { what: "kubeadm lists no image pause".to_owned() })
}

/// Name of an image without registry, path and tag.
pub(super) fn title(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(':').next().unwrap_or(last)
}

/// The program of an image. CoreDNS has another version than kubeadm names: the one that is pinned.
fn program(name: &str) -> Option<Part> {
    match title(name) {
        "kube-apiserver" => Some(Part::KubeApiserver),
        "kube-controller-manager" => Some(Part::KubeControllerManager),
        "kube-scheduler" => Some(Part::KubeScheduler),
        "kube-proxy" => Some(Part::KubeProxy),
        "coredns" => Some(Part::Coredns),
        "etcd" => Some(Part::Etcd),
        _ => None,
    }
}

/// Packs an image, its own layer in `directory`. `proxy` is what kube-proxy calls.
pub(super) fn pack(
    name: &str,
    programs: &Programs,
    proxy: &Arc<Layer>,
    directory: &Path,
) -> Result<Image, NodeImageError> {
    if title(name) == "pause" {
        let (layer, settings) = crate::oci::sleeper(programs.path(Part::Etcd), directory)?;
        return Ok(Image::new(&[layer], &settings, name));
    }
    let part = program(name).ok_or_else(|| NodeImageError::Changed { what: format!("kubeadm lists {name}") })?;
    let path = format!("{DIRECTORY}/{part}");
    let program = programs.path(part);
    if needs_loader(program).map_err(FileError::of::<NodeImageError>("read", program))? {
        return Err(NodeImageError::Dynamic { part, path: program.to_owned() });
    }
    let own = Layer::pack(&[LayerEntry::copy(&path, 0o755, program)], directory)?;
    let layers = if part == Part::KubeProxy { vec![Arc::clone(proxy), own] } else { vec![own] };
    let settings = Settings {
        entrypoint: vec![format!("/{path}")],
        environment: [("PATH".to_owned(), PATH.to_owned())].into(),
        ..Settings::default()
    };
    Ok(Image::new(&layers, &settings, name))
}

/// True if a program is for the dynamic loader, which these images do not have: its file has a segment that names one,
/// elf(5). The layout is that of all 64-bit little-endian machines.
fn needs_loader(program: &Path) -> io::Result<bool> {
    const INTERPRETER: [u8; 4] = 3_u32.to_le_bytes();
    let mut header = [0; 64];
    let mut file = File::open(program)?;
    file.read_exact(&mut header)?;
    let number = |from: usize| u16::from_le_bytes([header[from], header[from + 1]]);
    let place = header[0x20..0x28].iter().rev().fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
    let mut segments = vec![0; usize::from(number(0x36)) * usize::from(number(0x38))];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut segments)?;
    Ok(segments.chunks(usize::from(number(0x36)).max(1)).any(|segment| segment.starts_with(&INTERPRETER)))
}

/// Makes the layer below kube-proxy, in `directory`, of the archive that [`PROXY_FILES`] writes.
pub(super) fn proxy_layer(archive: &[u8], directory: &Path) -> Result<Arc<Layer>, NodeImageError> {
    let unpacked =
        unpack(archive).map_err(FileError::of::<NodeImageError>("read what kube-proxy calls in", Path::new("Debian")));
    let mut entries = unpacked?;
    entries.push(LayerEntry::file("usr/sbin/iptables-wrapper", 0o755, WRAPPER));
    let links = IPTABLES.map(|name| LayerEntry::link(&format!("usr/sbin/{name}"), Path::new("iptables-wrapper")));
    entries.extend(links);
    Ok(Layer::pack(&entries, directory)?)
}

fn unpack(archive: &[u8]) -> io::Result<Vec<LayerEntry>> {
    let mut archive = tar::Archive::new(archive);
    let files = archive.entries()?.map(|file| {
        let mut file = file?;
        if !file.header().entry_type().is_file() {
            return Err(io::Error::other(format!("{} is no file", file.path()?.display())));
        }
        let (path, mode) = (file.path()?.display().to_string(), file.header().mode()?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(LayerEntry::file(&path, mode & 0o777, bytes))
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: [&str; 7] = [
        "registry.k8s.io/kube-apiserver:v1.36.3",
        "registry.k8s.io/kube-controller-manager:v1.36.3",
        "registry.k8s.io/kube-scheduler:v1.36.3",
        "registry.k8s.io/kube-proxy:v1.36.3",
        "registry.k8s.io/coredns/coredns:v1.14.2",
        "registry.k8s.io/pause:3.10.2",
        "registry.k8s.io/etcd:3.6.8-0",
    ];

    #[test]
    fn every_image_that_kubeadm_lists_is_known_and_one_is_the_sandbox() {
        let names = LISTED.map(str::to_owned);
        assert_eq!(sandbox(&names).unwrap(), "registry.k8s.io/pause:3.10.2");
        let unknown: Vec<&str> = LISTED.into_iter().filter(|name| program(name).is_none()).collect();
        assert_eq!(unknown, ["registry.k8s.io/pause:3.10.2"]);
        assert!(matches!(sandbox(&[]), Err(NodeImageError::Changed { .. })));
    }

    #[test]
    fn names_have_a_title_whatever_is_around_it() {
        assert_eq!(LISTED.map(title)[3..6], ["kube-proxy", "coredns", "pause"]);
        assert_eq!(title("127.0.0.1:5000/etcd"), "etcd");
    }

    #[test]
    fn kube_proxy_finds_every_iptables_behind_the_wrapper() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(3);
        archive.append_data(&mut header, "usr/sbin/nft", b"nft".as_slice()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let layer = proxy_layer(&archive.into_inner().unwrap(), directory.path()).unwrap();
        let mut expected = vec![
            LayerEntry::file("usr/sbin/nft", 0o755, "nft"),
            LayerEntry::file("usr/sbin/iptables-wrapper", 0o755, WRAPPER),
        ];
        for name in ["iptables", "iptables-save", "iptables-restore"] {
            expected.push(LayerEntry::link(&format!("usr/sbin/{name}"), Path::new("iptables-wrapper")));
        }
        for name in ["ip6tables", "ip6tables-save", "ip6tables-restore"] {
            expected.push(LayerEntry::link(&format!("usr/sbin/{name}"), Path::new("iptables-wrapper")));
        }
        assert_eq!(layer.digest(), Layer::pack(&expected, directory.path()).unwrap().digest());
    }

    #[test]
    fn programs_for_the_loader_are_known_by_their_segments() {
        assert!(needs_loader(Path::new("/bin/sh")).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("static");
        // A header with one segment behind it, of the type PT_LOAD.
        let mut bytes = vec![0; 64 + 56];
        (bytes[0x20], bytes[0x36], bytes[0x38], bytes[64]) = (64, 56, 1, 1);
        std::fs::write(&program, bytes).unwrap();
        assert!(!needs_loader(&program).unwrap());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Fifo);
        header.set_size(0);
        archive.append_data(&mut header, "usr/sbin/pipe", io::empty()).unwrap();
        let error = proxy_layer(&archive.into_inner().unwrap(), Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().contains("what kube-proxy calls"), "{error}");
    }
}
