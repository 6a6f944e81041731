//! Files that the programs need and that come with their modules: charts, definitions, templates.
//!
//! They are taken out of the Go module, verified by the pin, whatever way the program itself is obtained. So the first
//! call on a machine needs Go even when a path for the program is given; later ones read the cache.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use walkdir::WalkDir;

use super::cache::{self, Cache, failed};
use super::go::Go;
use super::lock::Lock;
use super::module::Module;
use super::{ComponentError, Options};

/// The part of `go mod download -json` that is used.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
}

/// A directory with `deploy/charts/external-secrets` and `deploy/crds/bundle.yaml` of the pinned ESO.
///
/// # Errors
/// When Go is missing or too old, the module cannot be downloaded, or the cache cannot be used.
pub async fn external_secrets_assets(options: &Options) -> Result<PathBuf, ComponentError> {
    obtain(options, Module::ExternalSecrets, &["deploy/charts/external-secrets", "deploy/crds/bundle.yaml"]).await
}

/// A directory that does as the pinned Gitea's `STATIC_ROOT_PATH`: `templates`, `options` and `public`, beside
/// `custom` with the annotated example of its configuration.
///
/// The web pages' scripts and styles, which upstream makes with Node, are not in it: pages and API work without.
///
/// # Errors
/// When Go is missing or too old, the module cannot be downloaded, or the cache cannot be used.
pub async fn gitea_assets(options: &Options) -> Result<PathBuf, ComponentError> {
    obtain(options, Module::Gitea, &["templates", "options", "public", "custom"]).await
}

/// A directory with `manifests/crds`, `manifests/base` and `manifests/cluster-rbac` of the pinned Argo CD, kustomizations
/// of its custom resource definitions, its parts and their rights, and with `hack/git-verify-wrapper.sh`, which its
/// repository server calls by this name.
///
/// # Errors
/// When Go is missing or too old, the module cannot be downloaded, or the cache cannot be used.
pub async fn argo_cd_assets(options: &Options) -> Result<PathBuf, ComponentError> {
    let taken = ["manifests/crds", "manifests/base", "manifests/cluster-rbac", "hack/git-verify-wrapper.sh"];
    obtain(options, Module::ArgoCd, &taken).await
}

/// A directory with `config/crd/bases` of Flux's pinned source-controller: its custom resource definitions.
///
/// # Errors
/// When Go is missing or too old, the module cannot be downloaded, or the cache cannot be used.
pub async fn flux_assets(options: &Options) -> Result<PathBuf, ComponentError> {
    obtain(options, Module::Flux, &["config/crd/bases"]).await
}

/// A directory with `images/base/files` of the pinned kind: what makes a node of a machine that runs systemd.
///
/// # Errors
/// When Go is missing or too old, the module cannot be downloaded, or the cache cannot be used.
pub(crate) async fn kind_assets(options: &Options) -> Result<PathBuf, ComponentError> {
    obtain(options, Module::Kind, &["images/base/files"]).await
}

/// A directory with what is `taken` out of a module, each a path below its root.
async fn obtain(options: &Options, module: Module, taken: &[&str]) -> Result<PathBuf, ComponentError> {
    let cache = Cache::of(options)?;
    let place = cache.assets(module);
    if is_complete(&place, taken) {
        return Ok(place);
    }
    // Not the module's own lock, which a build holds for minutes; this takes seconds.
    let _lock = Lock::acquire(&cache.lock(&format!("{}-assets", module.name())), |_| ()).await?;
    if is_complete(&place, taken) {
        return Ok(place);
    }
    let go = Go::find(&options.go, module).await?.patient(options.patience);
    copy(&module_directory(&go, &cache, module).await?, taken, &place)?;
    Ok(place)
}

/// The pinned module in Go's module cache, downloaded if it is not there.
pub(super) async fn module_directory(go: &Go, cache: &Cache, module: Module) -> Result<PathBuf, ComponentError> {
    downloaded(go, cache, module, module.path()).await
}

/// The same of any module that the pin of `module` leads to, by its path.
pub(super) async fn downloaded(go: &Go, cache: &Cache, module: Module, path: &str) -> Result<PathBuf, ComponentError> {
    let directory = cache.module(module)?;
    // Named without a version it is the pinned one, checked against go.sum.
    let output = go.download(module, &directory, &["mod", "download", "-json", path]).await?;
    let found: Downloaded = serde_json::from_slice(&output).map_err(|error| ComponentError::Go {
        command: format!("go mod download -json {path}"),
        output: error.to_string(),
    })?;
    Ok(found.dir)
}

/// True if all that is taken is there: a credence of before may have taken less.
fn is_complete(place: &Path, taken: &[&str]) -> bool {
    taken.iter().all(|taken| place.join(taken).exists())
}

/// Copies what is taken, and puts all of it in place by one rename. The caller holds the lock of `place`.
fn copy(module: &Path, taken: &[&str], place: &Path) -> Result<(), ComponentError> {
    let mut name = OsString::from(".new-");
    name.push(place.file_name().unwrap_or_default());
    // What is there is of a copy that was killed.
    let staging = place.with_file_name(name);
    cache::remove(&staging)?;
    for taken in taken {
        let from = module.join(taken);
        copy_tree(&from, &staging.join(taken)).map_err(failed("copy", &from))?;
    }
    cache::remove(place)?;
    fs::rename(&staging, place).map_err(failed("put in place", place))
}

pub(super) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
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
        let content = fs::read(entry.path())?;
        fs::write(&target, &content)?;
        // A Go module carries no modes, so nothing else tells that a script is one.
        if content.starts_with(b"#!") {
            fs::set_permissions(&target, Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A module with these files, read-only as Go has them.
    fn module(files: &[(&str, &str)]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        }
        directory
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_taken_is_copied_writable_and_nothing_else() {
        let module =
            module(&[("crds/deep/a.yaml", "a"), ("crds/b.yaml", "b"), ("hack/c.sh", "#!/bin/sh\n"), ("d", "d")]);
        let cache = tempfile::tempdir().unwrap();
        let place = cache.path().join("assets/argo-cd-3.6.1-0123abcd");
        copy(module.path(), &["crds", "hack/c.sh"], &place).unwrap();
        assert!(!place.join("d").exists());
        assert!(place.join("crds/deep/a.yaml").is_file());
        assert_eq!(mode(&place.join("crds/b.yaml")) & 0o600, 0o600);
        let left: Vec<_> = cache.path().join("assets").read_dir().unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn what_lacks_something_is_copied_again() {
        let (module, cache) = (module(&[("a", "a"), ("b/c", "c")]), tempfile::tempdir().unwrap());
        let place = cache.path().join("argo-cd");
        copy(module.path(), &["a"], &place).unwrap();
        assert!(is_complete(&place, &["a"]) && !is_complete(&place, &["a", "b"]));
        copy(module.path(), &["a", "b"], &place).unwrap();
        assert!(is_complete(&place, &["a", "b"]));
    }

    #[test]
    fn scripts_are_made_executable() {
        let (module, cache) = (module(&[("a.sh", "#!/bin/sh\n"), ("b.yaml", "b")]), tempfile::tempdir().unwrap());
        let place = cache.path().join("argo-cd");
        copy(module.path(), &["a.sh", "b.yaml"], &place).unwrap();
        assert_eq!((mode(&place.join("a.sh")), mode(&place.join("b.yaml")) & 0o111), (0o755, 0));
    }

    #[test]
    fn a_module_without_what_is_taken_leaves_nothing_in_place() {
        let (module, cache) = (module(&[("crds/b.yaml", "b")]), tempfile::tempdir().unwrap());
        let place = cache.path().join("argo-cd");
        let error = copy(module.path(), &["crds", "hack/c.sh"], &place).unwrap_err();
        assert!(error.to_string().contains("hack/c.sh"), "{error}");
        assert!(!place.exists());
    }
}
