//! Reports as files: first those that say that a run has not finished, and then the real ones in their place.

use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_report::report::{EncodeError, Report, Unfinished, WRITERS, Writer};

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The directory or a file of it cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A format cannot hold it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Paths that a report was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The directory that was asked for, made if it was not there.
    pub directory: PathBuf,
    /// Its files, one for each format.
    pub files: Vec<PathBuf>,
}

/// Writes the report in every format into `directory`, which is created if need be; a reader never sees half a file.
///
/// # Errors
/// If a format cannot be encoded, or the directory or a file cannot be written.
pub fn write(directory: &Path, report: &Report) -> Result<Written, ReportError> {
    write_all(directory, |writer| writer.report(report))
}

/// Replaces the report of a former run in every format: no old success stays behind a run that comes to nothing.
///
/// # Errors
/// As for [`write`].
pub(crate) fn write_unfinished(directory: &Path, run: &Unfinished) -> Result<Written, ReportError> {
    write_all(directory, |writer| writer.unfinished(run))
}

fn write_all(
    directory: &Path,
    encode: impl Fn(&dyn Writer) -> Result<String, EncodeError>,
) -> Result<Written, ReportError> {
    // What cannot be encoded in one format is written in none.
    let encoded = WRITERS.iter().map(|writer| Ok((writer.file_name(), encode(*writer)?)));
    let encoded = encoded.collect::<Result<Vec<_>, EncodeError>>()?;
    create(directory)?;
    let files = encoded.iter().map(|(name, text)| place(directory, name, |partial| std::fs::write(partial, text)));
    Ok(Written { directory: directory.to_owned(), files: files.collect::<Result<_, _>>()? })
}

/// Copies a file beside the report, as `evidence/NAME`: text that holds no credential values.
///
/// # Errors
/// If the directory cannot be made, or the file not be read or written.
pub(crate) fn copy_evidence(directory: &Path, name: &str, file: &Path) -> Result<PathBuf, ReportError> {
    let directory = directory.join("evidence");
    create(&directory)?;
    place(&directory, name, |partial| std::fs::copy(file, partial).map(drop))
}

fn create(directory: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(directory).map_err(FileError::of("create the directory", directory))
}

/// Lets `fill` write a file under another name and renames it: that is atomic within a directory, so whoever reads sees
/// the former file whole or this one.
fn place(
    directory: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result<PathBuf, ReportError> {
    let path = directory.join(name);
    let partial = directory.join(format!(".{name}.partial"));
    fill(&partial)
        .and_then(|()| std::fs::rename(&partial, &path))
        .map_err(FileError::of::<ReportError>("write", &path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use credence_report::report::PropertyReport;
    use credence_report::report::testing::{META, property, record, report, unfinished};
    use credence_report::verdict::Outcome;

    use super::{copy_evidence, write, write_unfinished};

    #[test]
    fn writing_creates_directories_and_replaces_a_former_report() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("a/b");
        write(&out, &report(false, vec![PropertyReport::skipped(&META, "filtered out")])).unwrap();
        let second = report(false, vec![property(&[record(0, Outcome::Held)])]);
        let written = write(&out, &second).unwrap();
        let texts: Vec<_> = written.files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        assert!(texts.iter().all(|text| !text.contains("filtered out")), "{texts:?}");
        let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["junit.xml", "report.html", "report.json"]);
    }

    #[test]
    fn a_run_that_begins_leaves_no_former_success_in_any_format() {
        let directory = tempfile::tempdir().unwrap();
        let green = report(false, vec![property(&[record(0, Outcome::Held)])]);
        let before = write(directory.path(), &green).unwrap();
        let after = write_unfinished(directory.path(), &unfinished()).unwrap();
        assert_eq!(before.files, after.files);
        for file in after.files {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains("unfinished") && !text.contains(META.title), "{}: {text}", file.display());
        }
    }

    #[test]
    fn evidence_is_copied_beside_the_report_and_replaces_that_of_a_former_run() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("requests.jsonl");
        for text in ["a former run", "this run"] {
            fs::write(&file, text).unwrap();
            let copied = copy_evidence(directory.path(), "forge.jsonl", &file).unwrap();
            assert_eq!(fs::read_to_string(&copied).unwrap(), text);
            assert!(copied.ends_with("evidence/forge.jsonl"), "{copied:?}");
        }
    }

    #[test]
    fn a_failed_write_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("junit.xml")).unwrap();
        let error = write(directory.path(), &report(false, vec![])).unwrap_err();
        assert!(error.to_string().ends_with("junit.xml"), "{error}");
    }
}
