//! From the text of one file to its objects.

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::events::{self, Reading, Repeated};
use super::location::{Location, Position};
use super::source::Source;
use super::{Manifest, ManifestError, unrendered};

/// Groups of files that a program reads at its start; they share the layout of objects but no API serves them.
const PROGRAM_CONFIGURATION_GROUPS: [&str; 3] = ["apiserver.config.k8s.io", "audit.k8s.io", "kind.x-k8s.io"];

/// The beginning of what SOPS writes in the place of a value.
const ENCRYPTED: &str = "ENC[";

/// The objects of one file, in order; duplicates are the caller's matter.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    for manifest in parse_all(file, text)? {
        if is_program_configuration(&manifest) {
            continue;
        }
        if manifest.kind().starts_with(ENCRYPTED) {
            return Err(ManifestError::Encrypted { at: manifest.location("/kind") });
        }
        let missing =
            [("apiVersion", manifest.version()), ("kind", manifest.kind()), ("metadata.name", manifest.name())]
                .into_iter()
                .find_map(|(field, value)| value.is_empty().then_some(field));
        if let Some(missing) = missing {
            let at = manifest.location(&format!("/{}", missing.replace('.', "/")));
            return Err(ManifestError::NotAnObject { at, missing });
        }
        manifests.push(manifest);
    }
    Ok(manifests)
}

/// Documents that a program reads at its start, of one file, in order.
pub(super) fn parse_program_configuration(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    Ok(parse_all(file, text)?.into_iter().filter(is_program_configuration).collect())
}

fn is_program_configuration(manifest: &Manifest) -> bool {
    PROGRAM_CONFIGURATION_GROUPS.contains(&manifest.group())
}

/// Everything in one file that has fields, of any kind.
pub(super) fn parse_all(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    // kubectl goes by the first character, not by the file's name.
    let may_be_json = || text.trim_start().starts_with('{').then(|| json_chunks(file, text).ok())?;
    let chunks = if is_json { json_chunks(file, text)? } else { may_be_json().unwrap_or_else(|| split(text)) };
    let (mut manifests, mut places) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let reading = events::read(chunk.text, chunk.start);
        let mut object = chunk.read(file, text, &reading)?;
        places.extend(reading.not_text);
        for (pointer, value) in reading.read_otherwise {
            // An alias repeats what its anchor has, and is left as it is read.
            if let Some(read) = object.pointer_mut(&pointer).filter(|read| read.is_string()) {
                *read = value;
            }
        }
        let source = Source { text: chunk.text.into(), start: chunk.start, root: String::new(), template: None };
        collect(file, chunk.line, object, &source, &mut manifests)?;
    }
    if places.is_empty() { Ok(manifests) } else { Err(ManifestError::NotText { file: file.to_owned(), places }) }
}

/// The objects of a stream of JSON.
fn json_chunks<'a>(file: &Path, text: &'a str) -> Result<Vec<Chunk<'a>>, ManifestError> {
    let mut objects = serde_json::Deserializer::from_str(text).into_iter();
    let mut chunks = Vec::new();
    loop {
        let before = objects.byte_offset();
        let json: Value = match objects.next() {
            None => return Ok(chunks),
            Some(Ok(json)) => json,
            Some(Err(source)) => {
                let (line, column) = (source.line(), source.column());
                let at = Location { file: file.to_owned(), line, column };
                return Err(ManifestError::Json { at, source });
            }
        };
        let (blank, chunk) =
            text[before..objects.byte_offset()].split_at(text[before..].len() - text[before..].trim_start().len());
        let start = position_behind(&text[..before + blank.len()]);
        chunks.push(Chunk { text: chunk, start, line: start.line, json: Some(json) });
    }
}

/// The position of what follows a text.
fn position_behind(text: &str) -> Position {
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position { line: 1 + text.matches('\n').count(), column: 1 + last.chars().count() }
}

/// The text of one document.
struct Chunk<'a> {
    text: &'a str,
    /// The place in the file where the text starts.
    start: Position,
    /// The 1-based line of the file that holds the first content.
    line: usize,
    /// Its value, if it is of JSON.
    json: Option<Value>,
}

impl<'a> Chunk<'a> {
    /// The chunk, unless it holds nothing but comments, directives and end markers.
    fn with_content(text: &'a str, start: Position) -> Option<Self> {
        let content = text.lines().position(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with(['#', '%']) && line != "..."
        })?;
        Some(Self { text, start, line: start.line + content, json: None })
    }

    /// The value, as JSON has it.
    fn read(&self, file: &Path, whole: &str, reading: &Reading) -> Result<Value, ManifestError> {
        let located = |at: Position| Location { file: file.to_owned(), line: at.line, column: at.column };
        if let Some(Repeated { path, first, second }) = &reading.repeated {
            return Err(ManifestError::RepeatedKey { path: path.clone(), at: located(*second), first: first.line });
        }
        if let Some(json) = &self.json {
            return Ok(json.clone());
        }
        let fault = match self.parse(file).map(to_json) {
            Ok(Ok(object)) => return Ok(object),
            Ok(Err(reason)) => {
                let at = located(Position { line: self.line, column: 1 });
                ManifestError::NotJson { at, reason }
            }
            Err(fault) => fault,
        };
        // What is no YAML because it is a template is told so.
        Err(match (unrendered::of_helm(whole), reading.collection_as_key) {
            (Some(at), _) => ManifestError::Unrendered { at: located(at) },
            (None, Some(at)) if line_of(whole, at.line).contains("{{") => {
                ManifestError::BareTemplate { at: located(at) }
            }
            (None, _) => fault,
        })
    }

    fn parse(&self, file: &Path) -> Result<serde_yaml::Value, ManifestError> {
        let read = |text: &str| {
            let mut value: serde_yaml::Value = serde_yaml::from_str(text)?;
            value.apply_merge()?;
            Ok(value)
        };
        read(self.text).map_err(|error: serde_yaml::Error| {
            // Parsed once more behind blank lines, so that every line the error names is a line of the file.
            let behind_lines = format!("{}{}", "\n".repeat(self.start.line - 1), self.text);
            let source = read(&behind_lines).err().unwrap_or(error);
            let (line, column) =
                source.location().map_or((self.line, 1), |location| (location.line(), location.column()));
            let hint = hint(&behind_lines);
            ManifestError::Yaml { at: Location { file: file.to_owned(), line, column }, hint, source }
        })
    }
}

fn line_of(text: &str, line: usize) -> &str {
    text.lines().nth(line - 1).unwrap_or_default()
}

/// A usual reason why a text is no YAML, for the end of a message.
fn hint(text: &str) -> &'static str {
    if text.lines().any(|line| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>")) {
        " (a merge was left unfinished: the file has its markers)"
    } else if text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) {
        " (a line begins with a tab: YAML takes spaces only)"
    } else {
        ""
    }
}

/// Splits at lines that are `---`, or start with it and white space; chunks without content are left out.
fn split(text: &str) -> Vec<Chunk<'_>> {
    const MARKER: &str = "---";
    let mut chunks = Vec::new();
    let (mut from, mut start, mut position) = (0, Position { line: 1, column: 1 }, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if let Some(rest) = line.strip_prefix(MARKER)
            && (rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            chunks.extend(Chunk::with_content(&text[from..position], start));
            from = position + MARKER.len();
            start = Position { line: number + 1, column: 1 + MARKER.len() };
        }
        position += line.len();
    }
    chunks.extend(Chunk::with_content(&text[from..], start));
    chunks
}

fn collect(
    file: &Path,
    line: usize,
    object: Value,
    source: &Source,
    manifests: &mut Vec<Manifest>,
) -> Result<(), ManifestError> {
    if object.is_null() {
        return Ok(());
    }
    if let Value::Object(mut fields) = object {
        if let Some(Value::Array(items)) = fields.get_mut("items") {
            let positions = source.positions();
            for (index, item) in std::mem::take(items).into_iter().enumerate() {
                let source = Source { root: format!("{}/items/{index}", source.root), ..source.clone() };
                let line = positions.nearest(&source.root).map_or(line, |at| at.line);
                collect(file, line, item, &source, manifests)?;
            }
            return Ok(());
        }
        let (file, object, source) = (file.to_owned(), Value::Object(fields), Some(source.clone()));
        manifests.push(Manifest { file, line, object, source, patches: Vec::new() });
        return Ok(());
    }
    let at = Location { file: file.to_owned(), line, column: 1 };
    Err(ManifestError::NotAnObject { at, missing: "fields" })
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
