//! The files of a container image that holds Node.js, what it needs of the system, and Backstage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use tokio::process::Command;
use walkdir::WalkDir;

use super::{BackstageError, Installation, prune};

/// Directory of Backstage in the image; the container's working directory, in which it looks for its `package.json`.
pub(crate) const WORKING_DIRECTORY: &str = "/app";
/// Command and arguments of the container.
pub const COMMAND: [&str; 4] = [NODE, "index.js", "--config", "app-config.yaml"];
/// Environment of the image. Node.js asks for a home, and there is no `/etc/passwd` to find it in.
pub(crate) const ENVIRONMENT: [(&str, &str); 2] = [("HOME", WORKING_DIRECTORY), ("NODE_ENV", "production")];
/// Path of Node.js in the image.
const NODE: &str = "/usr/local/bin/node";

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageFile {
    /// Path relative to the image's root.
    pub path: String,
    /// The file on this machine, never a link.
    pub source: PathBuf,
    /// Permission bits, such as `0o644`.
    pub mode: u32,
}

impl Installation {
    /// All files of the image's root, sorted by path, each path once: 18,000 files, 190 MB. No other directory is
    /// needed, and nothing is written at run time.
    ///
    /// # Errors
    /// When the installation cannot be read, or a shared library is not found.
    pub(crate) async fn image_files(&self) -> Result<Vec<ImageFile>, BackstageError> {
        let native = self.directory.join("node_modules/better-sqlite3").join(prune::NATIVE_MODULE);
        let mut files = BTreeMap::new();
        let mut add = |path: &str, source: PathBuf, mode| {
            let path = path.trim_start_matches('/').to_owned();
            files.insert(path.clone(), ImageFile { path, source, mode });
        };
        for program in [&self.node, &native] {
            for library in libraries(program).await? {
                let source = library.canonicalize().map_err(FileError::of::<BackstageError>("resolve", &library))?;
                // Under the very path at which the loader looks, whatever link that is here.
                add(&library.display().to_string(), source, 0o755);
            }
        }
        add(NODE, self.node.canonicalize().map_err(FileError::of::<BackstageError>("resolve", &self.node))?, 0o755);
        for entry in WalkDir::new(&self.directory) {
            let entry =
                entry.map_err(|error| FileError::of::<BackstageError>("read", &self.directory)(error.into()))?;
            if entry.file_type().is_file() {
                let below = entry.path().strip_prefix(&self.directory).unwrap_or(entry.path());
                add(&format!("{WORKING_DIRECTORY}/{}", below.display()), entry.path().to_owned(), 0o644);
            }
        }
        Ok(files.into_values().collect())
    }
}

/// The shared libraries that a program or library needs, and the loader.
async fn libraries(program: &Path) -> Result<Vec<PathBuf>, BackstageError> {
    let output = Command::new("ldd").arg(program).env("LC_ALL", "C").kill_on_drop(true).output().await;
    let output = output.map_err(|source| BackstageError::Run { command: "ldd".to_owned(), source })?;
    if !output.status.success() {
        let tail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(BackstageError::Failed { act: "list shared libraries with ldd", status: output.status, tail });
    }
    listed(&String::from_utf8_lossy(&output.stdout))
        .map_err(|NotFound(library)| BackstageError::Library { program: program.to_owned(), library })
}

/// A shared library that ldd(1) did not find, by its name.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0} was not found")]
struct NotFound(String);

/// Reads the output of ldd(1): `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader. The kernel's own library
/// has no path.
fn listed(output: &str) -> Result<Vec<PathBuf>, NotFound> {
    let mut libraries = Vec::new();
    for line in output.lines().map(str::trim) {
        let (name, found) = line.split_once(" => ").unwrap_or((line, line));
        if found.starts_with("not found") {
            return Err(NotFound(name.to_owned()));
        }
        let path = found.split(" (").next().unwrap_or_default();
        if path.starts_with('/') {
            libraries.push(PathBuf::from(path));
        }
    }
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_loader_are_read_and_the_kernel_is_not() {
        let output = "\tlinux-vdso.so.1 (0x00007ff2)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007ff2)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007ff2)\n";
        let expected = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(listed(output).unwrap(), expected);
    }

    #[test]
    fn a_program_without_libraries_needs_none() {
        assert_eq!(listed("\tstatically linked\n").unwrap(), [] as [PathBuf; 0]);
    }

    #[test]
    fn a_missing_library_is_an_error_that_names_it() {
        assert_eq!(listed("\tlibnode.so.115 => not found\n").unwrap_err(), NotFound("libnode.so.115".to_owned()));
    }

    #[tokio::test]
    async fn the_files_are_sorted_and_each_is_there_once() {
        let directory = tempfile::tempdir().unwrap();
        let native = directory.path().join("node_modules/better-sqlite3").join(prune::NATIVE_MODULE);
        std::fs::create_dir_all(native.parent().unwrap()).unwrap();
        // Any program with libraries serves.
        std::fs::copy("/bin/sh", &native).unwrap();
        std::fs::write(directory.path().join("index.js"), "").unwrap();
        let installation = Installation { directory: directory.path().to_owned(), node: "/bin/sh".into() };
        let files = installation.image_files().await.unwrap();
        assert!(files.is_sorted_by(|one, next| one.path < next.path), "{files:?}");
        let file = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.mode);
        assert_eq!((file("app/index.js"), file("usr/local/bin/node")), (Some(0o644), Some(0o755)));
        assert!(files.iter().all(|file| file.source.symlink_metadata().unwrap().is_file()), "{files:?}");
    }
}
