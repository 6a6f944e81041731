//! The keys of `dataFrom` after its `rewrite`, and what their values are made of then.
//!
//! Source: External Secrets Operator, `RewriteMap`, `RewriteMerge`, `RewriteRegexp` and `ValidateKeys`
//! (pkg/esutils/utils.go). A refusal here is one of the controller's, or of this model, which then knows no keys.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::config::{
    ConflictPolicy, ConversionStrategy, MergeStrategy, PriorityPolicy, Rewrite, RewriteMerge, SourceRef,
};
use crate::model::{Field, LONGEST_KEY, Origin, Source};

/// Why the keys after a rewrite are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnknownKeys {
    #[error("the expression {0:?} may mean something else to the controller than here")]
    Expression(String),
    #[error("the template {0:?} does more than trim .value, replace parts of it or change its case")]
    Transform(String),
    #[error("merge reads JSON whose members are not known beforehand")]
    Members,
    #[error("merge has no into, without which the controller refuses strategy JSON")]
    NoInto,
    #[error("merge gives priority to {0:?}, which does not exist, so the controller refuses it")]
    NoPriority(String),
    #[error("{0:?} is in two of the merged values, which the controller refuses unless conflictPolicy is Ignore")]
    Conflict(String),
    #[error("{0:?} is not a valid key of a Secret, so the controller refuses it")]
    NoKey(String),
}

impl UnknownKeys {
    /// True if the controller refuses it whatever else there is at home.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::NoInto | Self::NoKey(_))
    }
}

/// The keys as the controller converts them where nothing rewrites them. Of two that become the same, neither has an origin: the
/// controller refuses them (`ConvertKeys`, pkg/esutils/utils.go).
pub(super) fn convert(strategy: ConversionStrategy, fields: Vec<Field>) -> Vec<Field> {
    renamed(fields, |key| strategy.convert(key))
}

/// Applies the steps in order, with `sources` for the members of those that are read whole.
///
/// Where two values get one key, which of them has it is chance, so that the field has no origin any more.
pub(super) fn apply(
    steps: &[Rewrite],
    fields: Vec<Field>,
    sources: &BTreeMap<SourceRef, Source>,
) -> Result<Vec<Field>, UnknownKeys> {
    let mut fields = fields;
    for step in steps {
        fields = match step {
            Rewrite { merge: Some(merge), .. } => merged(merge, fields, sources)?,
            Rewrite { regexp: Some(regexp), .. } => {
                let replaced = expression(&regexp.source)?;
                renamed(fields, |key| replaced.replace_all(key, &*regexp.target).into_owned())
            }
            Rewrite { transform: Some(transform), .. } => {
                let text = &transform.template;
                let transform = Transform::of(text).ok_or_else(|| UnknownKeys::Transform(text.clone()))?;
                renamed(fields, |key| transform.apply(key))
            }
            Rewrite { .. } => fields,
        };
    }
    // Keys that became empty are left out.
    fields.retain(|field| !field.secret_key.is_empty());
    let is_key = |key: &str| {
        key.len() <= LONGEST_KEY && key.chars().all(|c| c.is_ascii_alphanumeric() || ['-', '.', '_'].contains(&c))
    };
    match fields.iter().find(|field| !is_key(&field.secret_key)) {
        Some(field) => Err(UnknownKeys::NoKey(field.secret_key.clone())),
        None => Ok(fields),
    }
}

/// The key that the steps make `name` of, as far as it can be guessed: what they keep, what they put a text around, or the same in other
/// letters.
pub(in crate::model) fn original(steps: &[Rewrite], name: &str) -> Option<String> {
    let mut guesses = vec![name.to_owned(), name.to_lowercase(), name.to_uppercase()];
    for regexp in steps.iter().rev().filter_map(|step| step.regexp.as_ref()) {
        let Some((before, group)) = regexp.target.split_once('$') else { continue };
        let after = group.trim_start_matches(|letter: char| letter.is_ascii_digit() || "{}".contains(letter));
        let inside = |guess: &String| Some(guess.strip_prefix(before)?.strip_suffix(after)?.to_owned());
        let more: Vec<String> = guesses.iter().filter_map(inside).collect();
        guesses.extend(more);
    }
    guesses.into_iter().find(|guess| !guess.is_empty() && result(steps, guess).as_deref() == Some(name))
}

/// The key that the steps make of one key; none if that is not known.
fn result(steps: &[Rewrite], key: &str) -> Option<String> {
    steps.iter().try_fold(key.to_owned(), |key, step| match step {
        Rewrite { merge: Some(_), .. } => None,
        Rewrite { regexp: Some(regexp), .. } => {
            Some(expression(&regexp.source).ok()?.replace_all(&key, &*regexp.target).into_owned())
        }
        Rewrite { transform: Some(transform), .. } => Some(Transform::of(&transform.template)?.apply(&key)),
        Rewrite { .. } => Some(key),
    })
}

fn renamed(fields: Vec<Field>, name: impl Fn(&str) -> String) -> Vec<Field> {
    let mut all: BTreeMap<String, Field> = BTreeMap::new();
    for field in fields {
        let key = name(&field.secret_key);
        let is_taken = all.contains_key(&key);
        let origin = field.origin.filter(|_| !is_taken);
        all.insert(key.clone(), Field { secret_key: key, origin, ..field });
    }
    all.into_values().collect()
}

/// An expression of Go, if it means the same in Rust. Keys are ASCII, so that classes do not differ in what they match.
fn expression(text: &str) -> Result<Regex, UnknownKeys> {
    let unknown = || UnknownKeys::Expression(text.to_owned());
    // Sets of classes, flags, boundaries and escapes that Go reads otherwise or not at all.
    let differs = ["&&", "--", "~~", "[[", "(?x", r"\b{", r"\<", r"\>", r"\u", r"\U", r"\C", r"\Q", r"\E"];
    let is_same = !differs.iter().any(|part| text.replace("[[:", "").contains(part));
    Regex::new(text).ok().filter(|_| is_same).ok_or_else(unknown)
}

/// A template over a key of which the result is known.
struct Transform(Vec<Piece>);

enum Piece {
    Text(String),
    Value(Vec<Step>),
}

enum Step {
    Upper,
    Lower,
    TrimPrefix(String),
    TrimSuffix(String),
    Replace(String, String),
}

impl Transform {
    fn of(template: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, behind) = after.split_once("}}")?;
            // Marks at the braces take white space away with them.
            if action.starts_with('-') || action.ends_with('-') {
                return None;
            }
            let mut calls = action.split('|').map(str::trim);
            if calls.next() != Some(".value") {
                return None;
            }
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Value(calls.map(Step::of).collect::<Option<_>>()?));
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Some(Self(pieces))
    }

    fn apply(&self, key: &str) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(steps) => steps.iter().fold(key.to_owned(), |text, step| step.apply(&text)),
        });
        pieces.collect()
    }
}

impl Step {
    /// Source: `strings.ToUpper` and others of Go, by the names that Sprig gives them.
    fn of(call: &str) -> Option<Self> {
        let words: Vec<&str> = call.split_whitespace().collect();
        let text = |word: &str| {
            let inside = word.strip_prefix('"')?.strip_suffix('"')?;
            (!inside.contains(['"', '\\'])).then(|| inside.to_owned())
        };
        match words.as_slice() {
            ["upper"] => Some(Self::Upper),
            ["lower"] => Some(Self::Lower),
            ["trimPrefix", prefix] => Some(Self::TrimPrefix(text(prefix)?)),
            ["trimSuffix", suffix] => Some(Self::TrimSuffix(text(suffix)?)),
            ["replace", from, to] => Some(Self::Replace(text(from)?, text(to)?)),
            _ => None,
        }
    }

    fn apply(&self, text: &str) -> String {
        match self {
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::TrimPrefix(prefix) => text.strip_prefix(prefix.as_str()).unwrap_or(text).to_owned(),
            Self::TrimSuffix(suffix) => text.strip_suffix(suffix.as_str()).unwrap_or(text).to_owned(),
            Self::Replace(from, to) => text.replace(from.as_str(), to),
        }
    }
}

/// The merged values: a key for each member, or a document beside the values.
fn merged(
    merge: &RewriteMerge,
    fields: Vec<Field>,
    sources: &BTreeMap<SourceRef, Source>,
) -> Result<Vec<Field>, UnknownKeys> {
    let mut members: BTreeMap<String, Field> = BTreeMap::new();
    let mut order: Vec<SourceRef> = Vec::new();
    for field in in_order(merge, &fields)? {
        let Some(Origin::Document { sources: whole }) = &field.origin else { return Err(UnknownKeys::Members) };
        for (key, source) in keys_of(whole, sources) {
            let of = Box::new(Origin::Document { sources: vec![source.clone()] });
            let origin = Some(Origin::Part { of, path: vec![key.clone()] });
            let member =
                Field { secret_key: key.clone(), source, property: Some(key.clone()), origin, ..field.clone() };
            if members.insert(key.clone(), member).is_some() && merge.conflict_policy == ConflictPolicy::Error {
                return Err(UnknownKeys::Conflict(key));
            }
        }
        order.extend(whole.iter().cloned());
    }
    match merge.strategy {
        MergeStrategy::Extract => Ok(members.into_values().collect()),
        MergeStrategy::Json if merge.into.is_empty() => Err(UnknownKeys::NoInto),
        MergeStrategy::Json => {
            let Some(last) = fields.last().cloned() else { return Ok(fields) };
            let document =
                Field { secret_key: merge.into.clone(), origin: Some(Origin::Document { sources: order }), ..last };
            let others = fields.into_iter().filter(|field| field.secret_key != merge.into);
            Ok(others.chain([document]).collect())
        }
    }
}

/// The values in the order in which they are merged: by key, and those with priority at the end.
fn in_order<'a>(merge: &RewriteMerge, fields: &'a [Field]) -> Result<Vec<&'a Field>, UnknownKeys> {
    let mut order: Vec<&Field> = fields.iter().filter(|field| !merge.priority.contains(&field.secret_key)).collect();
    order.sort_by(|one, other| one.secret_key.cmp(&other.secret_key));
    for key in &merge.priority {
        match fields.iter().find(|field| field.secret_key == *key) {
            Some(field) => order.push(field),
            None if merge.priority_policy == PriorityPolicy::IgnoreNotFound => {}
            None => return Err(UnknownKeys::NoPriority(key.clone())),
        }
    }
    Ok(order)
}

/// The keys of sources as one document has them, each with the last source that has it.
fn keys_of(whole: &[SourceRef], sources: &BTreeMap<SourceRef, Source>) -> BTreeMap<String, SourceRef> {
    let none = BTreeSet::new();
    let keys = whole.iter().flat_map(|source| {
        let keys = sources.get(source).map_or(&none, |about| &about.keys);
        keys.iter().map(move |key| (key.clone(), source.clone()))
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn source(name: &str) -> SourceRef {
        SourceRef::secret("central", name)
    }

    fn sources() -> BTreeMap<SourceRef, Source> {
        let all = [("a", &["user", "token"][..]), ("b", &["token", "url"])];
        let about = |keys: &[&str]| Source {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            secret_type: "Opaque".to_owned(),
            tags: BTreeSet::new(),
        };
        all.into_iter().map(|(name, keys)| (source(name), about(keys))).collect()
    }

    fn field(key: &str, source: SourceRef, origin: Origin) -> Field {
        Field { secret_key: key.to_owned(), source, store: "s".to_owned(), property: None, origin: Some(origin) }
    }

    fn steps(text: &str) -> Vec<Rewrite> {
        serde_yaml::from_str(text).unwrap()
    }

    /// Keys that a step makes of those of `a`, or of `a` and `b` as they are found.
    fn rewritten(step: &str, found: bool) -> Result<Vec<String>, UnknownKeys> {
        let values: Vec<Field> = if found {
            let whole = |name| Origin::Document { sources: vec![source(name)] };
            ["a", "b"].map(|name| field(name, source(name), whole(name))).into()
        } else {
            ["token", "user"].map(|key| field(key, source("a"), Origin::value(&source("a"), key))).into()
        };
        let steps = steps(step);
        let shown = |origin: &Origin| match origin {
            Origin::Value { source, key } => format!("{}.{key}", source.name),
            Origin::Part { of, path } => match &**of {
                Origin::Document { sources } => format!("{}.{}", sources[0].name, path[0]),
                other => format!("{other:?}"),
            },
            Origin::Document { sources } => {
                sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join("+")
            }
            other => format!("{other:?}"),
        };
        let fields = apply(&steps, values, &sources())?;
        Ok(fields
            .iter()
            .map(|field| {
                format!("{}={}", field.secret_key, field.origin.as_ref().map_or_else(|| "?".to_owned(), shown))
            })
            .collect())
    }

    #[rstest]
    #[case::prefix("[{regexp: {source: '^', target: APP_}}]", &["APP_token=a.token", "APP_user=a.user"])]
    #[case::group("[{regexp: {source: '^(.)(.*)$', target: '${2}_$1'}}]", &["oken_t=a.token", "ser_u=a.user"])]
    #[case::longest_name("[{regexp: {source: '(t)', target: '$1x'}}]", &["oken=a.token", "user=a.user"])]
    #[case::every_match("[{regexp: {source: 'e', target: '3'}}]", &["tok3n=a.token", "us3r=a.user"])]
    #[case::same_key("[{regexp: {source: '.+', target: all}}]", &["all=?"])]
    #[case::emptied("[{regexp: {source: '^token$', target: ''}}]", &["user=a.user"])]
    #[case::two_steps(
        "[{regexp: {source: user, target: name}}, {transform: {template: 'X_{{ .value | upper }}'}}]",
        &["X_NAME=a.user", "X_TOKEN=a.token"]
    )]
    #[case::transform(
        "[{transform: {template: '{{ .value | trimPrefix \"to\" | replace \"e\" \"E\" }}.x'}}]",
        &["kEn.x=a.token", "usEr.x=a.user"]
    )]
    #[case::nothing("[{}]", &["token=a.token", "user=a.user"])]
    fn keys_are_renamed_and_keep_their_origin(#[case] step: &str, #[case] expected: &[&str]) {
        assert_eq!(rewritten(step, false).unwrap(), expected);
    }

    #[rstest]
    #[case::ignoring("{conflictPolicy: Ignore}", &["token=b.token", "url=b.url", "user=a.user"])]
    #[case::with_priority("{conflictPolicy: Ignore, priority: [a]}", &["token=a.token", "url=b.url", "user=a.user"])]
    #[case::absent_priority(
        "{conflictPolicy: Ignore, priority: [c], priorityPolicy: IgnoreNotFound}",
        &["token=b.token", "url=b.url", "user=a.user"]
    )]
    #[case::document("{conflictPolicy: Ignore, strategy: JSON, into: all, priority: [a]}", &["a=a", "b=b", "all=b+a"])]
    fn what_is_found_is_merged_member_by_member(#[case] merge: &str, #[case] expected: &[&str]) {
        assert_eq!(rewritten(&format!("[{{merge: {merge}}}]"), true).unwrap(), expected);
    }

    #[rstest]
    #[case::only_of_rust("[{regexp: {source: '[a-z&&[^t]]', target: x}}]", false, "may mean something else")]
    #[case::only_of_go("[{regexp: {source: '\\Q.\\E', target: x}}]", false, "may mean something else")]
    #[case::look_around("[{regexp: {source: '(?=a)', target: x}}]", false, "may mean something else")]
    #[case::other_function("[{transform: {template: '{{ .value | sha256sum }}'}}]", false, "does more than")]
    #[case::condition("[{transform: {template: '{{ if .value }}a{{ end }}'}}]", false, "does more than")]
    #[case::illegal_key("[{regexp: {source: '^', target: 'a b'}}]", false, "is not a valid key of a Secret")]
    #[case::merged_values("[{merge: {}}]", false, "not known beforehand")]
    #[case::conflict("[{merge: {}}]", true, "in two of the merged values")]
    #[case::no_into("[{merge: {strategy: JSON, conflictPolicy: Ignore}}]", true, "no into")]
    #[case::no_priority("[{merge: {conflictPolicy: Ignore, priority: [c]}}]", true, "does not exist")]
    fn keys_that_are_not_known_are_said_so(#[case] step: &str, #[case] found: bool, #[case] why: &str) {
        let error = rewritten(step, found).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
