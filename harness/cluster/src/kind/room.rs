//! Room on disk for a cluster of kind, which is asked for before anything of it is made.

use std::path::Path;

use credence_programs::engine::Engine;
use credence_programs::supply::{check_space, free_space};

use super::KindError;

/// Most that a node takes at the engine, in MB: measured at 1470 with the images that it imports and the operator's;
/// the rest is for etcd, logs, and what pods pull.
const ENGINE_MEGABYTES: u64 = 2500;
/// Most that a run directory takes, in MB: the archive of the operator's image and its layer (400), of which Backstage's
/// layer later takes less, the audit log, and consumers.
const RUN_MEGABYTES: u64 = 900;

/// Fails unless there is room for a cluster, in `directory` and, where that can be seen, at the engine. Gives the figures
/// for people: `2500 MB of 34697 MB free on the file system of /var/lib/docker, …`.
///
/// # Errors
/// When there is too little room, or the engine cannot be asked.
pub async fn check(engine: &Engine, directory: &Path) -> Result<String, KindError> {
    let root = engine.root().await?;
    let mut needs = vec![(directory, RUN_MEGABYTES)];
    needs.extend(root.as_deref().map(|root| (root, ENGINE_MEGABYTES)));
    judge(&needs)
}

fn judge(needs: &[(&Path, u64)]) -> Result<String, KindError> {
    check_space("a cluster of kind", needs).map_err(KindError::Room)?;
    let figures = needs.iter().rev().map(|(path, needed)| {
        let free = free_space(path).map_err(KindError::Room)?;
        Ok(format!("{needed} MB of {free} MB free on the file system of {}", path.display()))
    });
    Ok(figures.collect::<Result<Vec<_>, KindError>>()?.join(", "))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn the_figures_are_given_before_anything_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let figures = judge(&[(directory.path(), 1)]).unwrap();
        assert!(figures.starts_with("1 MB of ") && figures.contains(" MB free on the file system of /"), "{figures}");
    }

    #[test]
    fn a_disk_that_is_too_small_is_an_error_with_figures_and_the_next_step() {
        // The proc file system always has 0 bytes free.
        let error = judge(&[(Path::new("/proc/self"), ENGINE_MEGABYTES)]).unwrap_err();
        assert!(error.to_string().contains("make room"), "{error}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("0 MB free and 2500 MB needed on the file system of /proc/self"), "{cause}");
    }
}
