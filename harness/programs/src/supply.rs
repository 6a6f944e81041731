//! The upstream programs that credence runs: where they come from and how they get into the cache.
//!
//! In this order: a path the user gives, the cache, an official release, `go build` of the pinned module. The pins are
//! `components/NAME/{go.mod,go.sum}`, embedded so that credence works without its source tree.
//!
//! Invariants: only complete programs are found in the cache, as each is put there by one rename; a download that is
//! not what its publisher lists is never run; credence processes that want the same module wait for each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::process::priority::Priority;

mod assets;
mod build;
mod build_info;
mod cache;
mod compiler;
mod digest;
mod download;
mod error;
mod examine;
mod go;
mod image;
mod lock;
mod module;
mod operator_image;
mod packages;
mod part;
mod programs;
mod progress;
mod provider_set;
mod providers;
mod reduced_module;
mod release;
mod self_report;
mod space;
#[cfg(test)]
mod tests;
mod user_kargo;
mod user_programs;
mod vault;

pub(crate) use assets::kind_assets;
pub use assets::{argo_cd_assets, external_secrets_assets, flux_assets, gitea_assets};
pub use build_info::BuildInfoError;
pub use error::ComponentError;
pub use examine::{Cost, Finding, State, Subject, examine};
pub use lock::Lock;
pub use part::Part;
pub use programs::{Programs, UNKNOWN};
pub use progress::{BarProgress, PlainProgress};
pub use provider_set::Providers;
pub use space::{check as check_space, free as free_space};
pub use user_kargo::UserKargo;
pub use user_programs::UserPrograms;

#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::build_info::testing::write as write_built_program;
}

use cache::{Cache, Stored};
use download::{Downloads, Failure};
use go::Go;
use image::PublishedImage;
use module::Module;
use programs::Program;
use release::Release;

/// Time that a module registry may say nothing, by default: long enough for the largest module on a slow line.
const PATIENCE: Duration = Duration::from_secs(600);

/// Sources of what is in neither the given paths nor the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// A release where there is one, else a build.
    #[default]
    Any,
    /// Official releases only; nothing is built.
    Release,
    /// Builds only; no release host is contacted.
    Build,
}

/// Choices by which programs are obtained, and where they are kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cache, see [`crate::dirs::cache`].
    pub cache: PathBuf,
    /// Programs of the user's own, used as they are.
    pub overrides: BTreeMap<Part, PathBuf>,
    /// The image that the user's own External Secrets Operator is taken out of, unless its program is given.
    pub operator_image: Option<String>,
    /// The chart of the user's own External Secrets Operator: a directory, or a package.
    pub operator_chart: Option<PathBuf>,
    /// Kargo, if the user has it: it is no part, as it cannot be obtained.
    pub kargo: Option<UserKargo>,
    /// Sources from which missing parts may be obtained.
    pub source: Source,
    /// Takes the place of scheme and host of every release, for sites without the internet.
    pub mirror: Option<String>,
    /// Name or path of the Go command.
    pub go: PathBuf,
    /// Providers that External Secrets Operator is built with, if it is built.
    pub providers: Providers,
    /// Share of the processors that builds may take.
    pub priority: Priority,
    /// Time that a module registry may say nothing before a download of sources is given up; release hosts are given up
    /// sooner, as a build does without them.
    pub patience: Duration,
    /// Answers of the user's own programs about themselves so far.
    pub user_programs: UserPrograms,
}

impl Options {
    /// Nothing given, any source, no mirror, `go` from the `PATH`, and the providers that are used.
    pub fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            overrides: BTreeMap::new(),
            operator_image: None,
            operator_chart: None,
            kargo: None,
            source: Source::Any,
            mirror: None,
            go: PathBuf::from("go"),
            providers: Providers::default(),
            priority: Priority::default(),
            patience: PATIENCE,
            user_programs: UserPrograms::default(),
        }
    }

    /// Takes `program` for External Secrets Operator, and the `esoctl` beside it, if there is one, unless another is given: it
    /// renders templates as that version does.
    pub fn with_operator(mut self, program: &Path) -> Self {
        self.overrides.insert(Part::ExternalSecrets, program.to_owned());
        let beside = program.with_file_name(Part::Esoctl.name());
        if beside.is_file() {
            self.overrides.entry(Part::Esoctl).or_insert(beside);
        }
        self
    }
}

/// Way in which a program was come by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A path of the user's own.
    Given,
    /// An image that the user names.
    Image {
        /// Name and digest of the image.
        reference: String,
    },
    /// A release of the publisher, as it is downloaded.
    Release {
        /// Address that it was downloaded from.
        url: String,
    },
    /// `go build` of the pin on this machine.
    Build,
}

/// Act that is under way for a part.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Another process obtains the same program into the same cache.
    Waiting {
        /// Its id, once it has written it down.
        holder: Option<u32>,
    },
    /// It waits for this process to build another part, as each build uses all cores.
    Queued,
    /// A release is being downloaded.
    Downloading {
        /// Bytes that have arrived so far.
        received: u64,
        /// Bytes in all, if the server says.
        total: Option<u64>,
    },
    /// The download is being compared with its checksum.
    Verifying,
    /// `go build` downloads sources or compiles.
    Building {
        /// Package or module that Go is busy with, and how far it is.
        what: String,
    },
    /// The program can be started.
    Ready {
        /// The program, in the cache or where the user has it.
        path: PathBuf,
        /// Its origin, now or when it was put into the cache.
        from: Origin,
        /// Time since it was asked for.
        took: Duration,
    },
}

/// Told of every step. Calls come at any rate; drawing must not block.
pub trait Progress: Send + Sync {
    /// `part` is now at `step`.
    fn step(&self, part: Part, step: &Step);

    /// Something worth a line beside the steps.
    fn note(&self, text: &str);
}

/// Obtains all of `parts`, or fails with the first that cannot be had.
///
/// Modules are downloaded side by side and built one after the other. When this is dropped, running builds are killed
/// and go on where they were the next time.
///
/// # Errors
/// When a given path is no program, the cache cannot be used, or a part can be had neither way; see
/// [`ComponentError`].
pub async fn obtain(options: &Options, parts: &[Part], progress: &dyn Progress) -> Result<Programs, ComponentError> {
    let start = Instant::now();
    let cache = Cache::of(options)?;
    let mut programs = BTreeMap::new();
    let mut missing: BTreeMap<Module, Vec<Part>> = BTreeMap::new();
    for part in Part::ALL.into_iter().filter(|part| parts.contains(part)) {
        let program = match (options.overrides.get(&part), &options.operator_image) {
            (Some(path), _) => Some(options.user_programs.once(part, path, Program::overriding(part, path)).await?),
            (None, Some(image)) if part == Part::ExternalSecrets => {
                let program = operator_image::obtain(&cache, image, progress);
                Some(options.user_programs.once(part, image, program).await?)
            }
            (None, _) => cache.find(part).map(|stored| Program::of(part, stored)),
        };
        match program {
            Some(program) => {
                progress.step(part, &program.ready(start));
                programs.insert(part, program);
            }
            None => missing.entry(part.module()).or_default().push(part),
        }
    }
    if !missing.is_empty() {
        cache.prepare()?;
        let job = Job {
            options,
            cache,
            progress,
            start,
            downloads: Downloads::new(options.patience),
            building: Mutex::new(()),
        };
        let modules = missing.iter().map(|(&module, parts)| job.module(module, parts));
        programs.extend(try_join_all(modules).await?.into_iter().flatten());
    }
    Ok(Programs::new(programs, options.providers))
}

/// Identity of a part's program: the digest of one that the user gives, else the pin.
pub fn identity(options: &Options, part: Part) -> Result<String, ComponentError> {
    match options.overrides.get(&part) {
        Some(path) => digest::sha256(path)
            .map(|(digest, _)| format!("sha256:{digest}"))
            .map_err(|source| ComponentError::Given { part, path: path.clone(), source }),
        None => Ok(part.pin() + &options.providers.suffix(part.module())),
    }
}

struct Job<'a> {
    options: &'a Options,
    cache: Cache,
    progress: &'a dyn Progress,
    start: Instant,
    downloads: Downloads,
    /// Held by the one build at a time.
    building: Mutex<()>,
}

impl Job<'_> {
    /// Obtains parts of one module under its lock.
    async fn module(&self, module: Module, parts: &[Part]) -> Result<BTreeMap<Part, Program>, ComponentError> {
        let waiting = |holder| self.report(parts, &Step::Waiting { holder });
        let lock = Arc::new(Lock::acquire(&self.cache.lock(module.name()), waiting).await?);
        let mut programs = BTreeMap::new();
        let (mut missing, mut reasons) = (Vec::new(), Vec::new());
        for &part in parts {
            // Another process may have put it there while this one waited.
            let stored = match self.cache.find(part) {
                Some(stored) => Ok(stored),
                None => self.release(part, &lock).await,
            };
            match stored {
                Ok(stored) => drop(programs.insert(part, self.ready(part, stored))),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Unavailable(reason)) if self.options.source == Source::Release => {
                    return Err(ComponentError::Release { part, reason });
                }
                Err(Failure::Unavailable(reason)) => {
                    missing.push(part);
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
        }
        if missing.is_empty() {
            return Ok(programs);
        }
        // Soon wanted as well, and a build of its own would look through all packages of the module again.
        let along = Part::TEMPLATES.into_iter().filter(|part| part.module() == module && !parts.contains(part));
        missing.extend(along.filter(|&part| self.cache.find(part).is_none()));
        let built = self.build(module, &missing, &lock).await.map_err(|source| match self.options.source {
            Source::Any => ComponentError::Unobtainable {
                parts: list(&missing),
                release: reasons.join("; "),
                source: Box::new(source),
            },
            Source::Release | Source::Build => source,
        })?;
        programs.extend(built);
        Ok(programs)
    }

    /// Downloads a part, if it is published and releases are wanted.
    async fn release(&self, part: Part, lock: &Arc<Lock>) -> Result<Stored, Failure> {
        if self.options.source == Source::Build {
            return Err(Failure::Unavailable("not wanted".to_owned()));
        }
        let (mirror, report) = (self.options.mirror.as_deref(), |step: &Step| self.report(&[part], step));
        let (program, origin) = match PublishedImage::of(part, mirror)? {
            Some(image) => image.fetch(&self.cache, lock, &report).await?,
            None => Release::here(part, mirror)?.fetch(&self.downloads, &self.cache, lock, &report).await?,
        };
        Ok(self.put(part, program, origin, lock).await?)
    }

    async fn build(
        &self,
        module: Module,
        parts: &[Part],
        lock: &Arc<Lock>,
    ) -> Result<BTreeMap<Part, Program>, ComponentError> {
        let go = Go::find(&self.options.go, module).await?.at(self.options.priority).patient(self.options.patience);
        let report = |step: &Step| self.report(parts, step);
        let sources = build::prepare(&go, &self.cache, module, parts, &report).await?;
        let _turn = match self.building.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                report(&Step::Queued);
                self.building.lock().await
            }
        };
        let made = build::build(&go, &self.cache, &sources, &report).await?;
        let mut programs = BTreeMap::new();
        for &part in parts {
            let stored = self.put(part, made.path().join(part.built_name()), Origin::Build, lock).await?;
            programs.insert(part, self.ready(part, stored));
        }
        Ok(programs)
    }

    async fn put(
        &self,
        part: Part,
        program: PathBuf,
        origin: Origin,
        lock: &Arc<Lock>,
    ) -> Result<Stored, ComponentError> {
        let (cache, took) = (self.cache.clone(), self.start.elapsed());
        lock.during(move || cache.put(part, &program, origin, took)).await
    }

    fn ready(&self, part: Part, stored: Stored) -> Program {
        let program = Program::of(part, stored);
        self.report(&[part], &program.ready(self.start));
        program
    }

    fn report(&self, parts: &[Part], step: &Step) {
        for &part in parts {
            self.progress.step(part, step);
        }
    }
}

/// The names of parts, for a message.
fn list(parts: &[Part]) -> String {
    parts.iter().map(|part| part.name()).collect::<Vec<_>>().join(" and ")
}
