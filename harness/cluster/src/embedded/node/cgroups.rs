//! The node's cgroups: one directory of its name in each hierarchy, below which the kubelet keeps its pods.

use credence_core::file_error::FileError;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::NodeError;

/// Makes the directories. The kubelet wants its root to be there.
pub(super) fn create(name: &str) -> Result<(), NodeError> {
    for root in hierarchies(&mounts()?) {
        delegate(&root)?;
        let directory = root.join(name);
        fs::create_dir(&directory)
            .or_else(|error| match error.kind() {
                // Of a node whose device someone else removed.
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })
            .map_err(FileError::of::<NodeError>("create the cgroup", &directory))?;
    }
    Ok(())
}

/// In the unified hierarchy, passes all controllers on to the directories below, as runc does.
fn delegate(root: &Path) -> Result<(), NodeError> {
    // Only that hierarchy has the files.
    let Ok(controllers) = fs::read_to_string(root.join("cgroup.controllers")) else { return Ok(()) };
    let file = root.join("cgroup.subtree_control");
    let passed_on = fs::read_to_string(&file).unwrap_or_default();
    for controller in missing(&controllers, &passed_on) {
        fs::write(&file, format!("+{controller}"))
            .map_err(FileError::of::<NodeError>("pass controllers on in", &file))?;
    }
    Ok(())
}

/// The controllers that are there and not passed on.
pub(super) fn missing<'a>(controllers: &'a str, passed_on: &str) -> Vec<&'a str> {
    let passed_on: Vec<&str> = passed_on.split_whitespace().collect();
    controllers.split_whitespace().filter(|name| !passed_on.contains(name)).collect()
}

/// Removes the directories with all below them. The processes in them have to be gone.
pub(super) fn remove(name: &str) -> Result<(), NodeError> {
    for root in hierarchies(&mounts()?) {
        let directory = root.join(name);
        if directory.exists() {
            remove_tree(&directory).map_err(FileError::of::<NodeError>("remove the cgroup", &directory))?;
        }
    }
    Ok(())
}

/// A cgroup's files cannot be removed, and need not be: only its directories count.
fn remove_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

/// The text of `/proc/self/mounts`.
fn mounts() -> Result<String, NodeError> {
    let path = Path::new("/proc/self/mounts");
    fs::read_to_string(path).map_err(FileError::of::<NodeError>("read", path))
}

/// Mount points of cgroup hierarchies of either version, each once.
pub(super) fn hierarchies(mounts: &str) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = mounts.lines().filter_map(Mount::parse).map(|mount| mount.point).collect();
    roots.sort();
    roots.dedup();
    roots
}

/// A mounted cgroup hierarchy.
pub(super) struct Mount<'a> {
    pub(super) point: PathBuf,
    /// True if it is the unified hierarchy.
    pub(super) unified: bool,
    /// The mount options; of a hierarchy of version 1 its controllers are among them.
    pub(super) options: Vec<&'a str>,
}

impl<'a> Mount<'a> {
    /// Reads a line of `/proc/self/mounts`, see fstab(5); `None` for other file systems.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ').skip(1);
        let (point, kind, options) = (words.next()?, words.next()?, words.next()?);
        let unified = kind == "cgroup2";
        (unified || kind == "cgroup").then(|| Self {
            point: PathBuf::from(point),
            unified,
            options: options.split(',').collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found_once() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        assert_eq!(hierarchies(mounts), ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"].map(PathBuf::from));
    }

    #[test]
    fn a_tree_is_removed_from_its_leaves() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("credence-0");
        fs::create_dir_all(root.join("kubepods/besteffort/pod1")).unwrap();
        remove_tree(&root).unwrap();
        assert!(!root.exists());
    }
}
