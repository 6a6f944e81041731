//! The cases in `fixtures/cases`, with the answers that are right.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A configuration that somebody had.
#[derive(Debug)]
pub(crate) struct Case {
    /// The name of its directory.
    pub(crate) name: String,
    /// The configuration.
    pub(crate) config: PathBuf,
    pub(crate) lint: Lint,
    pub(crate) run: Run,
}

/// Answer that is due of `credence lint`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lint {
    /// The exit code.
    pub(crate) exit: i32,
    /// Texts that it shows.
    pub(crate) shows: Vec<String>,
}

/// Answer that is due of `credence run`: a refusal, or a verdict for each of these properties.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// True if it refuses the configuration as lint does.
    #[serde(default)]
    pub(crate) refused: bool,
    /// Properties that hold.
    #[serde(default)]
    pub(crate) held: Vec<String>,
    /// Properties that have nothing to test.
    #[serde(default)]
    pub(crate) skipped: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lint: Lint,
    run: Run,
}

/// Every case, by name.
pub(crate) fn all() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/cases");
    let directory = directory.canonicalize().expect("fixtures/cases is there");
    let entries = std::fs::read_dir(&directory).expect("can be listed");
    let mut cases: Vec<Case> = entries.map(|entry| read(&entry.expect("can be listed").path())).collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

fn read(path: &Path) -> Case {
    let file = path.join("case.toml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let File { lint, run } = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let is_tried = !run.held.is_empty() || !run.skipped.is_empty();
    assert!(run.refused != is_tried, "{}: a run is refused, or something is tried", file.display());
    assert!(run.refused == (lint.exit == 3), "{}: a run refuses what lint refuses", file.display());
    assert!(matches!(lint.exit, 0 | 1 | 3) && !lint.shows.is_empty(), "{}: {lint:?}", file.display());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Case { name, config: path.join("config"), lint, run }
}
