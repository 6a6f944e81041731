//! Cache of rendered manifests, by the digest of all that they were rendered from.
//!
//! An entry is complete or not there, as it is put there by one rename, so that runs may share the cache. It is read by its
//! owner alone, since a chart may have credentials in its values. That it cannot be used costs time and nothing else.

use std::fs::{self, DirBuilder, File, FileTimes};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Number of entries that are kept, of those that were used last.
const ENTRIES: usize = 64;

/// Beginning of a file's name that is not complete yet.
const INCOMPLETE: &str = ".new-";

/// Age of such a file that nobody writes any more.
const ABANDONED: Duration = Duration::from_hours(1);

pub(super) struct RenderCache {
    directory: PathBuf,
}

/// The name of an entry: a digest of parts that cannot run into each other.
pub(super) struct Key(blake3::Hasher);

impl Key {
    pub(super) fn new(kind: &str) -> Self {
        let mut key = Self(blake3::Hasher::new());
        key.add(kind.as_bytes());
        key
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.update(&part.len().to_le_bytes());
        self.0.update(part);
    }

    fn name(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

impl RenderCache {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Manifests that were rendered from this before.
    pub(super) fn find(&self, key: &Key) -> Option<String> {
        let path = self.directory.join(key.name());
        let text = fs::read_to_string(&path).ok()?;
        // Only the order in which entries go depends on it.
        let now = FileTimes::new().set_modified(SystemTime::now());
        File::options().append(true).open(path).and_then(|file| file.set_times(now)).ok();
        Some(text)
    }

    /// Keeps what was rendered, and removes what was not used for longest.
    pub(super) fn keep(&self, key: &Key, text: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        // A temporary file is for its owner alone.
        let mut file = tempfile::Builder::new().prefix(INCOMPLETE).tempfile_in(&self.directory)?;
        file.write_all(text.as_bytes())?;
        file.persist(self.directory.join(key.name()))?;
        self.prune()
    }

    fn prune(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // Another run may have removed it meanwhile.
            let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
            let is_written = entry.file_name().as_encoded_bytes().starts_with(INCOMPLETE.as_bytes());
            if !is_written || modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                entries.push((modified, entry.path()));
            }
        }
        entries.sort();
        for (_, path) in entries.iter().rev().skip(ENTRIES) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(part: &str) -> Key {
        let mut key = Key::new("test");
        key.add(part.as_bytes());
        key
    }

    #[test]
    fn what_was_kept_is_found_under_the_same_key_alone_and_by_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let cache = RenderCache::new(home.path().join("rendered"));
        assert_eq!(cache.find(&key("a")), None);
        cache.keep(&key("a"), "rendered").unwrap();
        assert_eq!(cache.find(&key("a")).as_deref(), Some("rendered"));
        assert_eq!(cache.find(&key("b")), None);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(home.path().join("rendered")), 0o700);
        assert_eq!(mode(home.path().join("rendered").join(key("a").name())), 0o600);
    }

    #[test]
    fn parts_of_a_key_do_not_run_into_each_other() {
        let name = |parts: [&str; 2]| {
            let mut key = Key::new("test");
            parts.iter().for_each(|part| key.add(part.as_bytes()));
            key.name()
        };
        assert_ne!(name(["ab", "c"]), name(["a", "bc"]));
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let home = tempfile::tempdir().unwrap();
        let cache = RenderCache::new(home.path().to_owned());
        let age = |part: &str, seconds: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let file = File::options().append(true).open(home.path().join(key(part).name())).unwrap();
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        };
        for number in 0..ENTRIES {
            cache.keep(&key(&number.to_string()), "x").unwrap();
            age(&number.to_string(), number as u64);
        }
        // Used again, so that the next one is the oldest.
        assert!(cache.find(&key("0")).is_some());
        cache.keep(&key("new"), "x").unwrap();
        assert!(cache.find(&key("0")).is_some() && cache.find(&key("new")).is_some());
        assert!(cache.find(&key("1")).is_none());
    }

    #[test]
    fn runs_may_share_it() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let cache = RenderCache::new(home.path().to_owned());
                    for number in 0..100 {
                        cache.keep(&key(&number.to_string()), "rendered").unwrap();
                        assert!(cache.find(&key(&number.to_string())).is_none_or(|text| text == "rendered"));
                    }
                });
            }
        });
    }
}
