//! Searching files for credential values.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_core::leak_scan::LeakScan;

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// A file that holds values, and which, in words that do not show them.
pub(crate) type LeakingFile = (PathBuf, Vec<String>);

/// Searches all files below `directory`, apart from the directories whose paths end with one of `left_out`. Symbolic
/// links are not followed, and what goes away meanwhile is passed over.
///
/// # Errors
/// When a file or directory cannot be read.
pub fn search_directory(scan: &LeakScan, directory: &Path, left_out: &[&str]) -> Result<Vec<LeakingFile>, FileError> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let Some(entries) = unless_gone(&directory, fs::read_dir(&directory))? else { continue };
        for entry in entries {
            let Some(entry) = unless_gone(&directory, entry)? else { continue };
            let path = entry.path();
            match unless_gone(&path, entry.file_type())? {
                Some(kind) if kind.is_dir() && left_out.iter().any(|own| path.ends_with(own)) => {}
                Some(kind) if kind.is_dir() => open.push(path),
                Some(kind) if kind.is_file() => found.extend(search_file(scan, path)?),
                // A symbolic link, a socket, or gone.
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Searches the command lines of all processes of this machine.
///
/// # Errors
/// When the command line of a process cannot be read.
pub fn search_command_lines(scan: &LeakScan) -> Result<Vec<LeakingFile>, FileError> {
    let processes = Path::new("/proc");
    let mut found = Vec::new();
    for process in unless_gone(processes, fs::read_dir(processes))?.into_iter().flatten().flatten() {
        let is_process = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if is_process {
            found.extend(search_file(scan, process.path().join("cmdline"))?);
        }
    }
    Ok(found)
}

fn search_file(scan: &LeakScan, path: PathBuf) -> Result<Option<LeakingFile>, FileError> {
    let Some(file) = unless_gone(&path, File::open(&path))? else { return Ok(None) };
    let found = unless_gone(&path, search(scan, file))?.unwrap_or_default();
    Ok((!found.is_empty()).then_some((path, found)))
}

/// The values in what `reader` gives, in words that do not show them.
fn search(scan: &LeakScan, mut reader: impl Read) -> io::Result<Vec<String>> {
    let (mut search, mut chunk) = (scan.search(), vec![0; CHUNK]);
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(search.found().iter().map(ToString::to_string).collect()),
            Ok(length) => search.push(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Passes over what goes away while it is looked at: it holds nothing any more; a process that has ended says ESRCH.
fn unless_gone<T>(path: &Path, result: io::Result<T>) -> Result<Option<T>, FileError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => Ok(None),
        Err(source) => Err(FileError::new("search", path, source)),
    }
}

/// No such process (errno(3)).
const ESRCH: i32 = 3;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use credence_core::credential::Credential;
    use rstest::rstest;

    use super::*;

    fn scan(value: &Credential) -> LeakScan {
        LeakScan::labelled([("it".to_owned(), value)]).unwrap()
    }

    #[rstest]
    fn a_value_is_found_wherever_chunks_end(#[values(0, 1, 16, 31, 32)] of_it_in_the_first: usize) {
        let value = Credential::random();
        let before = vec![b'.'; CHUNK - of_it_in_the_first];
        let text = [&before, value.expose(), &before].concat();
        assert_eq!(search(&scan(&value), &text[..]).unwrap(), ["it in plain"]);
        assert_eq!(search(&scan(&value), &before[..]).unwrap(), <[String; 0]>::default());
    }

    #[test]
    fn a_file_is_found_below_any_directory_that_is_not_left_out() {
        let (value, root) = (Credential::random(), tempfile::tempdir().unwrap());
        for directory in ["a/b", "a/own"] {
            let directory = root.path().join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("file"), value.expose()).unwrap();
            fs::write(directory.join("other"), "nothing").unwrap();
        }
        let found = search_directory(&scan(&value), root.path(), &["a/own"]).unwrap();
        assert_eq!(found, [(root.path().join("a/b/file"), vec!["it in plain".to_owned()])]);
        assert_eq!(search_directory(&scan(&value), &root.path().join("absent"), &[]).unwrap(), []);
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_no_empty_one() {
        let root = tempfile::NamedTempFile::new().unwrap();
        let error = search_directory(&scan(&Credential::random()), root.path(), &[]).unwrap_err();
        assert!(error.to_string().starts_with("failed to search /"), "{error}");
    }

    #[test]
    fn a_value_in_a_command_line_is_found() {
        let value = Credential::random();
        // `cat` waits for its input to end, and as it is not the last command, the shell stays with its arguments.
        let mut program = Command::new("sh")
            .args(["-c", "echo; cat; true", value.expose_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The kernel lets a parent go on before the command line of its child can be read.
        program.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let found = search_command_lines(&scan(&value)).unwrap();
        drop(program.stdin.take());
        program.wait().unwrap();
        assert!(found.iter().any(|(path, _)| path.ends_with(format!("{}/cmdline", program.id()))), "{found:?}");
    }
}
