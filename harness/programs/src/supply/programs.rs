//! Programs that are there, with what they say of themselves if they are the user's own.

use std::collections::BTreeMap;
use std::io;
use std::path::{self, Path, PathBuf};
use std::time::Instant;

use rustix::fs::Access;

use super::cache::Stored;
use super::self_report::SelfReport;
use super::{ComponentError, Origin, Part, Providers, Step};

/// The version of a program that does not say one.
pub const UNKNOWN: &str = "unknown";

/// A program that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    path: PathBuf,
    origin: Origin,
    said: SelfReport,
}

impl Program {
    /// A path of the user's own, if it can be run.
    pub(super) async fn overriding(part: Part, path: &Path) -> Result<Self, ComponentError> {
        let refused = |source| ComponentError::Given { part, path: path.to_owned(), source };
        let path = path::absolute(path).map_err(refused)?;
        if path.metadata().map_err(refused)?.is_dir() {
            return Err(refused(io::ErrorKind::IsADirectory.into()));
        }
        rustix::fs::access(&path, Access::EXEC_OK).map_err(io::Error::from).map_err(refused)?;
        let said = SelfReport::by(part, &path).await?;
        Ok(Self { path, origin: Origin::Given, said })
    }

    /// A program that was taken out of an image of the user's own.
    pub(super) async fn of_image(part: Part, path: PathBuf, reference: String) -> Result<Self, ComponentError> {
        let said = SelfReport::by(part, &path).await?;
        Ok(Self { path, origin: Origin::Image { reference }, said })
    }

    /// A program of the cache, which is of the pinned version.
    pub(super) fn of(part: Part, stored: Stored) -> Self {
        let said = SelfReport { version: Some(part.version().to_owned()), providers: None };
        Self { path: stored.path, origin: stored.record.origin, said }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its version as it says it.
    pub(super) fn version(&self) -> Option<&str> {
        self.said.version.as_deref()
    }

    pub(super) fn ready(&self, start: Instant) -> Step {
        Step::Ready { path: self.path.clone(), from: self.origin.clone(), took: start.elapsed() }
    }
}

/// The programs that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    all: BTreeMap<Part, Program>,
    providers: Providers,
}

impl Programs {
    pub(super) fn new(all: BTreeMap<Part, Program>, providers: Providers) -> Self {
        Self { all, providers }
    }

    /// The executable, an absolute path.
    ///
    /// # Panics
    /// When `part` was not asked for.
    pub fn path(&self, part: Part) -> &Path {
        &self.all[&part].path
    }

    /// Its origin.
    ///
    /// # Panics
    /// When `part` was not asked for.
    pub fn origin(&self, part: Part) -> &Origin {
        &self.all[&part].origin
    }

    /// Its version, without a leading `v`: of one that the user gives as it says it, which may be [`UNKNOWN`].
    ///
    /// # Panics
    /// When `part` was not asked for.
    pub fn version(&self, part: Part) -> &str {
        self.all[&part].version().unwrap_or(UNKNOWN)
    }

    /// True if a program is the user's own.
    ///
    /// # Panics
    /// When `part` was not asked for.
    pub fn is_given(&self, part: Part) -> bool {
        matches!(self.origin(part), Origin::Given | Origin::Image { .. })
    }

    /// Adds programs that were obtained later, whose entries win.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Self>) {
        others.into_iter().for_each(|other| self.all.extend(other.all));
    }

    /// The store providers of External Secrets Operator, if it was asked for and they are known. An official release has them
    /// all; a program of the user's own may say.
    pub fn providers(&self) -> Option<String> {
        let program = self.all.get(&Part::ExternalSecrets)?;
        match program.origin {
            Origin::Given | Origin::Image { .. } => program.said.providers.clone(),
            Origin::Release { .. } => Some(Providers::All.describe()),
            Origin::Build => Some(self.providers.describe()),
        }
    }
}
