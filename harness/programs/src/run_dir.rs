//! One directory for each run: its owner holds a lock on it, so a run that died is told from one that lives.

use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_core::text::chain;

use crate::process::{self, Process};

/// File in a run directory on which the owner holds an exclusive lock for as long as it lives.
const LOCK: &str = "lock";
/// File that lists the children of the run: one line each, `PID START-TICKS NAME`.
const CHILDREN: &str = "children";

/// Error of a run directory.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RunDirError(FileError);

impl From<FileError> for RunDirError {
    fn from(error: FileError) -> Self {
        Self(error.ending("; choose another state directory with CREDENCE_STATE"))
    }
}

fn failed(act: &'static str, path: &Path) -> impl Fn(io::Error) -> RunDirError + use<> {
    FileError::of(act, path)
}

/// Removes what a run has made outside its directory, such as containers.
pub(crate) type Clear = fn(&Path) -> Result<(), ClearError>;

/// Why something is left that a run made outside its directory. It reads as its reason does.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ClearError(Box<dyn Error + Send + Sync>);

impl ClearError {
    /// An error for this reason.
    pub fn new(reason: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(reason))
    }
}

/// The directory of a run that is alive. Removed when dropped, unless kept.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
    clear: Clear,
    keep: bool,
}

impl RunDir {
    /// Makes `STATE/runs/NAME` and locks it. At its end, `clear` removes what the run has made outside it.
    ///
    /// # Errors
    /// When the directory cannot be made or written.
    pub fn create(state: &Path, name: &str, clear: Clear) -> Result<Self, RunDirError> {
        let _all = lock_all(state)?;
        let path = state.join("runs").join(name);
        fs::create_dir_all(&path).map_err(failed("create the run directory", &path))?;
        let file = path.join(LOCK);
        // Emptied only once it is ours: until then it holds the signature of its owner.
        let open = File::options().write(true).create(true).truncate(false).open(&file);
        let mut lock = open.map_err(failed("create", &file))?;
        lock.try_lock().map_err(io::Error::from).map_err(failed("lock", &file))?;
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(failed("write", &file))?;
        Ok(Self { path, _lock: lock, clear, keep: false })
    }

    /// Path of the directory, which is there for this process alone.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory in place when the run ends, for a person to look at. The next sweep removes it.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Writes down a child, so that a later sweep can end it should this process die with no time to do so.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn record(&self, process: &Process) -> Result<(), RunDirError> {
        let file = self.path.join(CHILDREN);
        let Some(ticks) = process::start_ticks(process.pid()) else { return Ok(()) };
        File::options()
            .create(true)
            .append(true)
            .open(&file)
            .and_then(|mut list| writeln!(list, "{} {ticks} {}", process.pid(), process.name()))
            .map_err(failed("write", &file))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        match (self.clear)(&self.path) {
            // A directory that cannot be removed now is removed by the next sweep.
            Ok(()) if !self.keep => drop(remove(&self.path)),
            Ok(()) => {}
            Err(why) => {
                let why = chain(&why);
                eprintln!("credence: {why}; it is written down in {} for the next run", self.path.display());
            }
        }
    }
}

/// Process id of the owner of a run directory, as it signed its lock; whether it lives, only [`sweep`] can tell.
pub fn owner(run: &Path) -> Option<u32> {
    fs::read_to_string(run.join(LOCK)).ok()?.trim().parse().ok()
}

/// Run directories that a sweep came upon.
#[derive(Debug, Default)]
pub struct Swept {
    /// Directories of dead runs, now removed.
    pub removed: Vec<PathBuf>,
    /// Directories whose run is alive.
    pub alive: Vec<PathBuf>,
    /// Directories of dead runs that have left something which cannot be removed now, and why.
    pub left: Vec<(PathBuf, ClearError)>,
}

/// Ends what dead runs left behind and removes their directories; `clear` removes what they made outside them. Runs that
/// are alive are not touched.
///
/// # Errors
/// When the state directory cannot be read. A directory that cannot be removed is left for the next sweep.
pub fn sweep(state: &Path, clear: Clear) -> Result<Swept, RunDirError> {
    let runs = state.join("runs");
    let mut swept = Swept::default();
    if !runs.exists() {
        return Ok(swept);
    }
    let _all = lock_all(state)?;
    let entries = match fs::read_dir(&runs) {
        Ok(entries) => entries,
        Err(error) => return Err(failed("read", &runs)(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed("read", &runs))?.path();
        let lock = File::options().write(true).open(path.join(LOCK));
        match lock.map(|file| (file.try_lock(), file)) {
            Ok((Err(TryLockError::WouldBlock), _)) => swept.alive.push(path),
            _ => {
                end_children(&path);
                match clear(&path) {
                    Ok(()) if remove(&path).is_ok() => swept.removed.push(path),
                    Ok(()) => {}
                    Err(why) => swept.left.push((path, why)),
                }
            }
        }
    }
    swept.removed.sort();
    swept.alive.sort();
    Ok(swept)
}

/// Held while a run directory is made or swept: between the two, a new one has no lock of its own yet.
fn lock_all(state: &Path) -> Result<File, RunDirError> {
    fs::create_dir_all(state).map_err(failed("create", state))?;
    let path = state.join("runs.lock");
    let file = File::create(&path).map_err(failed("create", &path))?;
    file.lock().map_err(failed("lock", &path))?;
    Ok(file)
}

/// Removes a directory, also where a program has closed directories in it to their owner, as Argo CD does.
fn remove(path: &Path) -> io::Result<()> {
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    open_up(path)?;
    fs::remove_dir_all(path)
}

/// Lets the owner into a directory and all below it.
fn open_up(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Links are not followed.
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

fn end_children(run: &Path) {
    let list = fs::read_to_string(run.join(CHILDREN)).unwrap_or_default();
    for line in list.lines() {
        let mut words = line.split(' ');
        let (pid, ticks) = (words.next().map(str::parse), words.next().map(str::parse));
        if let (Some(Ok(pid)), Some(Ok(ticks))) = (pid, ticks) {
            process::kill_same(pid, ticks);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::process::Program;

    fn nothing_outside(_run: &Path) -> Result<(), ClearError> {
        Ok(())
    }

    #[test]
    fn a_living_run_is_not_swept() {
        let state = tempfile::tempdir().unwrap();
        let run = RunDir::create(state.path(), "a", nothing_outside).unwrap();
        let swept = sweep(state.path(), nothing_outside).unwrap();
        assert_eq!((swept.alive, swept.removed.len(), swept.left.len()), (vec![run.path().to_owned()], 0, 0));
        assert_eq!(owner(run.path()), Some(std::process::id()));
    }

    #[tokio::test]
    async fn a_dead_run_is_removed_and_its_children_end() {
        let state = tempfile::tempdir().unwrap();
        let mut run = RunDir::create(state.path(), "a", nothing_outside).unwrap();
        let program = Program {
            name: "sleeper".into(),
            executable: "/bin/sleep".into(),
            arguments: vec!["600".into()],
            environment: BTreeMap::new(),
            log: run.path().join("log"),
        };
        let process = Process::start(&program).unwrap();
        run.record(&process).unwrap();
        let path = run.path().to_owned();
        run.keep();
        drop(run);
        assert_eq!(sweep(state.path(), nothing_outside).unwrap().removed, vec![path.clone()]);
        assert_eq!(process.ended().await.signal(), Some(9));
        assert!(!path.exists());
    }

    #[test]
    fn a_run_that_leaves_something_outside_its_directory_keeps_the_directory_and_says_why() {
        let state = tempfile::tempdir().unwrap();
        drop(RunDir::create(state.path(), "a", |_| Err(ClearError::new(io::Error::other("busy")))).unwrap());
        let swept = sweep(state.path(), |_| Err(ClearError::new(io::Error::other("still busy")))).unwrap();
        let left: Vec<String> = swept.left.iter().map(|(_, why)| chain(why)).collect();
        assert_eq!((swept.removed.len(), left), (0, vec!["still busy".to_owned()]));
    }

    #[test]
    fn directories_that_their_owner_may_not_enter_are_removed_with_the_run() {
        let state = tempfile::tempdir().unwrap();
        let run = RunDir::create(state.path(), "a", nothing_outside).unwrap();
        let closed = run.path().join("clones/a");
        fs::create_dir_all(closed.join("b")).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        let path = run.path().to_owned();
        drop(run);
        assert!(!path.exists());
    }

    #[test]
    fn a_state_directory_that_is_a_file_is_an_error_that_names_it() {
        let state = tempfile::NamedTempFile::new().unwrap();
        let error = RunDir::create(state.path(), "a", nothing_outside).unwrap_err();
        assert!(error.to_string().contains(&state.path().display().to_string()), "{error}");
    }
}
