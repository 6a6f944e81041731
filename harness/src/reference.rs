//! The reference configuration, carried inside the program so that it works outside a checkout.

use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

static FIXTURE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../fixtures/central-secret-store");

/// Writes the reference configuration to `directory/central-secret-store` and gives that path.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path) -> io::Result<PathBuf> {
    let target = directory.join("central-secret-store");
    std::fs::create_dir_all(&target)?;
    FIXTURE.extract(&target)?;
    Ok(target)
}
