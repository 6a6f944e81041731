//! Remains of a cluster of kind with the container engine, and their removal: on drop, and by the sweep after a run that
//! had no time for it.
//!
//! The file `kind.remains` in the run directory names the engine's program and the cluster, one a line, written before
//! anything is made. Containers that kind made carry its label with the cluster's name, others and the network carry
//! ours.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use credence_core::file_error::FileError;
use credence_programs::engine::limited;

use super::KindError;
use crate::containers::LABEL;

/// The file in a run directory.
const RECORD: &str = "kind.remains";
/// The label of kind's containers (its `pkg/cluster/internal/providers/docker/constants.go`).
pub(super) const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";

/// Number of attempts to remove what somebody else may be removing as well.
const ATTEMPTS: usize = 50;

/// Writes down the cluster that is about to be made.
pub(super) fn record(run: &Path, engine: &Path, cluster: &str) -> Result<(), KindError> {
    let file = run.join(RECORD);
    let text = [engine.as_os_str().as_bytes(), b"\n", cluster.as_bytes(), b"\n"].concat();
    fs::write(&file, text).map_err(FileError::of::<KindError>("write", &file))
}

/// Removes what is left of the cluster of `run`, if there is any, and forgets it.
///
/// # Errors
/// When something cannot be removed; it stays written down.
pub(super) fn clear(run: &Path) -> Result<(), KindError> {
    let file = run.join(RECORD);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::of::<KindError>("read", &file)(error)),
    };
    let mut lines = text.split(|byte| *byte == b'\n');
    // A record that was cut off names nothing that was made.
    if let (Some(engine), Some(cluster)) = (lines.next(), lines.next())
        && !cluster.is_empty()
    {
        let cluster = String::from_utf8_lossy(cluster);
        remove(Path::new(OsStr::from_bytes(engine)), &cluster)?;
    }
    fs::remove_file(&file).map_err(FileError::of::<KindError>("remove", &file))
}

/// Removes the cluster's containers with their volumes, and its network.
fn remove(engine: &Path, cluster: &str) -> Result<(), KindError> {
    // First those beside the node, which kind knows nothing of.
    for label in [LABEL, CLUSTER_LABEL] {
        remove_containers(engine, &format!("label={label}={cluster}"))?;
    }
    // With Podman, kind gives a node a volume with a name, which stays when the container goes.
    let filter = format!("label={cluster}-control-plane");
    for volume in ask(engine, &["volume", "ls", "--quiet", "--filter", &filter])?.split_whitespace() {
        ask(engine, &["volume", "rm", "--force", volume])?;
    }
    let filter = format!("label={LABEL}={cluster}");
    let networks = ask(engine, &["network", "ls", "--quiet", "--filter", &filter])?;
    for network in networks.split_whitespace() {
        ask(engine, &["network", "rm", network])?;
    }
    Ok(())
}

/// Removes containers with their volumes. One that is being removed already is an error of the engine until it is gone.
fn remove_containers(engine: &Path, filter: &str) -> Result<(), KindError> {
    let mut attempt = 1;
    loop {
        let found = ask(engine, &["ps", "--all", "--quiet", "--filter", filter])?;
        let found: Vec<&str> = found.split_whitespace().collect();
        if found.is_empty() {
            return Ok(());
        }
        match ask(engine, &[&["rm", "--force", "--volumes"], found.as_slice()].concat()) {
            // An engine that hangs is not asked again.
            Err(error) if attempt >= ATTEMPTS || matches!(error, KindError::Silent { .. }) => return Err(error),
            Err(_) => attempt += 1,
            Ok(_) => return Ok(()),
        }
    }
}

/// Output of the engine. Blocks, but not for ever: it is also asked while a run is dropped.
fn ask(engine: &Path, arguments: &[&str]) -> Result<String, KindError> {
    ask_within(limited::ANSWER, engine, arguments)
}

fn ask_within(within: Duration, engine: &Path, arguments: &[&str]) -> Result<String, KindError> {
    let act = "remove the cluster of kind";
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => KindError::Silent { act, engine: engine.to_owned(), seconds: within.as_secs() },
        _ => FileError::of::<KindError>("remove the cluster of kind with", engine)(error),
    };
    let output = limited::output(Command::new(engine).args(arguments), within).map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(io::Error::other(said)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use credence_programs::engine::fake::Fake;

    use super::*;

    #[test]
    fn containers_go_with_their_volumes_before_the_network_and_only_by_label() {
        let run = tempfile::tempdir().unwrap();
        let engine = Fake::docker(r#"echo "$@" >> asked; echo one"#);
        record(run.path(), &engine.command(), "credence-a").unwrap();
        clear(run.path()).unwrap();
        let asked = fs::read_to_string(engine.directory().join("asked")).unwrap();
        let asked: Vec<&str> = asked.lines().collect();
        assert_eq!(
            asked,
            [
                "ps --all --quiet --filter label=credence.cluster=credence-a",
                "rm --force --volumes one",
                "ps --all --quiet --filter label=io.x-k8s.kind.cluster=credence-a",
                "rm --force --volumes one",
                "volume ls --quiet --filter label=credence-a-control-plane",
                "volume rm --force one",
                "network ls --quiet --filter label=credence.cluster=credence-a",
                "network rm one",
            ]
        );
        assert!(!run.path().join(RECORD).exists());
    }

    #[test]
    fn a_container_that_another_is_removing_is_waited_for() {
        let run = tempfile::tempdir().unwrap();
        // Refuses the first two removals; then there is nothing left.
        let engine = Fake::docker(
            "case $1 in ps) [ -e gone ] || echo one;; \
             rm) echo >> tried; [ $(wc -l < tried) -lt 2 ] || touch gone; exit 1;; esac",
        );
        record(run.path(), &engine.command(), "credence-a").unwrap();
        clear(run.path()).unwrap();
        assert_eq!(fs::read_to_string(engine.directory().join("tried")).unwrap().lines().count(), 2);
    }

    #[test]
    fn what_an_absent_engine_leaves_stays_written_down() {
        let run = tempfile::tempdir().unwrap();
        record(run.path(), &run.path().join("nothing"), "credence-a").unwrap();
        assert!(clear(run.path()).is_err());
        assert!(run.path().join(RECORD).exists());
    }

    #[test]
    fn an_engine_that_hangs_is_not_waited_for() {
        let engine = Fake::docker("exec sleep 600");
        let error = ask_within(Duration::from_millis(50), &engine.command(), &["ps"]).unwrap_err().to_string();
        assert!(error.contains("restart its daemon, after which the next run removes what is left"), "{error}");
    }

    #[test]
    fn a_run_without_a_cluster_of_kind_has_nothing_to_clear() {
        let run = tempfile::tempdir().unwrap();
        clear(run.path()).unwrap();
    }

    #[test]
    fn a_record_that_was_cut_off_names_nothing() {
        let run = tempfile::tempdir().unwrap();
        fs::write(run.path().join(RECORD), "/usr/bin/engine\n").unwrap();
        clear(run.path()).unwrap();
        assert!(!run.path().join(RECORD).exists());
    }
}
