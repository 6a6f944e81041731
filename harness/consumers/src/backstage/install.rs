//! `npm ci` of the pinned packages into the cache, once per machine, lock file and Node.js.
//!
//! Scripts of packages are not run, but for the one that is needed: better-sqlite3 is compiled, so that what runs is
//! what the lock file's digest stands for and no binary from elsewhere.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fmt, fs, io};

use credence_core::file_error::FileError;
use credence_programs::supply::{Lock, check_space};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use walkdir::WalkDir;

use super::tools::{self, Node};
use super::{BackstageError, Commands, FIXTURE, Installation, Unsupported, digest, prune};

/// Room that installing takes at most, in MB: 400 for the packages, of which 150 stay, and 200 for npm's own cache.
pub(crate) const CACHE_MEGABYTES: u64 = 600;
/// Lines of a command's output that an error carries.
const TAIL_LINES: usize = 20;
/// Time that a line of progress stands before the next that says the same kind of thing.
const QUIET: Duration = Duration::from_secs(10);
/// Beginning by npm of a line about a finished request at its log level `http`.
const FETCHED: &str = "npm http fetch ";

/// Why Backstage cannot be had on this machine, or `None` when it can. What is in the cache needs Node.js only.
pub async fn unsupported(cache: &Path, commands: &Commands) -> Option<Unsupported> {
    match Node::find(&commands.node).await {
        Err(reason) => Some(reason),
        Ok(node) if place(cache, &node).is_dir() => None,
        Ok(_) => tools::check_builders(commands).err(),
    }
}

/// Gives the installation in `cache`, made now if it is not there. That takes two minutes, one of them for compiling.
///
/// `report` gets a line for each change of activity, and one every 10 seconds at most in between. When this future is
/// dropped, what runs is killed, and the next call starts over with npm's own cache.
///
/// # Errors
/// When the machine lacks something, has too little room, or npm fails.
pub async fn obtain(
    cache: &Path,
    commands: &Commands,
    report: &(dyn Fn(&str) + Sync),
) -> Result<Installation, BackstageError> {
    let node = Node::find(&commands.node).await?;
    let directory = place(cache, &node);
    let installation = Installation { directory, node: node.executable.clone() };
    if installation.directory.is_dir() {
        return Ok(installation);
    }
    let start = Instant::now();
    let report =
        |what: &str| report(&format!("backstage {}: {} s: {what}", super::version(), start.elapsed().as_secs()));
    let waiting = |holder: Option<u32>| match holder {
        Some(pid) => report(&format!("waiting for process {pid}, which installs it")),
        None => report("waiting for another process, which installs it"),
    };
    let lock = Arc::new(Lock::acquire(&cache.join("locks/backstage.lock"), waiting).await?);
    // Another process may have put it there while this one waited.
    if installation.directory.is_dir() {
        return Ok(installation);
    }
    tools::check_builders(commands)?;
    check_space("Backstage", &[(cache, CACHE_MEGABYTES)])?;
    let work = work(cache)?;
    let npm = Npm { commands, node: &node, directory: work.path() };
    npm.install(&report).await?;
    report("compiling better-sqlite3, about a minute");
    npm.compile().await?;
    report("leaving out what is not needed at run time");
    let place = installation.directory.clone();
    lock.during(move || put(work, &place)).await?;
    report("ready");
    Ok(installation)
}

/// Directory of the installation for this Node.js.
fn place(cache: &Path, node: &Node) -> PathBuf {
    cache.join("consumers").join(format!("backstage-{}-node-{}", digest(), node.identity))
}

/// A directory with the fixture. The caller holds the lock, so what is there is of a process that was killed.
fn work(cache: &Path) -> Result<TempDir, BackstageError> {
    let all = cache.join("work/backstage");
    match fs::remove_dir_all(&all) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::of::<BackstageError>("remove", &all)(error));
        }
        _ => fs::create_dir_all(&all).map_err(FileError::of::<BackstageError>("make the directory", &all))?,
    }
    let work = TempDir::new_in(&all).map_err(FileError::of::<BackstageError>("make a directory in", &all))?;
    for (name, text) in FIXTURE {
        let path = work.path().join(name);
        fs::write(&path, text).map_err(FileError::of::<BackstageError>("write", &path))?;
    }
    Ok(work)
}

/// Removes what is not needed, and puts the rest in place by one rename.
fn put(work: TempDir, place: &Path) -> Result<(), BackstageError> {
    let packages = work.path().join("node_modules");
    for entry in WalkDir::new(&packages).min_depth(1).contents_first(true) {
        let entry = entry.map_err(|error| FileError::of::<BackstageError>("read", &packages)(error.into()))?;
        let path = entry.path();
        if entry.file_type().is_dir() {
            // Fails, as it should, unless all that was in it is gone.
            fs::remove_dir(path).ok();
        } else if !prune::is_needed(path.strip_prefix(&packages).unwrap_or(path)) {
            fs::remove_file(path).map_err(FileError::of::<BackstageError>("remove", path))?;
        }
    }
    let parent = place.parent().unwrap_or(place);
    fs::create_dir_all(parent).map_err(FileError::of::<BackstageError>("make the directory", parent))?;
    let work = work.keep();
    fs::rename(&work, place).map_err(FileError::of::<BackstageError>("put in place", place))
}

/// npm in the directory with the lock file.
struct Npm<'a> {
    commands: &'a Commands,
    node: &'a Node,
    directory: &'a Path,
}

impl Npm<'_> {
    async fn install(&self, report: &(dyn Fn(&str) + Sync)) -> Result<(), BackstageError> {
        let mut requests = Requests { done: 0 };
        report(&requests.to_string());
        let mut command = self.command(self.directory)?;
        command.args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=http"]);
        let mut printed = Instant::now();
        run("install Backstage's packages with npm", command, |line| {
            let is_request = requests.take(line);
            if is_request && printed.elapsed() >= QUIET {
                printed = Instant::now();
                report(&requests.to_string());
            }
            is_request
        })
        .await
    }

    /// Compiles the native package from the source that it carries, and loads it once.
    async fn compile(&self) -> Result<(), BackstageError> {
        let package = self.directory.join("node_modules/better-sqlite3");
        let mut command = self.command(&package)?;
        // The package's own script for this; it calls the node-gyp that npm brings.
        command.args(["run", "build-release"]);
        run("compile better-sqlite3", command, |_| false).await?;
        let mut command = Command::new(&self.node.executable);
        command.current_dir(self.directory).args(["--eval", "new (require('better-sqlite3'))(':memory:').close()"]);
        run("load the compiled better-sqlite3", command, |_| false).await
    }

    /// npm and what it starts use this very Node.js, with the user's own settings of registry, proxy and the like.
    fn command(&self, directory: &Path) -> Result<Command, BackstageError> {
        let beside = self.node.executable.parent().map(Path::to_owned);
        let path = env::join_paths(beside.into_iter().chain(env::split_paths(&tools::search_path())));
        let path =
            path.map_err(|error| BackstageError::Run { command: "npm".into(), source: io::Error::other(error) })?;
        let mut command = self.commands.priority.command(&self.commands.npm);
        command.current_dir(directory).env("PATH", path).env("npm_config_update_notifier", "false");
        if let Some(prefix) = &self.node.headers {
            command.env("npm_config_nodedir", prefix);
        }
        Ok(command)
    }
}

/// Runs a command to its end. `take` sees each line of standard error and says whether it is news rather than a
/// message. Should credence be killed, npm ends with the next line that it cannot write, and a compiler with the file
/// that it is at.
async fn run(
    act: &'static str,
    mut command: Command,
    mut take: impl FnMut(&str) -> bool,
) -> Result<(), BackstageError> {
    let program = command.as_std().get_program().display().to_string();
    let failed = |source| BackstageError::Run { command: program.clone(), source };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut group = Group(command.spawn().map_err(failed)?);
    let mut tail = VecDeque::new();
    if let Some(stderr) = group.0.stderr.take() {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(failed)? {
            let line = String::from_utf8_lossy(&line);
            if !take(&line) {
                tail.push_back(line.into_owned());
                if tail.len() > TAIL_LINES {
                    tail.pop_front();
                }
            }
        }
    }
    let status = group.0.wait().await.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(BackstageError::Failed { act, status, tail: Vec::from(tail).join("\n") })
}

/// A child with all that it started, killed when dropped: a compiler would otherwise go on without npm.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // There is an id until the child has been waited for, and until then no other group can have it.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // An error means that all are gone already, which is what is wanted.
            rustix::process::kill_process_group(id, Signal::KILL).ok();
        }
    }
}

/// Counts what npm has asked the registry for.
struct Requests {
    done: usize,
}

impl Requests {
    /// Takes a line of standard error; `true` when it is news of a request and no message.
    fn take(&mut self, line: &str) -> bool {
        let is_request = line.starts_with(FETCHED);
        self.done += usize::from(is_request);
        is_request
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, (_, lock), ..] = FIXTURE;
        // Each package of the lock file has one digest, as a test proves; what npm has in its cache takes one request
        // less.
        let packages = lock.matches("\"integrity\":").count();
        write!(f, "installing {packages} packages with npm, {} of at most {} requests done", self.done, 2 * packages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node { executable: "/usr/bin/node".into(), identity: "22.1.0-x64-127".into(), headers: None }
    }

    #[test]
    fn another_node_has_another_installation() {
        let (one, other) = (node(), Node { identity: "24.0.0-x64-137".into(), ..node() });
        assert_ne!(place(Path::new("/c"), &one), place(Path::new("/c"), &other));
        assert!(place(Path::new("/c"), &one).starts_with("/c/consumers"));
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        let killed = work(cache.path()).unwrap().keep();
        let work = work(cache.path()).unwrap();
        assert!(!killed.exists() && work.path().join("package-lock.json").is_file());
    }

    #[test]
    fn what_is_put_in_place_has_no_files_that_are_not_needed_and_no_empty_directories() {
        let cache = tempfile::tempdir().unwrap();
        let work = work(cache.path()).unwrap();
        let package = work.path().join("node_modules/a");
        fs::create_dir_all(package.join("test/deep")).unwrap();
        for name in ["index.js", "index.js.map", "test/deep/b.js"] {
            fs::write(package.join(name), "").unwrap();
        }
        let place = cache.path().join("consumers/backstage");
        put(work, &place).unwrap();
        let left: Vec<_> =
            fs::read_dir(place.join("node_modules/a")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["index.js"]);
        assert!(place.join("app-config.yaml").is_file());
    }

    #[test]
    fn requests_are_counted_and_messages_are_kept() {
        let mut requests = Requests { done: 0 };
        assert!(requests.take("npm http fetch GET 200 https://registry.example/a 12ms (cache miss)"));
        assert!(requests.take("npm http fetch GET 200 https://registry.example/a/-/a-1.0.0.tgz 9ms (cache miss)"));
        assert!(!requests.take("npm error code ENOSPC"));
        assert_eq!(requests.done, 2);
    }

    #[tokio::test]
    async fn a_failed_command_is_an_error_with_its_messages() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo news >&2; echo why >&2; exit 3"]);
        let error = run("try", command, |line| line == "news").await.unwrap_err();
        assert_eq!(error.to_string(), "failed to try, exit status: 3:\nwhy");
    }

    #[tokio::test]
    async fn what_a_dropped_command_had_started_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let mut command = Command::new("/bin/sh");
        // The shell waits for a child of its own, as npm does for a compiler.
        command.args(["-c", "sleep 600 & echo $! > pid.new; mv pid.new pid; wait"]).current_dir(directory.path());
        let stop = async {
            credence_watch::wait::poll("the child", Duration::from_secs(10), Duration::from_millis(10), || async {
                match fs::read_to_string(&file) {
                    Ok(text) => credence_watch::wait::Progress::Done(text.trim().parse::<u32>().unwrap()),
                    Err(error) => credence_watch::wait::Progress::NotYet(error.to_string()),
                }
            })
            .await
        };
        let child = tokio::select! {
            ended = run("wait", command, |_| false) => panic!("{ended:?}"),
            child = stop => child.unwrap(),
        };
        credence_watch::wait::poll("its end", Duration::from_secs(10), Duration::from_millis(10), || async {
            // A zombie without a parent is reaped by init at some time; it runs no more.
            let state = fs::read_to_string(format!("/proc/{child}/stat"));
            match state {
                Ok(stat) if !stat.contains(") Z ") => credence_watch::wait::Progress::NotYet(stat),
                _ => credence_watch::wait::Progress::Done(()),
            }
        })
        .await
        .unwrap();
    }
}
