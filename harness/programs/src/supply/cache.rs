//! The user's cache: programs that are complete, and where unfinished ones are made.
//!
//! ```text
//! programs/PART-VERSION-PIN/{PART,origin.json}   complete, put in place by one rename
//! assets/MODULE-VERSION-PIN/…                    the same for files that come with a module, see `assets`
//! images/DIGEST/PART                             out of an image that the user names, see `operator_image`
//! charts/DIGEST/…                                of a chart that the user gives, see `external_secrets`
//! modules/MODULE/{go.mod,go.sum}                 the embedded pins, for go
//! downloads/…                                    unfinished downloads, resumed by the next run
//! work/MODULE/…                                  of a running build, emptied by the next one
//! reduced/MODULE/…                               sources of which less is built, see `providers` and `vault`
//! locks/MODULE.lock                              see `lock`
//! ```

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use credence_core::file_error::FileError;
use serde::{Deserialize, Serialize};
use tempfile::{NamedTempFile, TempDir};

use super::module::Module;
use super::{ComponentError, Options, Origin, Part, Providers, space};
use crate::supply::digest::sha256;

/// Name of the record beside a program.
const RECORD: &str = "origin.json";

/// Record of a program in the cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) origin: Origin,
    /// SHA-256 of the program, hexadecimal.
    pub(super) sha256: String,
    /// Size of the program.
    pub(super) bytes: u64,
    /// Time from when it was asked for until it was made, waits included.
    pub(super) seconds: u64,
}

/// A complete program in the cache.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) path: PathBuf,
    pub(super) record: Record,
}

#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
    providers: Providers,
}

impl Cache {
    /// Creates nothing: a cache that is complete may be read-only.
    pub(super) fn of(options: &Options) -> Result<Self, ComponentError> {
        let (root, providers) = (&options.cache, options.providers);
        // Go runs in another directory, so relative paths would not survive.
        let root = path::absolute(root).map_err(failed("make absolute", root))?;
        Ok(Self { root, providers })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Providers that External Secrets Operator is built with.
    pub(super) fn providers(&self) -> Providers {
        self.providers
    }

    /// Makes sure that programs can be written and run here.
    pub(super) fn prepare(&self) -> Result<(), ComponentError> {
        for directory in ["programs", "downloads", "work"].map(|name| self.root.join(name)) {
            fs::create_dir_all(&directory).map_err(failed("make the directory", &directory))?;
            // A directory that exists may still be read-only.
            TempDir::new_in(&directory).map_err(failed("write in", &directory))?;
        }
        if space::is_noexec(&self.root)? {
            return Err(ComponentError::NoExec { path: self.root.clone() });
        }
        Ok(())
    }

    /// The program, when it is there complete. Its size is compared, its bytes are not: that is `is_intact`.
    pub(super) fn find(&self, part: Part) -> Option<Stored> {
        let directory = self.program_directory(part);
        let record: Record = serde_json::from_slice(&fs::read(directory.join(RECORD)).ok()?).ok()?;
        let path = directory.join(part.name());
        let data = path.metadata().ok()?;
        (data.is_file() && data.len() == record.bytes && data.permissions().mode() & 0o111 != 0)
            .then_some(Stored { path, record })
    }

    /// Moves a finished program into place. The caller holds the lock of its module.
    pub(super) fn put(
        &self,
        part: Part,
        program: &Path,
        origin: Origin,
        took: Duration,
    ) -> Result<Stored, ComponentError> {
        let directory = self.program_directory(part);
        let staging = directory.with_file_name(format!(".new-{part}"));
        remove(&staging)?;
        fs::create_dir_all(&staging).map_err(failed("make the directory", &staging))?;
        let path = staging.join(part.name());
        fs::rename(program, &path).map_err(failed("move a program to", &path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed("make executable", &path))?;
        let (sha256, bytes) = sha256(&path).map_err(failed("read", &path))?;
        let record = Record { origin, sha256, bytes, seconds: took.as_secs() };
        let text = serde_json::to_vec_pretty(&record).map_err(io::Error::from);
        let beside = staging.join(RECORD);
        text.and_then(|text| fs::write(&beside, text)).map_err(failed("write", &beside))?;
        // Without it a power cut could leave the record in place and the program full of zeros.
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed("write", &path))?;
        remove(&directory)?;
        fs::rename(&staging, &directory).map_err(failed("put in place", &directory))?;
        Ok(Stored { path: directory.join(part.name()), record })
    }

    /// Directory of the files that come with a module.
    pub(super) fn assets(&self, module: Module) -> PathBuf {
        self.root.join("assets").join(pinned(module.name(), module))
    }

    /// Directory of what is taken out of the image with this digest.
    pub(super) fn image(&self, digest: &str) -> PathBuf {
        self.root.join("images").join(digest.replace(':', "-"))
    }

    /// The lock file called `name`.
    pub(super) fn lock(&self, name: &str) -> PathBuf {
        self.root.join("locks").join(format!("{name}.lock"))
    }

    /// Path of the unfinished download of a part.
    pub(super) fn download(&self, part: Part) -> PathBuf {
        self.root.join("downloads").join(format!("{}.part", pinned(part.name(), part.module())))
    }

    /// The directory that holds the module's `go.mod` and `go.sum`, written if they are not there.
    pub(super) fn module(&self, module: Module) -> Result<PathBuf, ComponentError> {
        let directory = self.root.join("modules").join(module.name());
        fs::create_dir_all(&directory).map_err(failed("make the directory", &directory))?;
        for (name, text) in [("go.mod", module.go_mod()), ("go.sum", module.go_sum())] {
            let path = directory.join(name);
            if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
                continue;
            }
            // Another process may be reading the old one, so it is replaced whole.
            NamedTempFile::new_in(&directory)
                .and_then(|mut file| file.write_all(text.as_bytes()).map(|()| file))
                .and_then(|file| file.persist(&path).map_err(io::Error::from))
                .map_err(failed("write", &path))?;
        }
        Ok(directory)
    }

    /// An empty directory for a build, removed when dropped. The caller holds the lock of the module, so whatever
    /// is there is of a build that was killed.
    pub(super) fn work(&self, module: Module) -> Result<TempDir, ComponentError> {
        let directory = self.root.join("work").join(module.name());
        remove(&directory)?;
        fs::create_dir_all(&directory).map_err(failed("make the directory", &directory))?;
        TempDir::new_in(&directory).map_err(failed("make a directory in", &directory))
    }

    /// Directory of the sources of a module of which less is built than there is.
    pub(super) fn reduced(&self, module: Module) -> PathBuf {
        self.root.join("reduced").join(module.name())
    }

    fn program_directory(&self, part: Part) -> PathBuf {
        let name = pinned(part.name(), part.module()) + &self.providers.suffix(part.module());
        self.root.join("programs").join(name)
    }
}

/// A name that changes with the pin.
fn pinned(name: &str, module: Module) -> String {
    format!("{name}-{}-{}", module.version(), module.digest())
}

/// True if the bytes of a program are those that were put into the cache. Reads all of it.
pub(super) fn is_intact(stored: &Stored) -> bool {
    sha256(&stored.path).is_ok_and(|(found, _)| found == stored.record.sha256)
}

/// Removes a file or a directory with all that is in it; none is fine.
pub(super) fn remove(path: &Path) -> Result<(), ComponentError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Names the act and the path of a failure in the cache.
pub(super) fn failed(act: &'static str, path: &Path) -> impl Fn(io::Error) -> ComponentError + use<> {
    FileError::of(act, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_in(root: &Path) -> Cache {
        Cache::of(&Options::new(root.to_owned())).unwrap()
    }

    fn with_program() -> (TempDir, Cache, Stored) {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache_in(directory.path());
        cache.prepare().unwrap();
        let program = directory.path().join("made");
        fs::write(&program, "abc").unwrap();
        let stored = cache.put(Part::Etcd, &program, Origin::Build, Duration::from_secs(5)).unwrap();
        (directory, cache, stored)
    }

    #[test]
    fn a_program_put_is_found_with_its_record() {
        let (_directory, cache, stored) = with_program();
        assert_eq!(cache.find(Part::Etcd), Some(stored.clone()));
        // The published SHA-256 test vector of "abc", FIPS 180-2 appendix B.1.
        assert_eq!(stored.record.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((stored.record.bytes, stored.record.seconds), (3, 5));
        assert_eq!(cache.find(Part::Helm), None);
    }

    #[test]
    fn a_program_of_another_size_is_not_present_and_can_be_replaced() {
        let (directory, cache, stored) = with_program();
        fs::write(&stored.path, "ab").unwrap();
        assert_eq!(cache.find(Part::Etcd), None);
        let program = directory.path().join("made");
        fs::write(&program, "abc").unwrap();
        cache.put(Part::Etcd, &program, Origin::Build, Duration::ZERO).unwrap();
        assert!(cache.find(Part::Etcd).is_some());
    }

    #[test]
    fn a_program_without_a_record_is_not_present() {
        let (_directory, cache, stored) = with_program();
        fs::remove_file(stored.path.with_file_name(RECORD)).unwrap();
        assert_eq!(cache.find(Part::Etcd), None);
    }

    #[test]
    fn a_program_that_is_not_executable_is_not_present() {
        let (_directory, cache, stored) = with_program();
        fs::set_permissions(&stored.path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(cache.find(Part::Etcd), None);
    }

    #[test]
    fn changed_bytes_are_not_intact() {
        let (_directory, cache, stored) = with_program();
        assert!(is_intact(&stored));
        fs::write(&stored.path, "xyz").unwrap();
        assert!(!is_intact(&cache.find(Part::Etcd).unwrap()));
    }

    #[test]
    fn a_cache_below_a_file_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = cache_in(&file.path().join("cache")).prepare().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&file.path().display().to_string()) && text.contains("CREDENCE_CACHE"), "{text}");
    }

    #[test]
    fn a_work_directory_starts_empty() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache_in(directory.path());
        let killed = cache.work(Module::Etcd).unwrap().keep();
        let work = cache.work(Module::Etcd).unwrap();
        assert!(!killed.exists() && work.path().read_dir().unwrap().next().is_none());
    }
}
