//! One process at a time per module: two would compile or download the same thing twice.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::{panic, process, thread};

use credence_core::file_error::FileError;
use tokio::sync::oneshot;

use super::ComponentError;

/// An exclusive lock on a file, let go when dropped or when this process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`. While another process has it, `waiting` is called once with its id.
    pub async fn acquire(path: &Path, waiting: impl FnOnce(Option<u32>)) -> Result<Self, ComponentError> {
        let failed = |act| FileError::of::<ComponentError>(act, path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("make the directory of"))?;
        }
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(failed("open the lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting(holder(&mut file));
                file = wait(file).await.map_err(failed("lock"))?;
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        sign(&mut file).map_err(failed("write the lock"))?;
        Ok(Self { _file: file })
    }

    /// Runs what blocks in another thread, and keeps the lock until it ends even if nobody waits for it any more.
    pub async fn during<T: Send + 'static>(self: &Arc<Self>, act: impl FnOnce() -> T + Send + 'static) -> T {
        let lock = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let result = act();
            drop(lock);
            result
        });
        // Nothing aborts it, so an error is a panic, which goes on here.
        done.await.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
    }
}

/// Blocks in a thread of its own: a runtime that shuts down waits for its own blocking threads, so Ctrl-C would hang.
async fn wait(file: File) -> io::Result<File> {
    let (sender, locked) = oneshot::channel();
    // When nobody waits any more, sending drops the file and with it the lock.
    thread::Builder::new()
        .name("wait-for-lock".to_owned())
        .spawn(move || sender.send(file.lock().map(|()| file)).ok())?;
    locked.await.unwrap_or_else(|_| Err(io::Error::other("the thread that waits for it ended")))
}

/// The process that has the lock; `None` while it has not signed yet.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn second_waits_for_the_first_and_learns_its_process_id() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks/etcd.lock");
        let mut first = Some(Lock::acquire(&path, |_| unreachable!("nobody has it")).await.unwrap());
        let seen = Cell::new(None);
        let second = Lock::acquire(&path, |holder| {
            seen.set(holder);
            drop(first.take());
        });
        second.await.unwrap();
        assert_eq!(seen.get(), Some(process::id()));
    }

    #[tokio::test]
    async fn a_lock_directory_that_cannot_be_made_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().join("locks/etcd.lock");
        let error = Lock::acquire(&path, |_| ()).await.unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}
