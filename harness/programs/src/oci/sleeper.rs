//! The image that sandboxes sleep in.

use std::path::Path;
use std::sync::Arc;

use credence_core::file_error::FileError;
use tempfile::NamedTempFile;

use crate::oci::{Image, ImageError, Layer, LayerEntry, Settings};

/// The name of an image that does nothing until it is told to end: what keeps the namespaces of each pod, and what pods
/// of `imagePullPolicy: Never` can run.
pub const SLEEPER_IMAGE: &str = "localhost/credence/sleeper:1";

/// Files, packed in `directory`, and entry point of a program that only sleeps, for images that prove a pull by running.
///
/// Kubernetes' own pause program is C, and no module builds it. `etcd gateway` serves as well: of the static programs
/// that credence has anyway it is the smallest with a command that only waits; it starts within 20 ms, has 5 MB to
/// itself, and ends within 10 ms of SIGTERM, as process 1 too. All that it does is listen, here on a loopback address
/// at which nothing of a run is looked for, for connections to a port where nobody answers.
///
/// # Errors
/// When the program cannot be read, or not be written to the directory.
pub fn sleeper(etcd: &Path, directory: &Path) -> Result<(Arc<Layer>, Settings), ImageError> {
    let layer = Layer::pack(&[LayerEntry::copy("usr/local/bin/etcd", 0o755, etcd)], directory)?;
    // In the place that it has in the image of etcd itself, so that a node with both unpacks one layer.
    let program = "/usr/local/bin/etcd";
    let command = [program, "gateway", "start", "--endpoints=127.0.0.1:1", "--listen-addr=127.255.255.254:0"];
    let settings = Settings { entrypoint: command.map(str::to_owned).to_vec(), ..Settings::default() };
    Ok((layer, settings))
}

/// The archive of [`SLEEPER_IMAGE`], in `directory`.
pub fn archive(etcd: &Path, directory: &Path) -> Result<NamedTempFile, ImageError> {
    let (layer, settings) = sleeper(etcd, directory)?;
    let archive =
        NamedTempFile::new_in(directory).map_err(FileError::of::<ImageError>("create a file in", directory))?;
    Image::new(&[layer], &settings, "sandbox").archive(SLEEPER_IMAGE, archive.path())?;
    Ok(archive)
}
