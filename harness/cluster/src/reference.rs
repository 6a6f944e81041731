//! The reference configuration, carried inside the program so that it works outside a checkout.

use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

static FIXTURE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../fixtures/central-secret-store");

static CONSUMERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../fixtures/consumers/manifests");

/// Writes the manifests of the reference configuration's consumers to `directory/consumer-manifests` and gives that path.
///
/// # Errors
/// When a file cannot be written.
pub fn write_consumers(directory: &Path) -> io::Result<PathBuf> {
    write_to(&CONSUMERS, &directory.join("consumer-manifests"))
}

/// Writes the reference configuration to `directory/central-secret-store` and gives that path.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path) -> io::Result<PathBuf> {
    write_to(&FIXTURE, &directory.join("central-secret-store"))
}

fn write_to(files: &Dir<'_>, target: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(target)?;
    files.extract(target)?;
    Ok(target.to_owned())
}
