//! Commands in shell that stand for an engine in tests.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Engine, EngineError};
use crate::process::test_program;

/// A command that answers `--version` and then does what it is made for, in shell, with a directory of its own.
pub struct Fake {
    directory: TempDir,
}

impl Fake {
    /// A fake engine that reports `name` as its version.
    pub fn new(name: &str, act: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then echo '{name}'; exit; fi\ncd '{}' || exit\n{act}\n",
            directory.path().display()
        );
        test_program::write(&directory.path().join("engine"), &script);
        Self { directory }
    }

    /// A Docker, whose daemon `act` has to answer for.
    pub fn docker(act: &str) -> Self {
        Self::new("Docker version 28.2.2, build e6534b4", act)
    }

    /// A Docker that can be used; `act` is for all but its version.
    pub fn usable(act: &str) -> Self {
        let version = r#"{"Client":{"Version":"28.2.2"},"Server":{"Version":"28.2.2","ApiVersion":"1.50"}}"#;
        Self::docker(&format!("if [ \"$1\" = version ]; then echo '{version}'; exit; fi\n{act}"))
    }

    /// Path of the script that stands for the engine's command.
    pub fn command(&self) -> PathBuf {
        self.directory.path().join("engine")
    }

    /// Its working directory, where its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Finds it as an engine of the user's choice.
    ///
    /// # Errors
    /// When it does not pass for an engine.
    pub async fn find(&self) -> Result<Engine, EngineError> {
        Engine::find(Some(&self.command())).await
    }
}
