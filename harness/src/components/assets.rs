//! ESO's chart and custom resource definitions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use walkdir::WalkDir;

use super::cache::{self, Cache, failed};
use super::go::Go;
use super::lock::Lock;
use super::part::Module;
use super::{ComponentError, Options};

/// What is taken out of the module, below its root.
const TAKEN: [&str; 2] = ["deploy/charts/external-secrets", "deploy/crds/bundle.yaml"];

/// The part of `go mod download -json` that is used.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
}

/// A directory with `deploy/charts/external-secrets` and `deploy/crds/bundle.yaml` of the pinned ESO.
///
/// They come from the Go module, verified by the pin, as ESO's releases have no program for them to come with. So
/// the first call on a machine needs Go even when a path for ESO is given; later ones read the cache.
///
/// # Errors
/// When Go is missing or too old, the module cannot be downloaded, or the cache cannot be used.
pub async fn external_secrets_assets(options: &Options) -> Result<PathBuf, ComponentError> {
    let module = Module::ExternalSecrets;
    let cache = Cache::new(&options.cache)?;
    let place = cache.assets();
    if place.is_dir() {
        return Ok(place);
    }
    // Not the module's own lock, which a build holds for minutes; this takes seconds.
    let _lock = Lock::acquire(&cache.lock("external-secrets-assets"), |_| ()).await?;
    if place.is_dir() {
        return Ok(place);
    }
    let go = Go::find(&options.go, module.go_version()).await?;
    let directory = cache.module(module)?;
    // Named without a version it is the pinned one, checked against go.sum.
    let output = go.output(&directory, &["mod", "download", "-json", module.path()]).await?;
    let found: Downloaded = serde_json::from_slice(&output).map_err(|error| ComponentError::Go {
        command: format!("go mod download -json {}", module.path()),
        output: error.to_string(),
    })?;
    copy(&found.dir, &place)?;
    Ok(place)
}

/// Copies what is taken, and puts all of it in place by one rename.
fn copy(module: &Path, place: &Path) -> Result<(), ComponentError> {
    let parent = place.parent().unwrap_or(place);
    // The lock is held, so what is there is of a copy that was killed.
    let staging = parent.join(".new");
    cache::remove(&staging)?;
    for taken in TAKEN {
        let from = module.join(taken);
        copy_tree(&from, &staging.join(taken)).map_err(failed("copy", &from))?;
    }
    fs::rename(&staging, place).map_err(failed("put in place", place))
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let below = entry.path().strip_prefix(from).map_err(io::Error::other)?;
        let target = if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) };
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        // Not `fs::copy`, which would keep the module cache's read-only modes.
        fs::write(&target, fs::read(entry.path())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chart_and_definitions_are_copied_writable_and_nothing_else() {
        let (module, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for path in ["deploy/charts/external-secrets/templates/a.yaml", "deploy/crds/bundle.yaml", "main.go"] {
            let path = module.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, path.as_os_str().as_encoded_bytes()).unwrap();
            let mut mode = path.metadata().unwrap().permissions();
            mode.set_readonly(true);
            fs::set_permissions(&path, mode).unwrap();
        }
        let place = cache.path().join("assets/eso");
        copy(module.path(), &place).unwrap();
        assert!(!place.join("main.go").exists());
        assert!(place.join("deploy/charts/external-secrets/templates/a.yaml").is_file());
        assert!(!place.join("deploy/crds/bundle.yaml").metadata().unwrap().permissions().readonly());
    }

    #[test]
    fn a_module_without_the_chart_leaves_nothing_in_place() {
        let (module, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = cache.path().join("assets/eso");
        let error = copy(module.path(), &place).unwrap_err();
        assert!(error.to_string().contains("deploy/charts/external-secrets"), "{error}");
        assert!(!place.exists());
    }
}
