//! Inventory of this machine and of what it could obtain, without obtaining it. No host is contacted.

use std::path::Path;

use credence_core::text::{Reason, chain};
use tokio::process::Command;

use super::cache::{self, Cache, Stored};
use super::download::Failure;
use super::go::Go;
use super::image::PublishedImage;
use super::module::Module;
use super::programs::Program;
use super::release::Release;
use super::{Options, Part, Source, UNKNOWN, build, compiler, space};

/// Thing that programs are obtained with, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The cache directory and the room in it.
    Cache,
    /// The Go toolchain, with which parts are built.
    Go,
    /// git, which Go uses for modules where it has no proxy.
    Git,
    /// One of the programs that were asked for.
    Part(Part),
}

/// Readiness of a subject for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It can be used now.
    Present,
    /// It can be obtained, at a cost.
    Obtainable,
    /// It cannot be used and not be obtained as things are.
    Missing,
}

/// Most that it takes to obtain a part: a build with nothing yet in Go's caches, on two cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Disk space for sources, compiled packages and the program, in MB.
    pub megabytes: u64,
    /// Time without downloads, in minutes.
    pub minutes: u64,
}

/// State of one subject, with what would help if it is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Thing that was looked at.
    pub subject: Subject,
    /// The version of a program: of one that the user gives as it says it, which it may not.
    pub version: Option<String>,
    /// Readiness of the subject for a run.
    pub state: State,
    /// Its place, how it can be obtained, or what is wrong and what would help.
    pub detail: String,
    /// The cost of an obtainable part that may have to be built; parts of one module share it.
    pub cost: Option<Cost>,
}

/// Looks at the cache, Go, git and every part, in this order. Reads the cached programs whole to verify them.
pub async fn examine(options: &Options) -> Vec<Finding> {
    // A Go that is too old for some modules is good for the others; what their parts lack is said there.
    let least = Module::ALL.into_iter().min_by_key(|module| module.go_version()).expect("the list is not empty");
    let go = Go::find(&options.go, least).await.map_err(Reason::of);
    let cache = Cache::of(options).and_then(|cache| cache.prepare().map(|()| cache));
    let cache = cache.map_err(Reason::of);
    let mut findings = vec![examine_cache(&cache), examine_go(&go), examine_git().await];
    for part in Part::ALL {
        findings.push(examine_part(options, part, &cache, &go).await);
    }
    findings
}

fn finding(subject: Subject, state: State, detail: String) -> Finding {
    Finding { subject, version: None, state, detail, cost: None }
}

/// A finding on a part of the version that is pinned.
fn pinned(part: Part, state: State, detail: String) -> Finding {
    Finding { version: Some(part.version().to_owned()), ..finding(Subject::Part(part), state, detail) }
}

fn examine_cache(cache: &Result<Cache, Reason>) -> Finding {
    let free = cache.as_ref().map_err(Reason::clone).and_then(|cache| {
        let free = space::free(cache.root()).map_err(Reason::of)?;
        Ok(format!("{}, {free} MB free", cache.root().display()))
    });
    match free {
        Ok(detail) => finding(Subject::Cache, State::Present, detail),
        Err(reason) => finding(Subject::Cache, State::Missing, reason.into()),
    }
}

fn examine_go(go: &Result<Go, Reason>) -> Finding {
    match go {
        Ok(go) => {
            let detail = format!("{}, build cache {}", go.version, go.build_cache.display());
            finding(Subject::Go, State::Present, detail)
        }
        Err(reason) => finding(Subject::Go, State::Missing, reason.to_string()),
    }
}

async fn examine_git() -> Finding {
    match Command::new("git").arg("--version").kill_on_drop(true).output().await {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            finding(Subject::Git, State::Present, version)
        }
        Ok(output) => finding(Subject::Git, State::Missing, format!("git --version: {}", output.status)),
        Err(error) => {
            let detail = format!("failed to run git, which Go needs where it has no module proxy: {error}");
            finding(Subject::Git, State::Missing, detail)
        }
    }
}

async fn examine_part(
    options: &Options,
    part: Part,
    cache: &Result<Cache, Reason>,
    go: &Result<Go, Reason>,
) -> Finding {
    let given = options.overrides.get(&part);
    if let (Part::ExternalSecrets, None, Some(image)) = (part, given, &options.operator_image) {
        let detail = format!("out of the image {image}, if its registry can be reached");
        return finding(Subject::Part(part), State::Obtainable, detail);
    }
    if let Some(path) = given {
        return examine_override(options, part, path).await;
    }
    // A cache that cannot be written may still hold the part.
    let stored = Cache::of(options).ok().and_then(|cache| cache.find(part));
    match (stored, cache) {
        (Some(stored), _) => examine_stored(part, stored).await,
        (None, Ok(cache)) => examine_sources(options, part, cache, go).await,
        (None, Err(_)) => pinned(part, State::Missing, "not in the cache, which cannot be used".to_owned()),
    }
}

/// A program that the user gives.
async fn examine_override(options: &Options, part: Part, path: &Path) -> Finding {
    let subject = Subject::Part(part);
    match options.user_programs.once(part, path, Program::overriding(part, path)).await {
        Ok(program) => {
            let version = Some(program.version().unwrap_or(UNKNOWN).to_owned());
            Finding { version, ..finding(subject, State::Present, format!("{} (given)", program.path().display())) }
        }
        Err(error) => finding(subject, State::Missing, chain(&error)),
    }
}

/// A program of the cache, read whole.
async fn examine_stored(part: Part, stored: Stored) -> Finding {
    let path = stored.path.display().to_string();
    let origin = stored.record.origin.to_string();
    let directory = stored.path.parent().map(Path::to_owned).unwrap_or_default();
    let intact = tokio::task::spawn_blocking(move || cache::is_intact(&stored)).await.unwrap_or(false);
    if intact {
        pinned(part, State::Present, format!("{path} ({origin})"))
    } else {
        let detail = format!("{path} has changed since it was put there; remove {}", directory.display());
        pinned(part, State::Missing, detail)
    }
}

/// Ways in which a part can be obtained.
async fn examine_sources(options: &Options, part: Part, cache: &Cache, go: &Result<Go, Reason>) -> Finding {
    match (releasable(options, part), buildable(options, part, cache, go).await) {
        (Err(no_release), Err(no_build)) => {
            pinned(part, State::Missing, format!("no official release: {no_release}; no build: {no_build}"))
        }
        (Ok(host), Err(no_build)) => {
            pinned(part, State::Obtainable, format!("if {host} can be reached; no build: {no_build}"))
        }
        (Ok(host), Ok((how, cost))) => {
            let detail = format!("by download if {host} can be reached, else by {how}");
            Finding { cost: Some(cost), ..pinned(part, State::Obtainable, detail) }
        }
        (Err(_), Ok((how, cost))) => {
            Finding { cost: Some(cost), ..pinned(part, State::Obtainable, format!("by {how}")) }
        }
    }
}

/// The host that publishes a part, or why no release of it will be used.
fn releasable(options: &Options, part: Part) -> Result<String, Reason> {
    if options.source == Source::Build {
        return Err("not wanted".into());
    }
    let mirror = options.mirror.as_deref();
    match PublishedImage::of(part, mirror).map_err(Reason::of)? {
        Some(image) => Ok(image.host().to_owned()),
        None => match Release::here(part, mirror) {
            Ok(release) => Ok(release.host().to_owned()),
            Err(Failure::Unavailable(reason)) => Err(reason.into()),
            Err(Failure::Fatal(error)) => Err(Reason::of(error)),
        },
    }
}

/// Build of a part and its cost, or why it cannot be built.
async fn buildable(
    options: &Options,
    part: Part,
    cache: &Cache,
    go: &Result<Go, Reason>,
) -> Result<(String, Cost), Reason> {
    if options.source == Source::Release {
        return Err("not wanted".into());
    }
    let (module, go) = (part.module(), go.as_ref().map_err(Reason::clone)?);
    go.check(module).map_err(Reason::of)?;
    compiler::check(go, module).await.map_err(Reason::of)?;
    build::check_space(go, cache, module, &[part]).map_err(Reason::of)?;
    let how = match go.told(module) {
        Some(toolchain) => format!("go build with {toolchain}, which go obtains"),
        None => "go build".to_owned(),
    };
    let cost = module.cost(options.providers);
    let megabytes = 2 * cost.compiled + cost.sources + part.megabytes();
    Ok((how, Cost { megabytes, minutes: cost.minutes }))
}
