//! From the text of one file to its objects.

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::yaml_1_1::not_text;
use super::{Manifest, ManifestError};

/// Groups of files that a program reads at its start; they share the layout of objects but no API serves them.
const PROGRAM_CONFIGURATION_GROUPS: [&str; 3] = ["apiserver.config.k8s.io", "audit.k8s.io", "kind.x-k8s.io"];

/// The objects of one file, in order; duplicates are the caller's matter.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    for manifest in parse_all(file, text)? {
        if is_program_configuration(&manifest) {
            continue;
        }
        let missing =
            [("apiVersion", manifest.version()), ("kind", manifest.kind()), ("metadata.name", manifest.name())]
                .into_iter()
                .find_map(|(field, value)| value.is_empty().then_some(field));
        if let Some(missing) = missing {
            return Err(ManifestError::NotAnObject { file: file.to_owned(), line: manifest.line, missing });
        }
        manifests.push(manifest);
    }
    Ok(manifests)
}

/// What a program reads at its start, of one file, in order.
pub(super) fn parse_program_configuration(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    Ok(parse_all(file, text)?.into_iter().filter(is_program_configuration).collect())
}

fn is_program_configuration(manifest: &Manifest) -> bool {
    PROGRAM_CONFIGURATION_GROUPS.contains(&manifest.group())
}

/// Everything in one file that has fields.
fn parse_all(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    if file.extension().is_some_and(|extension| extension == "json") {
        let mut objects = serde_json::Deserializer::from_str(text).into_iter();
        loop {
            let (before, rest) = text.split_at(objects.byte_offset());
            let blank = rest.len() - rest.trim_start().len();
            let line = 1 + before.matches('\n').count() + rest[..blank].matches('\n').count();
            match objects.next() {
                None => return Ok(manifests),
                Some(Ok(object)) => collect(file, line, object, &mut manifests)?,
                Some(Err(source)) => {
                    return Err(ManifestError::Json { file: file.to_owned(), line: source.line(), source });
                }
            }
        }
    }
    for chunk in split(text) {
        let value = chunk.parse(file)?;
        let object = to_json(value).map_err(|reason| ManifestError::NotJson {
            file: file.to_owned(),
            line: chunk.line,
            reason,
        })?;
        collect(file, chunk.line, object, &mut manifests)?;
    }
    let places = not_text(text);
    if !places.is_empty() {
        return Err(ManifestError::NotText { file: file.to_owned(), places });
    }
    Ok(manifests)
}

/// The text of one document.
struct Chunk<'a> {
    text: &'a str,
    /// How many lines of the file precede the text.
    offset: usize,
    /// The 1-based line of the file that holds the first content.
    line: usize,
}

impl<'a> Chunk<'a> {
    /// The chunk, unless it holds nothing but comments, directives and end markers.
    fn with_content(text: &'a str, offset: usize) -> Option<Self> {
        let content = text.lines().position(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with(['#', '%']) && line != "..."
        })?;
        Some(Self { text, offset, line: offset + content + 1 })
    }

    fn parse(&self, file: &Path) -> Result<serde_yaml::Value, ManifestError> {
        let read = |text: &str| {
            let mut value: serde_yaml::Value = serde_yaml::from_str(text)?;
            value.apply_merge()?;
            Ok(value)
        };
        read(self.text).map_err(|error: serde_yaml::Error| {
            // Parsed once more behind blank lines, so that every line the error names is a line of the file.
            let source = read(&format!("{}{}", "\n".repeat(self.offset), self.text)).err().unwrap_or(error);
            ManifestError::Yaml {
                file: file.to_owned(),
                line: source.location().map_or(self.line, |location| location.line()),
                source,
            }
        })
    }
}

/// Splits at lines that are `---`, or start with it and white space; chunks without content are left out.
fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut offset, mut position) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if let Some(rest) = line.strip_prefix("---")
            && (rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            chunks.extend(Chunk::with_content(&text[start..position], offset));
            (start, offset) = (position + "---".len(), number);
        }
        position += line.len();
    }
    chunks.extend(Chunk::with_content(&text[start..], offset));
    chunks
}

fn collect(file: &Path, line: usize, object: Value, manifests: &mut Vec<Manifest>) -> Result<(), ManifestError> {
    if object.is_null() {
        return Ok(());
    }
    if let Value::Object(mut fields) = object {
        if let Some(Value::Array(items)) = fields.get_mut("items") {
            return std::mem::take(items).into_iter().try_for_each(|item| collect(file, line, item, manifests));
        }
        manifests.push(Manifest { file: file.to_owned(), line, object: Value::Object(fields) });
        return Ok(());
    }
    Err(ManifestError::NotAnObject { file: file.to_owned(), line, missing: "fields" })
}

fn to_json(value: serde_yaml::Value) -> Result<Value, &'static str> {
    use serde_yaml::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::String(value) => Value::String(value),
        Yaml::Number(value) => Value::Number(to_json_number(&value)?),
        Yaml::Sequence(items) => items.into_iter().map(to_json).collect::<Result<_, _>>()?,
        Yaml::Mapping(fields) => fields
            .into_iter()
            .map(|(key, value)| Ok((to_json_key(key)?, to_json(value)?)))
            .collect::<Result<Map<_, _>, &'static str>>()?
            .into(),
        Yaml::Tagged(_) => return Err("it has a tag of its own"),
    })
}

fn to_json_number(value: &serde_yaml::Number) -> Result<Number, &'static str> {
    let integer = value.as_i64().map(Number::from);
    integer
        .or_else(|| value.as_u64().map(Number::from))
        .or_else(|| value.as_f64().and_then(Number::from_f64))
        .ok_or("it has a number that is not finite")
}

/// Keys that are numbers or booleans become text, as in sigs.k8s.io/yaml.
fn to_json_key(key: serde_yaml::Value) -> Result<String, &'static str> {
    match key {
        serde_yaml::Value::String(key) => Ok(key),
        serde_yaml::Value::Bool(key) => Ok(key.to_string()),
        serde_yaml::Value::Number(key) => Ok(key.to_string()),
        _ => Err("it has a key that is no scalar"),
    }
}
