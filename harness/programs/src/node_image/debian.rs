//! Debian from its packages, kept by the engine as images of their own: the node's operating system, and what programs in
//! containers beside the node call.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{fs, io};

use credence_core::file_error::FileError;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use walkdir::WalkDir;

use super::fingerprint::{LABEL, fingerprint};
use super::{NodeImageError, Steps, apt, images};
use crate::engine::Engine;
use crate::process::path::find_program;

/// The release. Not that of kind's own image, whose systemd wants cgroups of version 2.
const SUITE: &str = "bookworm";
/// Directories that nobody reads in a container, below `usr/share`. Licences stay.
const UNREAD: [&str; 4] = ["doc", "info", "locale", "man"];
/// Lines of debootstrap's output that an error carries.
const TAIL_LINES: usize = 12;
/// Time that a line of progress stands before the next.
const QUIET: Duration = Duration::from_secs(10);

/// A set of packages that is an image.
pub(super) struct Selection {
    /// Name of the image, without its tag.
    repository: &'static str,
    /// The packages; those that they depend on come with them.
    packages: &'static [&'static str],
    /// Room that it takes at most until the engine has it, in MB.
    pub(super) work_megabytes: u64,
    /// Room that it takes in the engine, in MB.
    pub(super) engine_megabytes: u64,
}

/// Packages that kind's images/base/Dockerfile installs, but for those that only network storage and nested overlays need;
/// with what
/// Debian's own container image brings, and with runc, which has to be built with libseccomp.
pub(super) const NODE: Selection = Selection {
    repository: "credence/debian",
    packages: &[
        "ca-certificates",
        "conntrack",
        "curl",
        "dbus",
        "e2fsprogs",
        "ethtool",
        "hostname",
        "iproute2",
        "iptables",
        "jq",
        "kmod",
        "libseccomp2",
        "mount",
        "nftables",
        "pigz",
        "procps",
        "runc",
        "socat",
        "systemd",
        "systemd-sysv",
    ],
    work_megabytes: 450,
    engine_megabytes: 200,
};

/// Programs that Gitea and Argo CD call: git, and Redis to keep what they know.
pub(super) const TOOLS: Selection = Selection {
    repository: "credence/tools",
    packages: &["ca-certificates", "git", "redis-server"],
    work_megabytes: 600,
    engine_megabytes: 300,
};

impl Selection {
    /// Inputs from which the image follows, in words.
    pub(super) fn recipe(&self) -> Vec<String> {
        vec![format!("debian {SUITE} {} {}", std::env::consts::ARCH, self.packages.join(","))]
    }

    /// The image's name in the engine.
    pub(super) fn name(&self) -> String {
        format!("{}:{SUITE}-{}", self.repository, fingerprint(&self.recipe()))
    }

    /// The release and its packages, for the notes in the node.
    pub(super) fn description(&self) -> String {
        format!("Debian {SUITE}, debootstrap --variant=minbase, with {}", self.packages.join(" "))
    }
}

/// The programs that make it.
pub(super) struct Tools {
    debootstrap: PathBuf,
    unshare: PathBuf,
}

impl Tools {
    /// Refuses a machine or a user that cannot make it.
    pub(super) fn find() -> Result<Self, NodeImageError> {
        Self::check(rustix::process::geteuid().is_root(), find_program)
    }

    fn check(is_root: bool, find: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, NodeImageError> {
        if !is_root {
            return Err(NodeImageError::NotRoot);
        }
        let found = |command, package| find(command).ok_or(NodeImageError::Missing { command, package });
        Ok(Self { debootstrap: found("debootstrap", "debootstrap")?, unshare: found("unshare", "util-linux")? })
    }
}

/// Makes the image, in about two minutes. `work` is a directory for it alone.
pub(super) async fn make(
    engine: &Engine,
    selection: &Selection,
    tools: &Tools,
    work: &Path,
    steps: &Steps<'_>,
) -> Result<(), NodeImageError> {
    let root = work.join("debian");
    let mirror = apt::mirror(Path::new("/etc/apt"), SUITE);
    steps.say(&format!("Debian packages (debootstrap) from {}", mirror.as_deref().unwrap_or("Debian's own mirrors")));
    debootstrap(selection, tools, &root, mirror.as_deref(), steps).await?;
    steps.say("giving Debian to the engine");
    slim(&root)?;
    import(engine, selection, &root).await?;
    fs::remove_dir_all(&root).map_err(FileError::of::<NodeImageError>("remove", &root))
}

async fn debootstrap(
    selection: &Selection,
    tools: &Tools,
    root: &Path,
    mirror: Option<&str>,
    steps: &Steps<'_>,
) -> Result<(), NodeImageError> {
    let mut command = Command::new(&tools.unshare);
    command
        // It mounts proc and sysfs in the new root. In a mount namespace of its own they are never where the root is
        // removed, and in a process namespace of its own all that it starts ends with it.
        .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", r#"exec "$0" "$@" 2>&1"#])
        .arg(&tools.debootstrap)
        .args(["--variant=minbase", &format!("--include={}", selection.packages.join(",")), SUITE])
        .arg(root)
        .args(mirror)
        .env("LC_ALL", "C")
        // That of a user who has become root may lack the places for root's commands.
        .env("PATH", images::PATH)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let failed = |source| FileError::new("run", &tools.debootstrap, source);
    let mut child = command.spawn().map_err(failed)?;
    let mut tail = VecDeque::new();
    let mut printed = Instant::now();
    if let Some(stdout) = child.stdout.take() {
        // Should credence be killed, debootstrap ends with the next line that it cannot write.
        let mut lines = BufReader::new(stdout).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(failed)? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if let Some(news) = line.strip_prefix("I: ").filter(|_| printed.elapsed() >= QUIET) {
                printed = Instant::now();
                steps.say(&format!("Debian packages (debootstrap): {news}"));
            }
            tail.push_back(line);
            if tail.len() > TAIL_LINES {
                tail.pop_front();
            }
        }
    }
    let status = child.wait().await.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    // What the packages' own scripts said is in its log only.
    let log = crate::process::tail(&root.join("debootstrap/debootstrap.log"), TAIL_LINES);
    Err(NodeImageError::Debootstrap { status, tail: format!("{}\n{log}", Vec::from(tail).join("\n")) })
}

/// Removes what only this machine or a person at a terminal could want.
fn slim(root: &Path) -> Result<(), NodeImageError> {
    let share = root.join("usr/share");
    for entry in UNREAD.iter().flat_map(|name| WalkDir::new(share.join(name))) {
        // A directory that is not there has nothing to be removed.
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_dir() && entry.file_name() != "copyright" {
            fs::remove_file(entry.path()).map_err(FileError::of::<NodeImageError>("remove", entry.path()))?;
        }
    }
    for name in ["var/cache/apt", "var/lib/apt/lists", "debootstrap", "etc/resolv.conf", "etc/hostname"] {
        let path = root.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::of::<NodeImageError>("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Packs the root for the engine, and names the image once it is complete.
async fn import(engine: &Engine, selection: &Selection, root: &Path) -> Result<(), NodeImageError> {
    let act = "import Debian";
    let failed = |source| FileError::new("pack", root, source);
    let mut tar = Command::new("tar")
        .args(["--create", "--one-file-system", "--numeric-owner", "--exclude=./dev/*", "--directory"])
        .arg(root)
        .arg(".")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let packed: Stdio = match tar.stdout.take() {
        Some(stdout) => stdout.try_into().map_err(failed)?,
        None => Stdio::null(),
    };
    let label = format!("LABEL {LABEL}={}", fingerprint(&selection.recipe()));
    let import = engine.command(&["import", "--change", &label, "-"]).stdin(packed).output();
    let (import, tar) = tokio::join!(import, tar.wait());
    let id = engine.checked(act, import)?;
    let id = String::from_utf8_lossy(&id).trim().to_owned();
    let status = tar.map_err(failed)?;
    if !status.success() {
        // An archive that ends early can look complete.
        engine.output("remove half of Debian", &["rmi", &id]).await?;
        return Err(failed(io::Error::other(format!("tar ended with {status}"))).into());
    }
    engine.output("name the image of Debian", &["tag", &id, &selection.name()]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_can_make_it() {
        let error = Tools::check(false, |name| Some(name.into())).err().unwrap();
        assert!(error.to_string().contains("run `credence node-image` once as root"), "{error}");
    }

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let error = Tools::check(true, |name| (name != "unshare").then(|| name.into())).err().unwrap();
        assert_eq!(
            error.to_string(),
            "failed to find unshare, which makes images of Debian; install the package util-linux"
        );
        assert!(Tools::check(true, |_| None).err().unwrap().to_string().contains("the package debootstrap"));
    }

    #[test]
    fn each_selection_has_an_image_of_its_own() {
        assert_ne!(NODE.recipe(), TOOLS.recipe());
        let name = TOOLS.name();
        assert!(name.starts_with("credence/tools:bookworm-"), "{name}");
        assert!(NODE.name().starts_with("credence/debian:bookworm-"), "{}", NODE.name());
    }

    #[test]
    fn licences_are_all_that_stays_of_what_nobody_reads() {
        let root = tempfile::tempdir().unwrap();
        let files = ["usr/share/doc/jq/copyright", "usr/share/doc/jq/README", "usr/share/man/man1/jq.1", "usr/bin/jq"];
        for name in files.into_iter().chain(["var/cache/apt/archives/jq.deb", "etc/hostname", "etc/passwd"]) {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        slim(root.path()).unwrap();
        let left = WalkDir::new(root.path()).sort_by_file_name().into_iter().map(Result::unwrap);
        let left: Vec<_> = left
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(root.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(left, ["etc/passwd", "usr/bin/jq", "usr/share/doc/jq/copyright"]);
    }
}
