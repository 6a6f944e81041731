//! Room on file systems.

use credence_core::file_error::FileError;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, StatVfsMountFlags};

use super::ComponentError;

/// Bytes in one MB, as disks and `df -h --si` count.
const MEGABYTE: u64 = 1_000_000;

/// Fails unless each file system has room for all that will be put on it, in MB.
pub fn check(what: &str, needs: &[(&Path, u64)]) -> Result<(), ComponentError> {
    let mut systems: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    for &(path, megabytes) in needs {
        let existing = existing(path);
        let device = existing.metadata().map_err(unknown(existing))?.dev();
        systems.entry(device).or_insert_with(|| (path.to_owned(), 0)).1 += megabytes;
    }
    for (path, needed) in systems.into_values() {
        let free = free(&path)?;
        if free < needed {
            return Err(ComponentError::Disk { what: what.to_owned(), free, needed, path });
        }
    }
    Ok(())
}

/// Space that an ordinary user may still write on the file system of `path`, in MB. `path` need not exist yet.
pub fn free(path: &Path) -> Result<u64, ComponentError> {
    let found = figures(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize) / MEGABYTE)
}

/// True if programs on the file system of `path` can be run.
pub(super) fn is_noexec(path: &Path) -> Result<bool, ComponentError> {
    Ok(figures(path)?.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

fn figures(path: &Path) -> Result<StatVfs, ComponentError> {
    let existing = existing(path);
    rustix::fs::statvfs(existing).map_err(io::Error::from).map_err(unknown(existing))
}

fn unknown(path: &Path) -> impl Fn(io::Error) -> ComponentError + use<> {
    FileError::of("examine the file system of", path)
}

/// The nearest directory that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_on_one_file_system_are_added_up() {
        let directory = tempfile::tempdir().unwrap();
        let half = free(directory.path()).unwrap() / 2 + 100_000;
        let (one, other) = (directory.path().join("not/yet/there"), directory.path().to_owned());
        check("etcd", &[(&one, 1), (&other, 1)]).unwrap();
        let error = check("etcd", &[(&one, half), (&other, half)]).unwrap_err();
        assert!(matches!(error, ComponentError::Disk { needed, .. } if needed == 2 * half), "{error}");
    }

    #[test]
    fn full_disk_is_an_error_with_free_needed_and_place() {
        // The proc file system always has 0 bytes free.
        let error = check("etcd", &[(Path::new("/proc/self"), 7)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "too little disk space for etcd: 0 MB free and 7 MB needed on the file system of /proc/self"
        );
    }
}
