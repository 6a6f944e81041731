//! Reading the configuration under test.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use credence_cluster::reference;
use credence_core::file_error::FileError;
use credence_core::manifest::{self, INTENT, Manifest, ManifestError};
use credence_model::config::{Config, Schema};
use credence_model::intent::Intent;
use credence_model::model::Model;
use credence_programs::configuration::{self, Loaded, Parameters, Tools};
use credence_programs::external_secrets;
use credence_programs::supply::{self, Progress};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::error::RunError;

/// Directory of the reference configuration in the source.
const REFERENCE: &str = "fixtures/central-secret-store";

/// The path of a configuration, or of the reference one, as reports name it.
pub(crate) fn shown(config: Option<&Path>) -> String {
    config.map_or_else(|| format!("{REFERENCE} (built in)"), |path| path.display().to_string())
}

/// Reads a configuration, or the reference one, with the programs that render it if it has to be rendered, which are then
/// obtained first: plain manifests need no program at all. Gives the configuration's path for messages.
///
/// # Errors
/// When it cannot be read or rendered, or a program cannot be obtained.
pub async fn load(
    config: Option<&Path>,
    parameters: &Parameters,
    scratch: &Path,
    components: &supply::Options,
    progress: &dyn Progress,
) -> Result<(String, Vec<Manifest>), RunError> {
    let tools = Tools { components, progress };
    let manifests = match config {
        Some(path) => {
            let Loaded { manifests, notes } = configuration::load(path, parameters, tools).await?;
            notes.iter().for_each(|note| progress.note(note));
            manifests
        }
        None => {
            let path = reference::write(scratch).map_err(RunError::unpacking(scratch))?;
            let mut manifests = configuration::load(&path, parameters, tools).await?.manifests;
            for manifest in &mut manifests {
                // Where it was unpacked is gone with this process.
                if let Ok(below) = manifest.file.strip_prefix(&path) {
                    manifest.file = Path::new(REFERENCE).components().chain(below.components()).collect();
                }
            }
            manifests
        }
    };
    Ok((shown(config), manifests))
}

/// The kinds and fields that the API server will take: those of the pinned operator, or of the chart of the user's own.
///
/// # Errors
/// When that chart cannot be read or rendered.
pub async fn schema(components: &supply::Options, progress: &dyn Progress) -> Result<Cow<'static, Schema>, RunError> {
    let Some((version, file)) = external_secrets::definitions(components, progress).await? else {
        return Ok(Cow::Borrowed(Schema::pinned()));
    };
    let bytes = tokio::fs::read(&file).await.map_err(FileError::of::<ManifestError>("read", &file))?;
    let definitions = manifest::parse_documents(&file, &manifest::decode(&file, bytes)?)?;
    let definitions: Vec<Value> = definitions.into_iter().map(|definition| definition.object).collect();
    Ok(Cow::Owned(Schema::of_definitions(&version, &definitions)))
}

/// Reads the team's intent of a configuration: the file that is given, or the one beside the manifests, if there is one.
///
/// # Errors
/// When it cannot be read, has unknown fields, or contradicts itself.
pub async fn intent(config: Option<&Path>, given: Option<&Path>) -> Result<Option<Intent>, RunError> {
    let beside = config.map(beside).filter(|beside| beside.is_file());
    let Some(file) = given.map(Cow::Borrowed).or(beside.map(Cow::Owned)) else { return Ok(None) };
    let bytes = tokio::fs::read(&file).await;
    let unread = |source| FileError::new("read the intent", &*file, source).ending("; correct the path");
    let bytes = bytes.map_err(|source| RunError::IntentUnread(unread(source)))?;
    let text = manifest::decode(&file, bytes)?;
    Ok(Some(Intent::parse(&file, &text)?))
}

/// Path of the intent of a configuration.
fn beside(config: &Path) -> PathBuf {
    if config.is_dir() { config.join(INTENT) } else { config.with_file_name(INTENT) }
}

/// Writes a first intent beside the manifests of a configuration, and gives its path.
///
/// # Errors
/// When there is one that must not be replaced, and when it cannot be written.
pub async fn write_intent(config: &Path, text: &str, may_replace: bool) -> Result<PathBuf, RunError> {
    let file = beside(config);
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(may_replace).truncate(may_replace).create_new(!may_replace);
    let write = async {
        let mut opened = options.open(&file).await?;
        opened.write_all(text.as_bytes()).await?;
        opened.flush().await
    };
    match write.await {
        Ok(()) => Ok(file),
        Err(source) if source.kind() == ErrorKind::AlreadyExists => Err(RunError::IntentExists { file }),
        Err(source) => {
            let unwritten = FileError::new("write the intent", file, source).ending("; print it by --stdout");
            Err(RunError::IntentUnwritten(unwritten))
        }
    }
}

/// Demands of a configuration, as it is written and as its team intends.
///
/// # Errors
/// When the intent names what the configuration does not have, or contradicts it.
pub fn understand(config: &Config, intent: Option<&Intent>) -> Result<Model, RunError> {
    let model = Model::derive(config);
    let intended = intent.map(|intent| intent.resolve(config, &model)).transpose()?;
    Ok(model.intending(intended.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use credence_programs::kustomize::load_directory;

    use super::*;
    use crate::registry::PROPERTIES;

    const NOTHING: &str = "apiVersion: credence/v1\nkind: Intent\n";

    #[tokio::test]
    async fn an_intent_that_is_there_is_replaced_on_request_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = write_intent(directory.path(), "first", false).await.unwrap();
        let refused = write_intent(directory.path(), "second", false).await.unwrap_err();
        assert!(matches!(refused, RunError::IntentExists { .. }) && refused.is_usage());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "first");
        write_intent(directory.path(), "new", true).await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    }

    #[tokio::test]
    async fn an_intent_is_the_one_that_is_given_or_else_the_one_beside_the_manifests() {
        let directory = tempfile::tempdir().unwrap();
        assert!(intent(Some(directory.path()), None).await.unwrap().is_none());
        let file = write_intent(directory.path(), "kind: Nonsense", false).await.unwrap();
        let error = intent(Some(directory.path()), None).await.map(drop).unwrap_err();
        assert!(matches!(error, RunError::Intent(_)) && error.is_usage(), "{error}");
        assert!(error.to_string().contains(&format!("{}:1:", file.display())), "{error}");
        let given = directory.path().join("other.yaml");
        std::fs::write(&given, NOTHING).unwrap();
        assert!(intent(Some(directory.path()), Some(&given)).await.unwrap().is_some());
        let absent = intent(None, Some(&directory.path().join("absent.yaml"))).await.map(drop).unwrap_err();
        assert!(absent.is_usage(), "{absent}");
    }

    #[tokio::test]
    async fn an_intent_is_no_manifest() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
            .unwrap();
        write_intent(directory.path(), NOTHING, false).await.unwrap();
        assert_eq!(load_directory(directory.path(), None).await.unwrap().len(), 1);
    }

    #[test]
    fn each_property_may_be_said_not_to_apply() {
        let schema: serde_json::Value = serde_json::from_str(credence_model::intent::SCHEMA).unwrap();
        let known = schema.pointer("/properties/notApplicable/items/properties/property/enum").unwrap();
        let ids: Vec<String> = PROPERTIES.iter().map(|property| property.meta().id.to_string()).collect();
        assert_eq!(*known, serde_json::json!(ids));
    }
}
