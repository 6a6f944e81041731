//! The image of kind's nodes: the official one, or made on this machine where that cannot be pulled.
//!
//! ```text
//!  apt's mirror ── debootstrap ──▶ credence/debian:… ──┐
//!  parts, files of kind ── build directory ────────────┴── build ──▶ credence/node:v1.36.3-…
//! ```
//!
//! It follows kind's `images/base/Dockerfile` and what `kind build node-image` adds: the programs of the pinned parts, and
//! images of the control plane that are imported when a node starts. What differs is written in the image, in
//! `/kind/README-credence.txt`.
//!
//! Invariants: a tag is a digest of all inputs, so an image with the tag is never made again; an image has its tag only
//! when it is complete; what a killed process left is removed by the next that makes one.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

use credence_core::file_error::FileError;
use tempfile::TempDir;

use super::engine::{Engine, EngineError};
use crate::oci::{ImageError, Layer};
use crate::supply::{self, ComponentError, Lock, Options, Part, Source, check_space};

mod apt;
mod context;
mod debian;
pub mod derived;
mod fingerprint;
mod images;
mod inputs;
mod inventory;
mod official;
pub mod tools;

use context::Contents;
use debian::{NODE, Tools};
use fingerprint::LABEL;

pub use inventory::{ImageInventory, inventory, remove, stale};

/// The configuration for kind that the repository's users have, too.
pub const CONFIG: &str = include_str!("../../../kind-config.yaml");

/// The parts that are in it.
pub const PARTS: [Part; 17] = [
    Part::Etcd,
    Part::KubeApiserver,
    Part::KubeControllerManager,
    Part::KubeScheduler,
    Part::KubeProxy,
    Part::Coredns,
    Part::Kubeadm,
    Part::Kubelet,
    Part::Kubectl,
    Part::Containerd,
    Part::ContainerdShim,
    Part::Ctr,
    Part::Crictl,
    Part::CniPtp,
    Part::CniLoopback,
    Part::CniHostLocal,
    Part::CniPortmap,
];

/// Most that the engine takes, in MB, without Debian: the image, and the copy of the build directory that it is
/// built from.
const ENGINE_MEGABYTES: u64 = 2200;
/// Number of attempts to remove a directory into which somebody still writes.
const REMOVALS: usize = 100;

/// Why there is no node image.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum NodeImageError {
    /// A part or a place in the cache cannot be had.
    #[error("failed to obtain what the node image is made of")]
    Component(#[from] ComponentError),
    /// The engine did not do its part.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An image of the control plane cannot be packed.
    #[error("failed to pack an image of the control plane")]
    Image(#[from] ImageError),
    /// Only root can install packages into a directory.
    #[error(
        "failed to make an image of Debian: debootstrap needs root; \
             run `credence node-image` once as root, after which the engine has it for everybody"
    )]
    NotRoot,
    /// A program is not there.
    #[error("failed to find {command}, which makes images of Debian; install the package {package}")]
    Missing { command: &'static str, package: &'static str },
    /// Debian could not be installed.
    #[error(
        "failed to make an image of Debian with debootstrap, {status}; \
             see whether apt's mirror can be reached; its last lines:\n{tail}"
    )]
    Debootstrap {
        status: ExitStatus,
        /// The end of what it said.
        tail: String,
    },
    /// A program that the user gave cannot run in an image that has nothing else in it.
    #[error(
        "failed to use {path} as {part} in an image of its own: it needs shared libraries; give one that is static"
    )]
    Dynamic { part: Part, path: PathBuf },
    /// An upstream file or program is not as it is known.
    #[error("failed to make the node image of these versions: {what}; pin the versions that credence is tested with")]
    Changed { what: String },
    /// A file or a program cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Way in which the engine came by an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The engine had one that was made before.
    Found,
    /// It is the official one, which the engine had or pulled.
    Pulled,
    /// It was made now, and the engine keeps it.
    Made,
}

/// An image that the engine has and that kind makes nodes of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeImage {
    /// Its name in the engine, as in `credence/node:v1.36.3-0123456789ab`.
    pub name: String,
    /// Way in which the engine came by it.
    pub how: How,
}

/// Gives an image that nodes can be made of: the official one if the engine has it, else the one of these inputs if the
/// engine has that, else the official one if it can be pulled and releases are wanted, else the other, made now. That takes
/// four minutes beyond the parts.
///
/// `report` gets a line for each step, and one every 10 seconds at most in between; `progress` is told of the parts.
/// When this future is dropped, what runs is killed, and the next call starts over with what the engine has.
///
/// # Errors
/// When a part cannot be obtained, the machine lacks something, there is too little room, or the engine fails.
pub async fn obtain(
    engine: &Engine,
    options: &Options,
    progress: &dyn supply::Progress,
    report: &(dyn Fn(&str) + Sync),
) -> Result<NodeImage, NodeImageError> {
    let (official, name) = (official::name()?, inputs::name(options)?);
    if options.source != Source::Build && engine.has_pulled(&official).await {
        return Ok(NodeImage { name: official, how: How::Pulled });
    }
    if engine.has_image(&name).await? {
        return Ok(NodeImage { name, how: How::Found });
    }
    let steps = Steps { image: "node image", start: Instant::now(), report };
    if options.source != Source::Build {
        check_room(engine, options, &official, 0, ENGINE_MEGABYTES).await?;
        steps.say(&format!("pulling {official}, at most {ENGINE_MEGABYTES} MB"));
        match official::pull(engine, &official).await {
            Ok(()) => return Ok(NodeImage { name: official, how: How::Pulled }),
            Err(reason) => steps.say(&format!("it cannot be pulled ({reason}), so one is made")),
        }
    }
    let lock = Arc::new(lock(options, &steps).await?);
    // Another process may have made it while this one waited.
    if engine.has_image(&name).await? {
        return Ok(NodeImage { name, how: How::Found });
    }
    let job = Job { engine, options, name: &name, lock, steps };
    job.make(progress).await?;
    Ok(NodeImage { name, how: How::Made })
}

/// Waits until no other process makes an image.
async fn lock(options: &Options, steps: &Steps<'_>) -> Result<Lock, NodeImageError> {
    let waiting = |holder: Option<u32>| match holder {
        Some(pid) => steps.say(&format!("waiting for process {pid}, which makes it")),
        None => steps.say("waiting for another process, which makes it"),
    };
    Ok(Lock::acquire(&options.cache.join("locks/node-image.lock"), waiting).await?)
}

/// Says what is being done, with the time since the image was asked for.
struct Steps<'a> {
    image: &'a str,
    start: Instant,
    report: &'a (dyn Fn(&str) + Sync),
}

impl Steps<'_> {
    fn say(&self, what: &str) {
        (self.report)(&format!("{}: {} s: {what}", self.image, self.start.elapsed().as_secs()));
    }
}

/// The making of one image, under the lock.
struct Job<'a> {
    engine: &'a Engine,
    options: &'a Options,
    name: &'a str,
    lock: Arc<Lock>,
    steps: Steps<'a>,
}

impl Job<'_> {
    async fn make(&self, progress: &dyn supply::Progress) -> Result<(), NodeImageError> {
        let work = Work::new(&self.options.cache)?;
        remove_orphans(self.engine).await?;
        let debian = NODE.name();
        let has_debian = self.engine.has_image(&debian).await?;
        // What would fail after minutes of compiling is asked first.
        let tools = if has_debian { None } else { Some(Tools::find()?) };
        let (debian_work, debian_kept) = if has_debian { (0, 0) } else { (NODE.work_megabytes, NODE.engine_megabytes) };
        let (here, there) = (context::MEGABYTES.max(debian_work), ENGINE_MEGABYTES + debian_kept);
        check_room(self.engine, self.options, "the node image", here, there).await?;

        self.steps.say("obtaining the programs");
        let programs = supply::obtain(self.options, &PARTS, progress).await?;
        let assets = supply::kind_assets(self.options).await?;
        if let Some(tools) = tools {
            debian::make(self.engine, &NODE, &tools, work.path(), &self.steps).await?;
        }
        self.steps.say("packing the images of the control plane");
        let images = images::list(programs.path(Part::Kubeadm)).await?;
        let proxy = self.proxy(&debian, work.path()).await?;
        let contents = Contents { programs, assets, images, proxy };
        let written = self.lock.during(move || contents.write(work.path()).map(|()| work)).await?;
        self.steps.say("building the image");
        let built = self.build(&debian, written.path()).await;
        if built.is_err() {
            remove_orphans(self.engine).await?;
        }
        built?;
        self.steps.say("ready");
        Ok(())
    }

    /// Layer below kube-proxy, taken out of the node's Debian and packed in `directory`.
    async fn proxy(&self, debian: &str, directory: &Path) -> Result<Arc<Layer>, NodeImageError> {
        let script = ["run", "--rm", "--network", "none", debian, "sh", "-c", images::PROXY_FILES];
        let archive = self.engine.output("take kube-proxy's iptables out of Debian", &script).await?;
        images::proxy_layer(&archive, directory)
    }

    async fn build(&self, debian: &str, directory: &Path) -> Result<(), NodeImageError> {
        let (base, digest) = (format!("BASE={debian}"), self.name.rsplit('-').next().unwrap_or_default());
        let inputs = format!("INPUTS={digest}");
        let arguments = [
            "build",
            "--force-rm",
            "--network",
            "none",
            "--build-arg",
            &base,
            "--build-arg",
            &inputs,
            "--tag",
            self.name,
        ];
        let output = self
            .engine
            .command(&arguments)
            .arg(directory)
            // Its successor needs a plug-in, and asks a registry for the base even if the image is there.
            .env("DOCKER_BUILDKIT", "0")
            .stdin(Stdio::null())
            .output()
            .await;
        self.engine.checked("build the node image", output)?;
        Ok(())
    }
}

/// Fails unless there is room for the image called `what`: in MB, `here` and, where that can be seen, `there` at the engine.
pub(super) async fn check_room(
    engine: &Engine,
    options: &Options,
    what: &str,
    here: u64,
    there: u64,
) -> Result<(), NodeImageError> {
    let root = engine.root().await?;
    let mut needs = vec![(options.cache.as_path(), here)];
    needs.extend(root.as_deref().map(|root| (root, there)));
    Ok(check_space(what, &needs)?)
}

/// Removes what builds that failed or were killed left in the engine: images of ours that have no tag.
async fn remove_orphans(engine: &Engine) -> Result<(), NodeImageError> {
    let filter = format!("label={LABEL}");
    engine.output("remove what is left of earlier builds", &["image", "prune", "--force", "--filter", &filter]).await?;
    Ok(())
}

/// A directory to work in, removed when dropped.
struct Work(TempDir);

impl Work {
    /// Makes one that is empty. The caller holds the lock, so what is there is of a process that was killed.
    fn new(cache: &Path) -> Result<Self, NodeImageError> {
        let all = cache.join("work/node-image");
        match fs::remove_dir_all(&all) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::of::<NodeImageError>("remove", &all)(error));
            }
            _ => fs::create_dir_all(&all).map_err(FileError::of::<NodeImageError>("make the directory", &all))?,
        }
        TempDir::new_in(&all).map(Self).map_err(FileError::of::<NodeImageError>("make a directory in", &all))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What was killed just now may still write while it dies, and then there is something to be removed again.
        for _ in 0..REMOVALS {
            match fs::remove_dir_all(self.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        let killed = cache.path().join("work/node-image/.tmp/debian");
        fs::create_dir_all(&killed).unwrap();
        let work = Work::new(cache.path()).unwrap();
        assert!(!killed.exists() && work.path().read_dir().unwrap().next().is_none());
    }

    #[test]
    fn what_is_written_while_a_directory_is_dropped_goes_with_it() {
        let cache = tempfile::tempdir().unwrap();
        let work = Work::new(cache.path()).unwrap();
        let path = work.path().to_owned();
        let file = path.join("file");
        let writer = std::thread::spawn(move || while fs::write(&file, "").is_ok() {});
        while !path.join("file").exists() {}
        drop(work);
        writer.join().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn steps_are_lines_with_their_time() {
        let said = std::sync::Mutex::new(String::new());
        let report = |line: &str| said.lock().unwrap().push_str(line);
        Steps { image: "node image", start: Instant::now(), report: &report }.say("building the image");
        assert_eq!(*said.lock().unwrap(), "node image: 0 s: building the image");
    }
}
