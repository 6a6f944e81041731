//! Packages that a build compiles, listed before it begins: how much there is to do, and how much is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::go::Go;
use super::module::Module;
use super::{ComponentError, Part};

/// Output of Go for each package, in its own template language.
const FORMAT: &str = "{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles \" \"}}";
/// The part of the work, in hundredths, that has to be done before what is left is told from it.
const ENOUGH: u64 = 5;

/// The packages of a build, with the bytes of source in each: what the compiler takes for one is about in proportion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Packages {
    bytes: BTreeMap<String, u64>,
    total: u64,
}

impl Packages {
    /// Lists what parts of a module are compiled of, and so downloads all of it. Knows nothing where Go cannot say: the
    /// build will, and why.
    ///
    /// # Errors
    /// When a registry is silent, which a build would wait for as well.
    pub(super) async fn list(
        go: &Go,
        module: Module,
        directory: &Path,
        parts: &[Part],
    ) -> Result<Self, ComponentError> {
        let mut arguments = vec!["list", "-deps", "-tags", module.tags(), "-f", FORMAT];
        arguments.extend(parts.iter().map(|part| part.package()));
        match go.download(module, directory, &arguments).await {
            Ok(listed) => {
                let size = |file: &Path| fs::metadata(file).map_or(0, |data| data.len());
                Ok(Self::of(&String::from_utf8_lossy(&listed), size))
            }
            Err(silent @ ComponentError::SilentRegistry { .. }) => Err(silent),
            Err(_) => Ok(Self::default()),
        }
    }

    fn of(listed: &str, size: impl Fn(&Path) -> u64) -> Self {
        let packages = listed.lines().filter_map(|line| {
            let mut columns = line.split('\t');
            let (name, directory, files) = (columns.next()?, columns.next()?, columns.next()?);
            let sizes = files.split_whitespace().map(|file| size(&Path::new(directory).join(file)));
            Some((name.to_owned(), sizes.sum()))
        });
        let bytes: BTreeMap<String, u64> = packages.collect();
        let total = bytes.values().sum();
        Self { bytes, total }
    }

    /// Number of them; none if that is not known.
    pub(super) fn count(&self) -> Option<usize> {
        (!self.bytes.is_empty()).then_some(self.bytes.len())
    }

    /// Bytes of source in one.
    pub(super) fn bytes(&self, package: &str) -> u64 {
        self.bytes.get(package).copied().unwrap_or_default()
    }

    /// The time that is left at most after `elapsed`, in which `done` bytes were compiled. At most, since Go does not say
    /// which packages it had compiled before. None while too little is done to tell.
    pub(super) fn left(&self, done: u64, elapsed: Duration) -> Option<Duration> {
        if self.total == 0 || done * 100 < self.total * ENOUGH {
            return None;
        }
        let rest = self.total.saturating_sub(done);
        Some(elapsed.mul_f64(rest as f64 / done as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages() -> Packages {
        Packages::of("errors\t/go/src/errors\terrors.go join.go\nfmt\t/go/src/fmt\tprint.go\nunsafe\t/go\t\n", |file| {
            if file.ends_with("print.go") { 80 } else { 10 }
        })
    }

    #[test]
    fn packages_are_counted_with_the_bytes_of_their_files() {
        let packages = packages();
        assert_eq!(packages.count(), Some(3));
        assert_eq!(["errors", "fmt", "unsafe", "other"].map(|name| packages.bytes(name)), [20, 80, 0, 0]);
        assert_eq!(Packages::default().count(), None);
    }

    #[test]
    fn the_time_left_follows_from_the_bytes_that_are_done() {
        let packages = packages();
        assert_eq!(packages.left(20, Duration::from_secs(10)), Some(Duration::from_secs(40)));
        assert_eq!(packages.left(100, Duration::from_secs(10)), Some(Duration::ZERO));
        assert_eq!(packages.left(4, Duration::from_secs(10)), None, "too early to tell");
        assert_eq!(Packages::default().left(4, Duration::from_secs(10)), None);
    }
}
