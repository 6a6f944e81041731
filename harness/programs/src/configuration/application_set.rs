//! Applications that an ApplicationSet of Argo CD makes: by a list of parameters, or of the directories of the same tree.
//!
//! Source: Argo CD, applicationset/generators (`list.go`, `git.go`) and applicationset/utils (`Render.RenderTemplateParams`).

use std::collections::BTreeMap;

use credence_core::glob;
use credence_core::manifest::Manifest;
use serde_json::Value;

use super::roots::Roots;

/// Values of parameters, by the names that a template has for them.
type Parameters = BTreeMap<String, String>;

/// The language of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Names of parameters in braces (`fasttemplate`).
    Plain,
    /// Templates of Go (`goTemplate: true`), in which names begin with a dot.
    Go,
}

/// Why the Applications of one are not known, and the field that says so.
pub(super) struct NotFollowed {
    pub(super) at: String,
    pub(super) why: String,
}

impl NotFollowed {
    fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { at: at.into(), why: why.into() }
    }

    /// The same, at a field below the generator of this number.
    fn below(self, generator: usize) -> Self {
        Self { at: format!("/spec/generators/{generator}{}", self.at), ..self }
    }
}

/// Fields of an ApplicationSet and of its generators that change what is made of the template.
const NOT_FOLLOWED: [&str; 1] = ["templatePatch"];
const OF_GENERATORS: [&str; 5] = ["template", "selector", "values", "pathParamPrefix", "elementsYaml"];

/// The Applications that it makes of its template, each with its name and its spec.
///
/// # Errors
/// Why they are not known.
pub(super) fn applications(manifest: &Manifest, roots: &Roots) -> Result<Vec<(String, Value)>, NotFollowed> {
    let spec = &manifest.object["spec"];
    let is_there = |value: &Value| !value.is_null();
    if let Some(field) = NOT_FOLLOWED.into_iter().find(|field| is_there(&spec[*field])) {
        return Err(NotFollowed::new(
            format!("/spec/{field}"),
            format!("{field} changes what is made of the template"),
        ));
    }
    let dialect = if spec["goTemplate"].as_bool() == Some(true) { Dialect::Go } else { Dialect::Plain };
    let template = &spec["template"];
    let mut made = Vec::new();
    for (index, generator) in spec["generators"].as_array().into_iter().flatten().enumerate() {
        for parameters in parameters(generator, dialect, roots).map_err(|fault| fault.below(index))? {
            let filled = filled(template, &parameters).map_err(|NoParameter(name)| {
                let why =
                    format!("its template has {{{{{name}}}}}, which is no name of a parameter that is known here");
                NotFollowed::new("/spec/template", why)
            })?;
            let name = filled.pointer("/metadata/name").and_then(Value::as_str).unwrap_or(manifest.name());
            made.push((name.to_owned(), filled["spec"].clone()));
        }
    }
    let destination = |spec: &Value| {
        let of = |field: &str| spec["destination"][field].as_str().map(str::to_owned);
        (of("server"), of("name"))
    };
    if made.iter().any(|(_, spec)| destination(spec) != destination(&made[0].1)) {
        let why = "its Applications are for several clusters; give the directory of one of them";
        Err(NotFollowed::new("/spec/template/spec/destination", why))
    } else {
        Ok(made)
    }
}

/// A placeholder of a template that is no parameter.
#[derive(Debug, PartialEq, Eq)]
struct NoParameter(String);

/// The sets of parameters that a generator makes.
fn parameters(generator: &Value, dialect: Dialect, roots: &Roots) -> Result<Vec<Parameters>, NotFollowed> {
    let kind = generator.as_object().and_then(|fields| fields.keys().find(|field| *field != "selector"));
    let (kind, own) = match kind {
        Some(kind) => (kind.as_str(), &generator[kind]),
        None => return Ok(Vec::new()),
    };
    let field = OF_GENERATORS.into_iter().find(|field| !own[*field].is_null());
    if let Some(field) = field.or((!generator["selector"].is_null()).then_some("selector")) {
        return Err(NotFollowed::new("", format!("{field} changes what the generator makes")));
    }
    match (kind, own["directories"].as_array()) {
        ("list", _) => {
            let elements = own["elements"].as_array().into_iter().flatten();
            Ok(elements.map(|element| flat(element, dialect)).collect())
        }
        ("git", Some(directories)) => Ok(of_directories(directories, dialect, roots)),
        ("git", None) => Err(NotFollowed::new("/git", "only the directories of a git generator are followed")),
        (other, _) => Err(NotFollowed::new(format!("/{other}"), format!("the generator {other} is not followed"))),
    }
}

/// The parameters of an element of a list, by the way to each text or number of it.
fn flat(element: &Value, dialect: Dialect) -> Parameters {
    fn add(value: &Value, name: &str, found: &mut Parameters) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(field, value)| {
                add(value, &if name.is_empty() { field.clone() } else { format!("{name}.{field}") }, found);
            }),
            Value::String(text) => drop(found.insert(name.to_owned(), text.clone())),
            Value::Number(_) | Value::Bool(_) => drop(found.insert(name.to_owned(), value.to_string())),
            Value::Array(_) | Value::Null => {}
        }
    }
    let mut found = Parameters::new();
    add(element, "", &mut found);
    named(found, dialect)
}

/// Parameters under the names that a template has for them.
fn named(parameters: Parameters, dialect: Dialect) -> Parameters {
    let dot = match dialect {
        Dialect::Plain => "",
        Dialect::Go => ".",
    };
    parameters.into_iter().map(|(name, value)| (format!("{dot}{name}"), value)).collect()
}

/// The parameters of each directory of the tree that an entry names and none excludes.
fn of_directories(entries: &[Value], dialect: Dialect, roots: &Roots) -> Vec<Parameters> {
    let (excluded, wanted): (Vec<&Value>, Vec<&Value>) =
        entries.iter().partition(|entry| entry["exclude"].as_bool() == Some(true));
    let matches = |entry: &&Value, path: &str| entry["path"].as_str().is_some_and(|pattern| is_match(pattern, path));
    let all = roots.directories();
    let found = all.iter().filter(|path| {
        wanted.iter().any(|entry| matches(entry, path)) && !excluded.iter().any(|entry| matches(entry, path))
    });
    found.map(|path| of_directory(path, dialect)).collect()
}

fn of_directory(path: &str, dialect: Dialect) -> Parameters {
    let base = path.rsplit('/').next().unwrap_or(path);
    let normalized: String =
        base.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let (whole, segment, end) = match dialect {
        Dialect::Plain => ("path", "path[", "]"),
        Dialect::Go => ("path.path", "index .path.segments ", ""),
    };
    let mut found = named(
        [(whole, path), ("path.basename", base), ("path.basenameNormalized", normalized.as_str())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        dialect,
    );
    found.extend(path.split('/').enumerate().map(|(at, step)| (format!("{segment}{at}{end}"), step.to_owned())));
    found
}

/// True if a path is one of a pattern, as `path.Match` of Go has it.
fn is_match(pattern: &str, path: &str) -> bool {
    glob::matches(pattern.trim_matches('/'), path)
}

/// A template with its parameters in every text of it.
///
/// # Errors
/// The first of its placeholders that is no parameter.
fn filled(template: &Value, parameters: &Parameters) -> Result<Value, NoParameter> {
    Ok(match template {
        Value::String(text) => Value::String(replaced(text, parameters)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| filled(item, parameters)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| Ok((name.clone(), filled(value, parameters)?));
            Value::Object(fields.iter().map(field).collect::<Result<_, NoParameter>>()?)
        }
        other => other.clone(),
    })
}

fn replaced(text: &str, parameters: &Parameters) -> Result<String, NoParameter> {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once("{{") {
        let (name, after) = behind.split_once("}}").ok_or_else(|| NoParameter(behind.to_owned()))?;
        let name = name.trim();
        shown.push_str(before);
        shown.push_str(parameters.get(name).ok_or_else(|| NoParameter(name.to_owned()))?);
        rest = after;
    }
    Ok(shown + rest)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one_step("apps/*", "apps/shop", true)]
    #[case::only_that_step("apps/*", "apps/shop/prod", false)]
    #[case::in_the_middle("apps/*/prod", "apps/shop/prod", true)]
    #[case::part_of_a_step("apps/sh?p-*", "apps/shop-a", true)]
    #[case::another("apps/sh?p-*", "apps/shop", false)]
    #[case::slashes_around("/apps/shop/", "apps/shop", true)]
    fn a_pattern_is_one_of_go(#[case] pattern: &str, #[case] path: &str, #[case] expected: bool) {
        assert_eq!(is_match(pattern, path), expected);
    }

    #[rstest]
    #[case::plain(Dialect::Plain, "{{path}} {{ path.basename }} {{path[0]}} {{path.basenameNormalized}}")]
    #[case::go(
        Dialect::Go,
        "{{.path.path}} {{ .path.basename }} {{index .path.segments 0}} {{.path.basenameNormalized}}"
    )]
    fn a_directory_has_the_parameters_of_its_path(#[case] dialect: Dialect, #[case] text: &str) {
        let parameters = of_directory("apps/My_Shop", dialect);
        assert_eq!(replaced(text, &parameters).unwrap(), "apps/My_Shop My_Shop apps my-shop");
        assert_eq!(
            replaced("{{ .path.path | upper }}", &parameters).unwrap_err(),
            NoParameter(".path.path | upper".to_owned())
        );
    }
}
