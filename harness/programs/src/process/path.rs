//! Commands of the machine.

use std::path::PathBuf;

/// The absolute path of a command: from the `PATH`, or from where those for root are.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let root = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(root)
        .map(|directory| directory.join(name))
        .find(|file| file.is_absolute() && file.is_file())
}
