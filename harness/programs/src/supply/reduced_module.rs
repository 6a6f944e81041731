//! Writable copies of modules of which less is built than there is, put in the modules' place by `replace` lines behind the pin: Go
//! refuses overlays for files beneath its module cache.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ComponentError;
use super::assets::copy_tree;
use super::cache::{Cache, failed};
use super::digest::hex;
use super::module::Module;

/// The directory in which `go build` finds the pin of `module` and the copies, made by `copy` each time. The caller holds the lock
/// of the module.
pub(super) async fn make(
    cache: &Cache,
    module: Module,
    copy: impl FnOnce(&Path) -> Result<(), ComponentError> + Send + 'static,
) -> Result<PathBuf, ComponentError> {
    let directory = cache.reduced(module);
    tokio::task::spawn_blocking({
        let directory = directory.clone();
        move || copy(&directory)
    })
    .await
    // Nothing aborts it, so an error is a panic, which goes on here.
    .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    Ok(directory)
}

/// Copies these files and directories of a module.
pub(super) fn copy_parts(from: &Path, to: &Path, parts: &[&str]) -> Result<(), ComponentError> {
    parts.iter().try_for_each(|part| {
        let path = from.join(part);
        copy_tree(&path, &to.join(part)).map_err(failed("copy", &path))
    })
}

/// Writes the pin of `module`, with the directory beside it that takes the place of each of these modules.
pub(super) fn write_pin(directory: &Path, module: Module, replaced: &[(&str, &str)]) -> Result<(), ComponentError> {
    let replace = |(path, copy): &(&str, &str)| format!("\nreplace {path} => ./{copy}\n");
    let pin: String = [module.go_mod().to_owned()].into_iter().chain(replaced.iter().map(replace)).collect();
    [("go.mod", pin.as_str()), ("go.sum", module.go_sum())].into_iter().try_for_each(|(name, text)| {
        let path = directory.join(name);
        fs::write(&path, text).map_err(failed("write", &path))
    })
}

/// Suffix that tells programs apart in the cache that are built from less, by all that decides what goes.
pub(super) fn suffix(decides: &str) -> String {
    format!("-{}", hex(&Sha256::digest(decides)[..4]))
}
