//! Errors on the way through a tree of directories.

use std::io;

/// The cause of an error of a walk, without the path, which [`FileError`](credence_core::file_error::FileError) names.
pub(crate) fn cause(error: walkdir::Error) -> io::Error {
    // A walk fails for what the operating system says, or because it would never end.
    error.into_io_error().unwrap_or_else(|| io::Error::other("a symbolic link leads back to a directory above it"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use walkdir::WalkDir;

    use super::*;

    fn first_error(walk: WalkDir) -> io::Error {
        cause(walk.into_iter().find_map(Result::err).unwrap())
    }

    #[test]
    fn the_cause_is_what_the_operating_system_says_and_names_no_path() {
        let directory = tempfile::tempdir().unwrap();
        let error = first_error(WalkDir::new(directory.path().join("absent")));
        assert_eq!(error.to_string(), io::Error::from_raw_os_error(2).to_string());
        symlink(directory.path(), directory.path().join("back")).unwrap();
        let error = first_error(WalkDir::new(directory.path()).follow_links(true));
        assert_eq!(error.to_string(), "a symbolic link leads back to a directory above it");
    }
}
