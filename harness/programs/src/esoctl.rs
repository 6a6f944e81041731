//! External Secrets Operator's own template engine, as its command line runs it (`esoctl template`).
//!
//! Values go in by a pipe and come out by another: neither a file nor an argument has one, and what the program says of a
//! template that fails is left out, since it may show a value.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credence_core::credential::Credential;
use credence_core::file_error::FileError;
use credence_core::operator_api::EXTERNAL_SECRETS_API;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The program, and a directory for the templates that it is given.
#[derive(Debug, Clone)]
pub struct TemplateEngine {
    program: PathBuf,
    directory: PathBuf,
}

/// A template was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template cannot be handed over, or the program does not run.
    #[error(transparent)]
    File(#[from] FileError),
    /// The engine refuses the template with these values, as the operator would.
    #[error("the engine refuses the template of {name}, with {status}")]
    Refused {
        /// The name of what has the template.
        name: String,
        /// The status of the program.
        status: ExitStatus,
    },
    /// The program prints something else than a Secret.
    #[error("the engine made no Secret of the template of {name}")]
    NoSecret {
        /// The name of what has the template.
        name: String,
    },
}

impl TemplateEngine {
    /// Runs `program`, and keeps templates in `directory`.
    pub fn new(program: &Path, directory: &Path) -> Self {
        Self { program: program.to_owned(), directory: directory.to_owned() }
    }

    /// The data that a `template` makes of `values`, which have the keys that templates know them by. All fields that the CRD has
    /// defaults for must be there. `name` tells templates apart.
    ///
    /// # Errors
    /// When the program cannot be run, or refuses.
    pub async fn render(
        &self,
        name: &str,
        template: &Value,
        values: &BTreeMap<String, Credential>,
    ) -> Result<BTreeMap<String, Credential>, RenderError> {
        let path = self.directory.join(format!("template-{}.json", name.replace('/', ".")));
        let object = json!({ "apiVersion": EXTERNAL_SECRETS_API, "kind": "ExternalSecret",
            "metadata": { "name": "template" }, "spec": { "target": { "template": template } } });
        // The same template is the same file, whoever writes it.
        let written = tokio::fs::write(&path, object.to_string()).await;
        written.map_err(FileError::of::<RenderError>("write the template to", &path))?;
        let ended = self.run(&path, values).await;
        let (status, printed) = ended.map_err(FileError::of::<RenderError>("run", &self.program))?;
        if !status.success() {
            return Err(RenderError::Refused { name: name.to_owned(), status });
        }
        data(&printed).ok_or_else(|| RenderError::NoSecret { name: name.to_owned() })
    }

    /// The same; none if the engine refuses: the operator does so, too, and there is no copy.
    ///
    /// # Errors
    /// When the program cannot be run, or prints something else than a Secret.
    pub async fn render_if_taken(
        &self,
        name: &str,
        template: &Value,
        values: &BTreeMap<String, Credential>,
    ) -> Result<Option<BTreeMap<String, Credential>>, RenderError> {
        match self.render(name, template, values).await {
            Err(RenderError::Refused { .. }) => Ok(None),
            made => made.map(Some),
        }
    }

    async fn run(&self, template: &Path, values: &BTreeMap<String, Credential>) -> io::Result<(ExitStatus, Vec<u8>)> {
        let encoded: BTreeMap<&String, String> =
            values.iter().map(|(key, value)| (key, STANDARD.encode(value.expose()))).collect();
        let input = serde_json::to_vec(&encoded)?;
        let mut command = Command::new(&self.program);
        command.args(["template", "--source-secret-data-file", "/dev/stdin", "--source-templated-object"]);
        command.arg(template).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn()?;
        // It was asked for above. Dropped when all is written, so that the program sees the end.
        let mut pipe = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let write = async move {
            // A program that ends early says so by its status.
            pipe.write_all(&input).await.ok();
            drop(pipe);
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output?;
        Ok((output.status, output.stdout))
    }
}

/// The data of a Secret in YAML.
fn data(printed: &[u8]) -> Option<BTreeMap<String, Credential>> {
    let secret: Value = serde_yaml::from_slice(printed).ok()?;
    let Some(data) = secret.as_object()?.get("data") else { return Some(BTreeMap::new()) };
    let decoded = data.as_object()?.iter().map(|(key, value)| {
        // An empty value is written as null or as an empty text.
        let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).ok()?;
        Some((key.clone(), Credential::new(bytes)))
    });
    decoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_a_printed_secret_are_decoded() {
        let printed = b"data:\n  a: aGk=\n  b: \"\"\nmetadata:\n  creationTimestamp: null\n";
        let expected = [("a", "hi"), ("b", "")].map(|(key, value)| (key.to_owned(), Credential::new(value)));
        assert_eq!(data(printed), Some(BTreeMap::from(expected)));
        assert_eq!(data(b"metadata: {}\n"), Some(BTreeMap::new()));
        assert_eq!(data(b"data: {a: '%'}\n"), None);
    }

    #[tokio::test]
    async fn values_go_in_by_a_pipe_and_a_refusal_shows_none() {
        let directory = tempfile::tempdir().unwrap();
        let values = BTreeMap::from([("token".to_owned(), Credential::new("hunter2"))]);
        // Takes all that it is given, and refuses.
        let engine = TemplateEngine::new(Path::new("/bin/false"), directory.path());
        let error = engine.render("a/b", &json!({ "data": {} }), &values).await.unwrap_err();
        assert!(matches!(error, RenderError::Refused { .. }), "{error}");
        let written = std::fs::read_to_string(directory.path().join("template-a.b.json")).unwrap();
        assert!(!format!("{written}{error}{error:?}").contains("hunter2"));
        let missing = TemplateEngine::new(Path::new("/nowhere/esoctl"), directory.path());
        let error = missing.render("a", &json!({}), &values).await.unwrap_err();
        assert!(error.to_string().starts_with("failed to run "), "{error}");
    }
}
