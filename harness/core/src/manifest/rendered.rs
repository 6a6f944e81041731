//! Objects that Helm rendered, each with the template that it is from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::location::Position;
use super::{Manifest, ManifestError, parse_part};

/// Beginning of each document: with the template that it is from.
///
/// Source: helm `pkg/action/action.go`, `renderResources`.
const SOURCE: &str = "# Source: ";

/// A template of a chart, as a file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTemplate {
    /// Path of the file that has the template.
    pub file: PathBuf,
    /// Text of the template as it is written.
    pub text: Arc<str>,
}

/// Beginning of a document of a template, for the places of what was rendered from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    text: Arc<str>,
    /// The 1-based lines of the document: its first, and the first behind it.
    lines: (usize, usize),
}

impl Template {
    /// The document of a template that says the kind and the name of an object, or the only one that says its kind; the whole
    /// template if none can be told from the others.
    fn of(text: &Arc<str>, manifest: &Manifest) -> Self {
        let starts = text.lines().enumerate().filter(|(_, line)| is_start(line)).map(|(index, _)| index + 1);
        let mut bounds: Vec<usize> = [0].into_iter().chain(starts).collect();
        bounds.push(text.lines().count() + 1);
        let documents: Vec<(usize, usize)> = bounds.windows(2).map(|pair| (pair[0] + 1, pair[1])).collect();
        let says = |lines: &(usize, usize), what: &str| text_of(text, *lines).any(|line| line.trim() == what);
        let of_kind = |lines: &&(usize, usize)| says(lines, &format!("kind: {}", manifest.kind()));
        let kind: Vec<&(usize, usize)> = documents.iter().filter(of_kind).collect();
        let name = format!("name: {}", manifest.name());
        let named: Vec<&(usize, usize)> = kind
            .iter()
            .copied()
            .filter(|lines| {
                text_of(text, **lines).any(|line| line.trim() == name || line.contains(&format!("{{{name}")))
            })
            .collect();
        let lines = match (&named[..], &kind[..]) {
            ([one], _) | (_, [one]) => **one,
            _ => (1, text.lines().count() + 1),
        };
        Self { text: Arc::clone(text), lines }
    }

    /// The line where the object begins: that of its version, or the first of the document that has one.
    fn first_line(&self) -> usize {
        let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with(['#', '{']);
        let numbered = || text_of(&self.text, self.lines).enumerate();
        let line = numbered().find(|(_, line)| line.starts_with("apiVersion:"));
        line.or_else(|| numbered().find(|(_, line)| is_content(line)))
            .map_or(self.lines.0, |(index, _)| self.lines.0 + index)
    }

    /// The place in the template of a position in the text that was rendered: where the same line stands, or the one line with
    /// the same key; the beginning of the object if there is none, or several.
    pub(super) fn position(&self, rendered: &str, start: Position, position: Position) -> Position {
        let beginning = Position { line: self.first_line(), column: 1 };
        let Some(index) = position.line.checked_sub(start.line) else { return beginning };
        let Some(line) = rendered.lines().nth(index).map(str::trim).filter(|line| !line.is_empty()) else {
            return beginning;
        };
        let only = |is_it: &dyn Fn(&str) -> bool| {
            let mut found = text_of(&self.text, self.lines).enumerate().filter(|(_, line)| is_it(line.trim()));
            match (found.next(), found.next()) {
                (Some((index, line)), None) => Some((self.lines.0 + index, line)),
                _ => None,
            }
        };
        let key = line.find(": ").map(|at| &line[..=at]).or_else(|| line.ends_with(':').then_some(line));
        let same_key = |key: &str| only(&|other: &str| other == key || other.starts_with(&format!("{key} ")));
        let same = only(&|other| other == line).map(|(found, written)| (found, written, true));
        match same.or_else(|| same_key(key?).map(|(found, written)| (found, written, false))) {
            Some((found, written, is_same)) => {
                let indent = |text: &str| text.chars().take_while(|c| *c == ' ').count();
                let behind =
                    position.column.saturating_sub(1 + indent(rendered.lines().nth(index).unwrap_or_default()));
                Position { line: found, column: 1 + indent(written) + if is_same { behind } else { 0 } }
            }
            None => beginning,
        }
    }
}

fn is_start(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// The lines of a part of a text.
fn text_of(text: &str, (first, end): (usize, usize)) -> impl Iterator<Item = &str> {
    text.lines().skip(first - 1).take(end - first)
}

/// Parses what Helm rendered of a chart in `directory`. `template` finds the file of a template by the path that Helm has for
/// it. Each object is at its template, on the line where that begins it, as far as that can be told.
///
/// # Errors
/// A document that is not valid or is no Kubernetes object, at its template.
pub fn parse_rendered(
    directory: &Path,
    text: &str,
    template: impl Fn(&str) -> Option<SourceTemplate>,
) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    for document in documents(text) {
        let path = document.lines().find_map(|line| line.strip_prefix(SOURCE)).unwrap_or_default();
        match Some(path.trim()).filter(|path| !path.is_empty()).and_then(&template) {
            None => manifests.extend(parse_part(directory, document)?),
            Some(SourceTemplate { file, text }) => {
                let of_document =
                    parse_part(&file, document).map_err(|error| in_template(error, document, &text, &file))?;
                manifests.extend(of_document.into_iter().map(|manifest| written(manifest, &text)));
            }
        }
    }
    Ok(manifests)
}

/// A fault of a rendered document: told at its place in the template if there may be several, else with the lines of what was
/// rendered.
fn in_template(error: ManifestError, document: &str, text: &Arc<str>, file: &Path) -> ManifestError {
    let whole = Template { text: Arc::clone(text), lines: (1, text.lines().count() + 1) };
    match error {
        ManifestError::NotText { file, mut places } => {
            for place in &mut places {
                let rendered = Position { line: place.line, column: place.column };
                let Position { line, column } = whole.position(document, Position { line: 1, column: 1 }, rendered);
                (place.line, place.column) = (line, column);
            }
            ManifestError::NotText { file, places }
        }
        other => ManifestError::Rendered { template: file.to_owned(), source: Box::new(other) },
    }
}

/// The documents of an output, each from its own beginning.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut starts = vec![0];
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        if is_start(line.trim_end()) {
            starts.push(position);
        }
        position += line.len();
    }
    starts.push(text.len());
    let bounds: Vec<(usize, usize)> = starts.windows(2).map(|pair| (pair[0], pair[1])).collect();
    bounds.into_iter().map(|(from, to)| &text[from..to])
}

fn written(mut manifest: Manifest, text: &Arc<str>) -> Manifest {
    let template = Template::of(text, &manifest);
    manifest.line = template.first_line();
    manifest.source.iter_mut().for_each(|source| source.template = Some(template.clone()));
    manifest
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TEMPLATE: &str = "\
{{- if .Values.stores }}
# The stores.
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata:
  name: {{ .Release.Name }}-a
spec:
  provider:
    kubernetes:
      remoteNamespace: {{ .Values.namespace }}
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: b}
spec:
  controller: {{ .Values.controller }}
  conditions:
    {{- toYaml .Values.conditions | nindent 4 }}
---
apiVersion: v1
kind: Namespace
metadata:
  name: {{ .Values.namespace }}
{{- end }}
";

    const RENDERED: &str = "\
---
# Source: chart/templates/stores.yaml
# The stores.
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata:
  name: shop-a
spec:
  provider:
    kubernetes:
      remoteNamespace: central
---
# Source: chart/templates/stores.yaml
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: b}
spec:
  controller: x
  conditions:
    - namespaces: [a]
---
# Source: chart/templates/stores.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: central
";

    fn parsed(rendered: &str) -> Result<Vec<Manifest>, ManifestError> {
        parse_rendered(Path::new("chart"), rendered, |path| {
            assert_eq!(path, "chart/templates/stores.yaml");
            Some(SourceTemplate { file: "my/chart/templates/stores.yaml".into(), text: TEMPLATE.into() })
        })
    }

    #[test]
    fn each_object_is_where_its_template_begins_it() {
        let manifests = parsed(RENDERED).unwrap();
        let places: Vec<String> =
            manifests.iter().map(|manifest| format!("{}:{}", manifest.file.display(), manifest.line)).collect();
        // Two stores, of which only one has its name written.
        assert_eq!(places[1..], ["my/chart/templates/stores.yaml:12", "my/chart/templates/stores.yaml:20"]);
        assert_eq!(places[0], "my/chart/templates/stores.yaml:3");
    }

    #[rstest]
    #[case::same_line(1, "/metadata/name", (14, 12))]
    #[case::same_key(1, "/spec/controller", (16, 3))]
    #[case::made_by_a_function(1, "/spec/conditions/0/namespaces", (12, 1))]
    #[case::written_nowhere(2, "/spec", (20, 1))]
    #[case::name(2, "/metadata/name", (23, 3))]
    fn a_field_is_where_its_template_has_it(
        #[case] object: usize,
        #[case] pointer: &str,
        #[case] expected: (usize, usize),
    ) {
        let at = parsed(RENDERED).unwrap()[object].location(pointer);
        assert_eq!((at.line, at.column), expected);
    }

    #[test]
    fn a_boolean_where_text_is_due_is_where_the_template_has_its_key() {
        let rendered = RENDERED.replace("  controller: x", "  labels:\n    controller: yes");
        let shown = parsed(&rendered).unwrap_err().to_string();
        assert!(
            shown.contains("stores.yaml as kubectl does: line 16, column 3: yes of spec.labels.controller"),
            "{shown}"
        );
    }

    #[test]
    fn a_document_that_is_no_object_names_its_template() {
        let shown =
            crate::text::chain(&parsed("---\n# Source: chart/templates/stores.yaml\nkind: hunter2\n").unwrap_err());
        assert!(shown.starts_with("failed to read what my/chart/templates/stores.yaml renders to: "), "{shown}");
        assert!(shown.contains("no apiVersion") && !shown.contains("hunter2"), "{shown}");
    }
}
