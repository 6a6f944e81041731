//! `go build` of pinned modules.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::cache::{Cache, failed};
use super::go::Go;
use super::module::Module;
use super::packages::Packages;
use super::{ComponentError, Part, Step, compiler, list, providers, space, vault};

/// Lines of the compiler's output that an error carries.
const TAIL_LINES: usize = 20;

/// The linker leaves it out in any case (`-w`), so that the compiler's work on it, a tenth of a build, would be for nothing.
const WITHOUT_DEBUG_INFORMATION: &str = "-gcflags=all=-dwarf=false";

/// Sources that `go build` is given.
pub(super) struct Sources<'a> {
    module: Module,
    /// The parts that are built of them.
    parts: &'a [Part],
    /// The directory of the pin.
    directory: PathBuf,
    packages: Packages,
}

/// Downloads what parts of one module are built from. It takes hardly any processor time, so it need not wait for other
/// builds.
///
/// The caller holds the lock of the module.
pub(super) async fn prepare<'a>(
    go: &Go,
    cache: &Cache,
    module: Module,
    parts: &'a [Part],
    report: &(dyn Fn(&Step) + Sync),
) -> Result<Sources<'a>, ComponentError> {
    check_space(go, cache, module, parts)?;
    compiler::check(go, module).await?;
    report(&Step::Building { what: "downloading sources".to_owned() });
    let directory = match module {
        Module::Vault => vault::sources(go, cache).await?,
        _ if cache.providers().is_reduced(module) => providers::sources(go, cache).await?,
        _ => cache.module(module)?,
    };
    let packages = Packages::list(go, module, &directory, parts).await?;
    Ok(Sources { module, parts, directory, packages })
}

/// Builds parts of one module together. The directory given back holds each under its `built_name`.
///
/// The caller holds the lock of the module. A build that was interrupted goes on where it was, as Go keeps every
/// package that is done in its own cache.
pub(super) async fn build(
    go: &Go,
    cache: &Cache,
    sources: &Sources<'_>,
    report: &(dyn Fn(&Step) + Sync),
) -> Result<TempDir, ComponentError> {
    let Sources { module, parts, directory, packages } = sources;
    let module = *module;
    // Other builds may have taken the room while this one waited for its turn.
    check_space(go, cache, module, parts)?;
    let names = list(parts);
    let work = cache.work(module)?;
    let mut command = go.command(module, directory);
    command
        // Go removes its work directory only if it ends by itself; ours is removed in any case.
        .env("GOTMPDIR", work.path())
        .args(["build", "-v", "-trimpath", WITHOUT_DEBUG_INFORMATION, "-tags", module.tags()])
        .args(["-ldflags", &module.ldflags(), "-o"])
        // With the slash it is a directory, whatever the number of packages.
        .arg(work.path().join(""))
        .args(parts.iter().map(|part| part.package()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let start = |error| ComponentError::Go { command: format!("go build of {names}"), output: format!("{error}") };
    let mut child = command.spawn().map_err(start)?;
    let mut log = Log::new(parts, packages);
    let began = Instant::now();
    report(&Step::Building { what: log.what.clone() });
    if let Some(stderr) = child.stderr.take() {
        // Should credence be killed, go ends with the next line that it cannot write.
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(failed("read go's output in", work.path()))? {
            if log.take(&String::from_utf8_lossy(&line), began.elapsed()) {
                report(&Step::Building { what: log.what.clone() });
            }
        }
    }
    let status = child.wait().await.map_err(failed("wait for go in", work.path()))?;
    if !status.success() {
        let tail = Vec::from(log.tail).join("\n");
        return Err(ComponentError::Build { parts: names, status, tail });
    }
    Ok(work)
}

/// Fails unless there is room for a build that finds nothing in Go's caches.
pub(super) fn check_space(go: &Go, cache: &Cache, module: Module, parts: &[Part]) -> Result<(), ComponentError> {
    let cost = module.cost(cache.providers());
    let programs: u64 = parts.iter().map(|part| part.megabytes()).sum();
    let needs = [
        (go.build_cache.as_path(), cost.compiled),
        (go.module_cache.as_path(), cost.sources),
        (cache.root(), cost.compiled + programs),
    ];
    space::check(&list(parts), &needs)
}

/// A time that is left, behind a count.
fn in_minutes(left: Duration) -> String {
    match left.as_secs().div_ceil(60) {
        0 | 1 => ", at most a minute left".to_owned(),
        minutes => format!(", at most {minutes} minutes left"),
    }
}

/// Output of `go build -v` so far.
struct Log<'a> {
    parts: &'a [Part],
    packages: &'a Packages,
    downloaded: usize,
    compiled: usize,
    /// Bytes of source in the packages that are compiled.
    bytes: u64,
    what: String,
    tail: VecDeque<String>,
}

impl<'a> Log<'a> {
    fn new(parts: &'a [Part], packages: &'a Packages) -> Self {
        let what = "looking for packages that are compiled already".to_owned();
        Self { parts, packages, downloaded: 0, compiled: 0, bytes: 0, what, tail: VecDeque::new() }
    }

    /// Takes a line of standard error, `elapsed` after the start; `true` when it is news of progress and no message.
    fn take(&mut self, line: &str, elapsed: Duration) -> bool {
        if let Some(module) = line.strip_prefix("go: downloading ") {
            self.downloaded += 1;
            self.what = format!("downloading module {}: {module}", self.downloaded);
        } else if !line.is_empty() && !line.contains(char::is_whitespace) {
            self.compiled += 1;
            self.bytes += self.packages.bytes(line);
            let linked = self.parts.iter().any(|part| part.package() == line);
            let act = if linked { "linking after package" } else { "compiling package" };
            let of = self.packages.count().map(|count| format!(" of {count}")).unwrap_or_default();
            let left = self.packages.left(self.bytes, elapsed).map(in_minutes).unwrap_or_default();
            self.what = format!("{act} {}{of}{left}: {line}", self.compiled);
        } else {
            self.tail.push_back(line.to_owned());
            if self.tail.len() > TAIL_LINES {
                self.tail.pop_front();
            }
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::sources(&["go: downloading k8s.io/api v0.36.3"], "downloading module 1: k8s.io/api v0.36.3")]
    #[case::packages(&["internal/abi", "k8s.io/api/core/v1"], "compiling package 2: k8s.io/api/core/v1")]
    #[case::last(&["a", "go.etcd.io/etcd/server/v3"], "linking after package 2: go.etcd.io/etcd/server/v3")]
    fn progress_counts_and_names_the_latest(#[case] lines: &[&str], #[case] what: &str) {
        let packages = Packages::default();
        let mut log = Log::new(&[Part::Etcd], &packages);
        assert!(lines.iter().all(|line| log.take(line, Duration::ZERO)));
        assert_eq!((log.what.as_str(), log.tail.len()), (what, 0));
    }

    #[rstest]
    #[case::soon(30, "at most a minute left")]
    #[case::later(61, "at most 2 minutes left")]
    fn the_time_left_is_in_minutes(#[case] seconds: u64, #[case] text: &str) {
        assert_eq!(in_minutes(Duration::from_secs(seconds)), format!(", {text}"));
    }

    #[test]
    fn messages_are_kept_apart_from_progress_and_only_the_last() {
        let packages = Packages::default();
        let mut log = Log::new(&[Part::Etcd], &packages);
        for number in 0..30 {
            assert!(!log.take(&format!("a.go:{number}: wrong thing"), Duration::ZERO));
            assert!(log.take("internal/abi", Duration::ZERO));
        }
        assert_eq!(log.tail.len(), TAIL_LINES);
        assert_eq!(log.tail.back().unwrap(), "a.go:29: wrong thing");
    }
}
