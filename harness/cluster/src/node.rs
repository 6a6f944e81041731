//! A node as those see it who run pods on it.

use std::fs;
use std::future;
use std::net::IpAddr;
use std::path::Path;

use credence_core::file_error::FileError;
use credence_programs::certificates::{CertificateError, write_private};
use futures::FutureExt;
use futures::future::BoxFuture;

/// A node with a kubelet, for pods on its own network.
pub trait PodNode: Send + Sync {
    /// Its name, for `spec.nodeName` of pods.
    fn name(&self) -> &str;

    /// Address at which this machine reaches what pods serve on the node's own network.
    fn reachable_address(&self) -> IpAddr;

    /// Sends pulls from any registry to the HTTPS server at `address` (`HOST:PORT`) alone, whose certificate is of `ca`, PEM.
    /// Counts from the next pull on.
    ///
    /// # Errors
    /// When the files cannot be written.
    fn set_registry(&self, address: &str, ca: &str) -> Result<(), RegistryError>;

    /// Resolves when it ends by itself, with the reason; never for one whose end is that of the cluster.
    fn died(&self) -> BoxFuture<'_, String> {
        future::pending().boxed()
    }
}

/// A node could not be told where to pull images from.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be written.
    #[error("failed to configure the registry of the node")]
    Write(#[from] CertificateError),
}

/// Writes where images are pulled from, into the directory `hosts`, which containerd sees as `inside`. It reads this at
/// each pull.
pub(crate) fn write_registry(hosts: &Path, inside: &str, address: &str, ca: &str) -> Result<(), RegistryError> {
    let hosts = hosts.join("_default");
    fs::create_dir_all(&hosts).map_err(FileError::of::<RegistryError>("create", &hosts))?;
    write_private(&hosts.join("ca.crt"), ca.as_bytes())?;
    // A pull that is under way sees the old file or the new one, but no half of it.
    let (new, file) = (hosts.join("hosts.toml.new"), hosts.join("hosts.toml"));
    write_private(&new, registry_hosts(address, &format!("{inside}/_default/ca.crt")).as_bytes())?;
    fs::rename(&new, &file).map_err(FileError::of::<RegistryError>("write", &file))
}

/// One server for all registry hosts. As `server` it takes the place of the host itself: the `host` tables of this
/// format are only tried before that, so with one of those a pull that the mirror refuses would go on to the real host
/// (containerd, `core/remotes/docker/config/hosts.go`).
///
/// `ca` is the file of its authority as containerd sees it.
fn registry_hosts(address: &str, ca: &str) -> String {
    format!(
        r#"server = "https://{address}"
ca = "{ca}"
capabilities = ["pull", "resolve"]
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_hosts_name_one_server_and_no_other_host() {
        let hosts: toml::Table = registry_hosts("127.0.0.1:3443", "/ca.crt").parse().unwrap();
        assert_eq!(hosts["server"].as_str(), Some("https://127.0.0.1:3443"));
        assert!(!hosts.contains_key("host"));
    }
}
