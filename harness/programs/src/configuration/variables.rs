//! Values for variables of Flux, of the command line and of files.

use std::collections::BTreeMap;
use std::path::Path;

use credence_core::manifest::substitution::is_name;
use credence_core::manifest::{self, Manifest};
use serde_json::Value;

use super::error::ConfigurationError;
use super::parameters::Parameters;

/// All variables that are given a value; none if no file and no variable is given.
///
/// # Errors
/// A file that cannot be read, or has something else than texts.
pub(super) fn given(parameters: &Parameters) -> Result<Option<BTreeMap<String, String>>, ConfigurationError> {
    let mut given = BTreeMap::new();
    for path in &parameters.substitute_from {
        given.extend(of_file(path)?);
    }
    given.extend(parameters.substitute.clone());
    let is_given = !(parameters.substitute_from.is_empty() && parameters.substitute.is_empty());
    Ok(is_given.then(|| in_one_line(given)))
}

/// Values as Flux puts them into a text: without ends of lines, so that no line moves.
///
/// Source: github.com/fluxcd/pkg, `kustomize/kustomize_varsub.go`.
pub(super) fn in_one_line(values: BTreeMap<String, String>) -> BTreeMap<String, String> {
    values.into_iter().map(|(name, value)| (name, value.replace('\n', ""))).collect()
}

/// The variables in a file: a mapping of names to texts, or a ConfigMap with one.
fn of_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigurationError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigurationError::Named {
        what: "the file of variables",
        path: path.to_owned(),
        source,
    })?;
    let text = manifest::decode(path, bytes)?;
    let mut variables = BTreeMap::new();
    for document in manifest::parse_fields(path, &text)? {
        variables.extend(of_document(&document)?);
    }
    Ok(variables)
}

/// The variables that a document has.
///
/// # Errors
/// Something else than a variable with a text.
pub(super) fn of_document(document: &Manifest) -> Result<BTreeMap<String, String>, ConfigurationError> {
    let at = if document.kind() == "ConfigMap" { "/data" } else { "" };
    let fields = document.object.pointer(at).and_then(Value::as_object);
    let variable = |(name, value): (&String, &Value)| match value {
        Value::String(text) if is_name(name) => Ok((name.clone(), text.clone())),
        _ => {
            let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            Err(ConfigurationError::Variable { at: document.location(&pointer), name: name.clone() })
        }
    };
    fields.into_iter().flatten().map(variable).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn of(text: &str) -> Result<BTreeMap<String, String>, ConfigurationError> {
        let file = file(text);
        let substitute = [("B".to_owned(), "given\nhere".to_owned())].into();
        let substitute_from = vec![file.path().to_owned()];
        let given = given(&Parameters { substitute, substitute_from, ..Parameters::default() })?;
        Ok(given.unwrap_or_default())
    }

    #[rstest]
    #[case::mapping("A: \"1\"\nB: x\n")]
    #[case::config_map("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {A: \"1\", B: x}\n")]
    fn variables_are_those_of_files_and_over_them_those_given(#[case] text: &str) {
        let expected = [("A", "1"), ("B", "givenhere")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(of(text).unwrap(), expected.into());
    }

    #[rstest]
    #[case::number("A: x\nC: 1\n", ":2:1: C is no name of a variable with a text")]
    #[case::name("a-b: hunter2\n", ":1:1: a-b is no name of a variable")]
    fn what_is_no_variable_is_refused_with_its_place(#[case] text: &str, #[case] refusal: &str) {
        let shown = of(text).unwrap_err().to_string();
        assert!(shown.contains(refusal) && !shown.contains("hunter2"), "{shown}");
    }
}
