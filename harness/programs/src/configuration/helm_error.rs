//! Helm's reason for a chart that does not render, without what it quotes and without values.

use serde_json::Value;

/// Number of characters of a message that are shown.
const LONGEST: usize = 400;

/// A value that is shorter is in too many words to be told from them.
const SHORTEST: usize = 4;

/// Placeholder for what is not shown.
const LEFT_OUT: &str = "…";

/// Values that must not be shown.
#[derive(Default)]
pub(super) struct Values {
    texts: Vec<String>,
    keys: Vec<String>,
}

impl Values {
    /// Adds a file of values; what is no YAML has none.
    pub(super) fn add(&mut self, yaml: &[u8]) {
        if let Ok(value) = serde_yaml::from_slice::<Value>(yaml) {
            self.add_value(&value);
        }
    }

    /// Adds what stands behind the signs of equality of a parameter.
    pub(super) fn add_parameter(&mut self, parameter: &str) {
        self.texts.extend(parameter.split(['=', ',', '{', '}']).skip(1).map(str::to_owned));
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => self.texts.push(number.to_string()),
            Value::String(text) => {
                self.texts.push(text.clone());
                self.texts.extend(text.lines().map(str::to_owned));
            }
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(fields) => {
                self.keys.extend(fields.keys().cloned());
                fields.values().for_each(|value| self.add_value(value));
            }
        }
    }

    /// True for the way to a value as schemas tell it, such as `/stores/0/name`.
    fn lead_to(&self, text: &str) -> bool {
        let is_step = |step: &str| {
            self.keys.iter().any(|key| key == step) || (step.len() < SHORTEST && step.parse::<usize>().is_ok())
        };
        text.strip_prefix('/').is_some_and(|way| way.split('/').all(is_step))
    }

    /// A text without values. A value that is also the name of one is left: it tells nothing.
    fn strike(&self, text: &str) -> String {
        let mut values: Vec<&String> =
            self.texts.iter().filter(|text| text.chars().count() >= SHORTEST && !self.keys.contains(text)).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.into_iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), LEFT_OUT))
    }
}

/// The last place in a message that names a template, with its line and column as far as they are told: the innermost one.
pub(super) fn place(stderr: &str, is_template: impl Fn(&str) -> bool) -> Option<(String, Option<String>)> {
    let words = error(stderr).split(|c: char| c.is_whitespace() || "()\"'`<>,;".contains(c));
    let places = words.filter_map(|word| {
        let (path, rest) = word.split_once(':').map_or((word, None), |(path, rest)| (path, Some(rest)));
        let numbers = rest.map(|rest| {
            let numbers =
                rest.split(':').take_while(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
            numbers.take(2).collect::<Vec<_>>().join(":")
        });
        is_template(path).then(|| (path.to_owned(), numbers.filter(|numbers| !numbers.is_empty())))
    });
    let places: Vec<_> = places.collect();
    places.iter().rev().find(|(_, numbers)| numbers.is_some()).or(places.last()).cloned()
}

/// The reason on one line.
pub(super) fn reason(stderr: &str, values: &Values) -> String {
    let text = error(stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    let text = values.strike(&without_quotations(&text, values));
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}{LEFT_OUT}", &text[..end]),
        None if text.is_empty() => "it says nothing".to_owned(),
        None => text,
    }
}

/// The error itself: warnings before it show values.
fn error(stderr: &str) -> &str {
    const BEGINNING: &str = "Error: ";
    // It would show values, too.
    const HINT: &str = "Use --debug flag";
    let at = stderr.match_indices(BEGINNING).map(|(at, _)| at).find(|at| *at == 0 || stderr[..*at].ends_with('\n'));
    let error = at.map_or("", |at| &stderr[at + BEGINNING.len()..]);
    error.split(HINT).next().unwrap_or_default()
}

/// The text without what stands in quotes, unless that is the way to a value, and without maps as Go prints them.
fn without_quotations(text: &str, values: &Values) -> String {
    let mut shown = String::new();
    let mut before = ' ';
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let behind = &rest[next.len_utf8()..];
        let close = match next {
            '"' | '`' => Some(next),
            // An apostrophe stands behind a letter.
            '\'' if !before.is_alphanumeric() => Some('\''),
            _ => None,
        };
        if let Some(close) = close {
            let end = end_of(behind, close).unwrap_or(behind.len());
            let quoted = behind[..end].trim_end_matches(close);
            shown.push_str(if values.lead_to(quoted) { quoted } else { LEFT_OUT });
            rest = &behind[end..];
        } else if let Some(map) = rest.strip_prefix("map[") {
            shown.push_str(LEFT_OUT);
            rest = map.rfind(']').map_or("", |end| &map[end + 1..]);
        } else {
            shown.push(next);
            rest = behind;
        }
        before = next;
    }
    shown
}

/// The end of what a quotation holds, its sign included.
fn end_of(text: &str, close: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if c == close && !is_escaped {
            return Some(at + c.len_utf8());
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const VALUES: &str = "registry: {password: hunter2, port: 50001, registry: registry}\nkeys: [opensesame]\n";

    fn shown(stderr: &str) -> String {
        let mut values = Values::default();
        values.add(VALUES.as_bytes());
        values.add_parameter("a.b=letmein,c=d");
        reason(stderr, &values)
    }

    #[rstest]
    #[case::nil_pointer(
        "Error: template: a/templates/x.yaml:3:12: executing \"a/templates/x.yaml\" at <.Values.a.b>: nil pointer evaluating interface {}.b\n",
        "template: a/templates/x.yaml:3:12: executing … at <.Values.a.b>: nil pointer evaluating interface {}.b"
    )]
    #[case::warnings(
        "coalesce.go:298: warning: cannot overwrite table with non table for a (map[token:hunter2])\nError: no\n",
        "no"
    )]
    #[case::own_words(
        "Error: execution error at (a/templates/x.yaml:3:4): password hunter2 of registry is bad",
        "execution error at (a/templates/x.yaml:3:4): password … of registry is bad"
    )]
    #[case::quoted("Error: it can't be \"a \\\" b\" or 'c' or `d\ne`", "it can't be … or … or …")]
    #[case::map("Error: wrong type for value; got map[a:[b c]] here", "wrong type for value; got … here")]
    #[case::parameter("Error: a.b is letmein", "a.b is …")]
    #[case::number_and_item("Error: 50001 and opensesame", "… and …")]
    #[case::schema(
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nc:\n- at '/registry/port': 'x' is bad\n\
         - at '/opensesame': no\n",
        "values don't meet the specifications of the schema(s) in the following chart(s): c: - at /registry/port: … is bad - at …: no"
    )]
    #[case::hint("Error: it is bad\n\nUse --debug flag to render out invalid YAML\n", "it is bad")]
    #[case::open_quotation("Error: a \"b", "a …")]
    #[case::nothing("panic: hunter2", "it says nothing")]
    fn a_message_is_shown_without_values(#[case] stderr: &str, #[case] expected: &str) {
        assert_eq!(shown(stderr), expected);
    }

    #[rstest]
    #[case::one("Error: template: a/templates/x.yaml:3:12: executing", Some(("a/templates/x.yaml", Some("3:12"))))]
    #[case::innermost(
        "Error: template: a/templates/x.yaml:3:4: executing \"a/templates/x.yaml\" at <include \"h\" .>: error calling include: \
         template: a/templates/_h.tpl:5:6: executing \"h\" at <.x>: nil pointer",
        Some(("a/templates/_h.tpl", Some("5:6")))
    )]
    #[case::without_column("Error: parse error at (a/templates/x.yaml:2): unclosed action", Some(("a/templates/x.yaml", Some("2"))))]
    #[case::without_line("Error: YAML parse error on a/templates/x.yaml: error converting", Some(("a/templates/x.yaml", None)))]
    #[case::on_several_lines(
        "Error: a/templates/x.yaml:2:9\n  executing \"a/templates/x.yaml\" at <include \"h\" .>:\n    error calling include:\n\
         a/templates/_h.tpl:2:10\n  executing \"h\" at <.Values.q.r>:\n    nil pointer evaluating interface {}.r\n",
        Some(("a/templates/_h.tpl", Some("2:10")))
    )]
    #[case::nowhere("Error: values don't meet the specifications", None)]
    fn the_place_is_that_of_the_innermost_template(
        #[case] stderr: &str,
        #[case] expected: Option<(&str, Option<&str>)>,
    ) {
        let found = place(stderr, |path| path.starts_with("a/templates/"));
        assert_eq!(found, expected.map(|(path, numbers)| (path.to_owned(), numbers.map(str::to_owned))));
    }

    #[test]
    fn a_long_message_is_cut() {
        assert_eq!(shown(&format!("Error: {}", "a ".repeat(1000))).chars().count(), LONGEST + 1);
    }
}
