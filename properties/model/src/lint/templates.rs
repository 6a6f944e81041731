//! Templates of copies, as far as their text tells what they do.

use serde_json::Value;

use crate::config::{DeclaredDistribution, spec_in};

/// Actions that give the dot another meaning, or take text from elsewhere.
const SCOPES: [&str; 5] = ["with", "range", "define", "template", "block"];

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    /// Text that stays as it is.
    Text(&'a str),
    /// The text between `{{` and `}}`, without the marks that trim white space.
    Action(&'a str),
}

/// The templates of each key of a copy.
pub(super) fn of<'a>(distributed: &DeclaredDistribution<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let data = spec_in(distributed.object).pointer("/target/template/data").and_then(Value::as_object);
    data.into_iter().flatten().filter_map(|(key, text)| Some((key.as_str(), text.as_str()?)))
}

/// The text of one key that is no template: every copy has it as it is.
pub(super) fn literal<'a>(distributed: &DeclaredDistribution<'a>, key: &str) -> Option<&'a str> {
    of(distributed).find(|(name, text)| *name == key && !text.contains("{{")).map(|(_, text)| text)
}

/// The parts of a template; `None` if an action has no end.
pub(super) fn segments(text: &str) -> Option<Vec<Segment<'_>>> {
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, behind) = after.split_once("}}")?;
        segments.push(Segment::Text(before));
        let action = action.strip_prefix('-').unwrap_or(action);
        segments.push(Segment::Action(action.strip_suffix('-').unwrap_or(action).trim()));
        rest = behind;
    }
    segments.push(Segment::Text(rest));
    Some(segments)
}

/// The actions of a template in which the dot is what was read; none if it may be something else.
pub(super) fn plain_actions(text: &str) -> Vec<&str> {
    let actions: Vec<&str> = segments(text)
        .into_iter()
        .flatten()
        .filter_map(|segment| match segment {
            Segment::Action(action) => Some(action),
            Segment::Text(_) => None,
        })
        .collect();
    let changes_scope = |action: &&str| action.split_whitespace().next().is_some_and(|word| SCOPES.contains(&word));
    if actions.iter().any(changes_scope) { Vec::new() } else { actions }
}

/// The name of the value that an action writes as it is by `.name`.
pub(super) fn field(action: &str) -> Option<&str> {
    let name = action.strip_prefix('.')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some(name)
}

/// True for an action that writes one value as it is: `.name`, or `index . "name"`.
pub(super) fn is_raw(action: &str) -> bool {
    let words: Vec<&str> = action.split_whitespace().collect();
    field(action).is_some() || matches!(words.as_slice(), ["index", ".", name] if is_quoted(name))
}

fn is_quoted(text: &str) -> bool {
    let inside = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.is_some_and(|inside| !inside.contains(['"', '\\']))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_template_is_text_and_actions_in_turn() {
        let expected = [Segment::Text("a "), Segment::Action(".b | quote"), Segment::Text(" c")];
        assert_eq!(segments("a {{- .b | quote -}} c").unwrap(), expected);
        assert_eq!(segments("a {{ .b"), None);
    }

    #[rstest]
    #[case::field(".token", true)]
    #[case::index(r#"index . "a-b""#, true)]
    #[case::encoded(".token | toJson", false)]
    #[case::of_a_field(".token.part", false)]
    #[case::function("now", false)]
    fn a_raw_action_writes_one_value_as_it_is(#[case] action: &str, #[case] expected: bool) {
        assert_eq!(is_raw(action), expected);
    }

    #[test]
    fn where_the_dot_may_be_something_else_no_action_is_plain() {
        assert_eq!(plain_actions("{{ with .a }}{{ .b }}{{ end }}"), Vec::<&str>::new());
        assert_eq!(plain_actions("{{ if .a }}{{ .b }}{{ end }}"), ["if .a", ".b", "end"]);
    }
}
