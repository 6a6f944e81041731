//! External Secrets Operator out of an image that the user names, without a container engine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::cache::{Cache, failed};
use super::download::Failure;
use super::image::PublishedImage;
use super::lock::Lock;
use super::programs::Program;
use super::{ComponentError, Part, Progress};

/// Takes the program out of an image, unless that has been done before: an image is the same one by its digest, whatever tag
/// names it today.
pub(super) async fn obtain(cache: &Cache, name: &str, progress: &dyn Progress) -> Result<Program, ComponentError> {
    let part = Part::ExternalSecrets;
    let refused = |reason| ComponentError::OperatorImage { reference: name.to_owned(), reason };
    let unavailable = |failure| match failure {
        Failure::Unavailable(reason) => refused(reason),
        Failure::Fatal(error) => error,
    };
    let image = PublishedImage::named(part, name).map_err(|reason| refused(reason.into()))?;
    let (manifest, digest) = image.manifest().await.map_err(unavailable)?;
    let directory = cache.image(&digest);
    let place = directory.join(part.name());
    if !place.is_file() {
        cache.prepare()?;
        let lock = Arc::new(Lock::acquire(&cache.lock("external-secrets-image"), |_| ()).await?);
        // Another process may have put it there while this one waited.
        if !place.is_file() {
            progress.note(&format!("{part}: taking the program out of {name}"));
            fs::create_dir_all(&directory).map_err(failed("make the directory", &directory))?;
            let file = directory.join("layer.part");
            let program = image.take(&manifest, cache, &file, &lock, &|_| ()).await.map_err(unavailable)?;
            put(&program, &place)?;
        }
    }
    Program::of_image(part, place, name.to_owned()).await
}

/// Makes the program executable, and puts it in place by one rename.
fn put(program: &Path, place: &Path) -> Result<(), ComponentError> {
    fs::set_permissions(program, Permissions::from_mode(0o755)).map_err(failed("make executable", program))?;
    fs::rename(program, place).map_err(failed("put in place", place))
}
