//! Kargo, which cannot be obtained and so is given.

use std::path::PathBuf;

/// Kargo, as the user has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserKargo {
    /// The program `kargo` of the control plane. The command line client of the same name is another one.
    pub program: PathBuf,
    /// Its chart: a directory like upstream's `charts/kargo`, or a package.
    pub chart: PathBuf,
}
