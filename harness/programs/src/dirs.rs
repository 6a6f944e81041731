//! Directories of the user's files: those that can be had again (cache) and those that belong to runs (state).

use std::env;
use std::ffi::OsString;
use std::path::{self, PathBuf};

/// A directory could not be chosen.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum DirsError {
    /// None of the variables that lead to the directory is set.
    #[error("failed to choose the {kind} directory: neither {variable} nor HOME is set to a path")]
    NoHome {
        kind: &'static str,
        /// credence's own variable for it.
        variable: &'static str,
    },
    /// The relative path in the variable cannot be completed.
    #[error("failed to make the path {path} in {variable} absolute")]
    Relative {
        variable: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// One of the two directories, by the names of the variables that choose it.
struct DirectoryKind {
    name: &'static str,
    own: &'static str,
    xdg: &'static str,
    below_home: &'static str,
}

const CACHE: DirectoryKind =
    DirectoryKind { name: "cache", own: "CREDENCE_CACHE", xdg: "XDG_CACHE_HOME", below_home: ".cache" };
const STATE: DirectoryKind =
    DirectoryKind { name: "state", own: "CREDENCE_STATE", xdg: "XDG_STATE_HOME", below_home: ".local/state" };

/// `$CREDENCE_CACHE`, else `$XDG_CACHE_HOME/credence`, else `~/.cache/credence`. Always absolute; not created.
///
/// # Errors
/// When none of the variables is set.
pub fn cache() -> Result<PathBuf, DirsError> {
    choose(&CACHE, |name| env::var_os(name))
}

/// `$CREDENCE_STATE`, else `$XDG_STATE_HOME/credence`, else `~/.local/state/credence`. Always absolute; not created.
///
/// # Errors
/// When none of the variables is set.
pub fn state() -> Result<PathBuf, DirsError> {
    choose(&STATE, |name| env::var_os(name))
}

fn choose(kind: &DirectoryKind, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, DirsError> {
    let value = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(own) = value(kind.own) {
        return path::absolute(&own).map_err(|source| DirsError::Relative { variable: kind.own, path: own, source });
    }
    // The XDG base directory specification says to ignore a relative path; HOME gets the same treatment.
    let absolute = |name| value(name).filter(|path: &PathBuf| path.is_absolute());
    absolute(kind.xdg)
        .or_else(|| absolute("HOME").map(|home| home.join(kind.below_home)))
        .map(|base| base.join("credence"))
        .ok_or(DirsError::NoHome { kind: kind.name, variable: kind.own })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::own_variable_wins(&[("CREDENCE_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")], "/a")]
    #[case::then_xdg(&[("XDG_CACHE_HOME", "/b"), ("HOME", "/c")], "/b/credence")]
    #[case::then_home(&[("HOME", "/c")], "/c/.cache/credence")]
    #[case::empty_is_unset(&[("CREDENCE_CACHE", ""), ("XDG_CACHE_HOME", ""), ("HOME", "/c")], "/c/.cache/credence")]
    #[case::relative_xdg_is_ignored(&[("XDG_CACHE_HOME", "b"), ("HOME", "/c")], "/c/.cache/credence")]
    fn cache_directory_follows_the_variables(#[case] set: &[(&str, &str)], #[case] expected: &str) {
        let found = choose(&CACHE, |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()));
        assert_eq!(found.unwrap(), Path::new(expected));
    }

    #[test]
    fn state_directory_is_below_local_state() {
        let found = choose(&STATE, |name| (name == "HOME").then(|| "/c".into()));
        assert_eq!(found.unwrap(), Path::new("/c/.local/state/credence"));
    }

    #[test]
    fn own_variable_may_be_relative() {
        let found = choose(&CACHE, |name| (name == "CREDENCE_CACHE").then(|| "a".into())).unwrap();
        assert_eq!(found, env::current_dir().unwrap().join("a"));
    }

    #[test]
    fn no_home_is_an_error_that_names_the_variable() {
        let error = choose(&CACHE, |_| None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to choose the cache directory: neither CREDENCE_CACHE nor HOME is set to a path"
        );
    }
}
