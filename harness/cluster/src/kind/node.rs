//! The node of a cluster of kind, as those see it who run pods on it.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use credence_programs::engine::{Engine, EngineError, Name};

use super::config::{HOSTS, REGISTRIES};
use crate::embedded::node::{self, NodeError};

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

    /// Gives it `images` that `engine`, which runs it, has: what they have in common goes over once, and nothing is written
    /// down on the way.
    ///
    /// # Errors
    /// When the engine refuses, or the node does.
    pub async fn load(&self, engine: &Engine, images: &[&str]) -> Result<(), EngineError> {
        let save: &[&str] = match engine.name() {
            Name::Docker => &["save"],
            Name::Podman => &["save", "--multi-image-archive"],
        };
        let failed = |source| EngineError::Run { command: engine.path().to_owned(), source };
        let mut save = engine.command(&[save, images].concat());
        let mut save =
            save.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let archive = save.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let archive: Stdio = archive.try_into().map_err(failed)?;
        let import = ["exec", "--interactive", &self.name, "ctr", "--namespace", "k8s.io", "images", "import", "-"];
        let import = engine.command(&import).stdin(archive).output();
        let (saved, imported) = tokio::try_join!(save.wait_with_output(), import).map_err(failed)?;
        // When one of them ends early the other complains as well, so both are shown.
        let status = if saved.status.success() { imported.status } else { saved.status };
        let stderr = [saved.stderr, imported.stderr].concat();
        engine.checked("load images into the node", Ok(Output { status, stdout: Vec::new(), stderr }))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use credence_programs::engine::fake::Fake;

    use super::*;

    /// Saves the names of images, and its nodes write down what they are given.
    const ACT: &str = r#"case "$1" in
save) shift; if test "$1" = missing; then echo no such image >&2; exit 1; fi; echo "$@" ;;
exec) echo "$@" > asked; cat > given ;;
esac"#;

    #[tokio::test]
    async fn images_go_from_the_engine_into_the_node() {
        let fake = Fake::usable(ACT);
        let engine = fake.find().await.unwrap();
        let node = KindNode::new("a-control-plane", Ipv4Addr::new(172, 18, 0, 2), fake.directory());
        node.load(&engine, &["one:1", "two:2"]).await.unwrap();
        let read = |name: &str| fs::read_to_string(fake.directory().join(name)).unwrap();
        assert_eq!(read("given"), "one:1 two:2\n");
        assert!(read("asked").contains("a-control-plane ctr --namespace k8s.io images import"), "{}", read("asked"));
        let error = node.load(&engine, &["missing"]).await.unwrap_err().to_string();
        assert!(error.contains("load images into the node") && error.contains("no such image"), "{error}");
    }

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
