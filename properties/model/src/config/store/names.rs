//! Names that a search finds.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::config::Find;

/// Stand-in for any text in a name, one for each name.
const FILLERS: [&str; 2] = ["first", "second"];

/// Names that `find` finds, in the order of the fillers; none if none is known. With `all`, tags are not looked at.
///
/// Source: External Secrets Operator, `find.Matcher` (pkg/find), whose expressions are not anchored. Providers look for a name
/// if there is one, and for tags otherwise; `path` is what the name begins with.
pub(super) fn found(find: &Find, all: bool) -> Vec<String> {
    let path = find.path.as_deref().unwrap_or_default();
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ if name.starts_with(path) => name.to_owned(),
        _ => format!("{}/{}", path.trim_end_matches('/'), name.trim_start_matches('/')),
    };
    let Some(expression) = find.name.as_ref().and_then(|name| name.regexp.as_deref()) else {
        let says_something = all || !path.is_empty() || find.tags.as_ref().is_some_and(|tags| !tags.is_empty());
        return FILLERS.iter().filter(|_| says_something).map(|filler| below(filler)).collect();
    };
    let (Ok(regex), Ok(parsed)) = (Regex::new(expression), regex_syntax::parse(expression)) else { return Vec::new() };
    let made = (0..FILLERS.len()).map(|number| {
        let mut name = String::new();
        write(&parsed, number, &mut name);
        // An expression that matches nothing at all matches in everything.
        if name.is_empty() { FILLERS[number].to_owned() } else { name }
    });
    made.map(|name| below(&name)).filter(|name| regex.is_match(name)).collect()
}

/// Writes a text that an expression matches.
fn write(expression: &Hir, number: usize, text: &mut String) {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => text.extend(letter(class, &FILLERS[number][..1])),
        HirKind::Repetition(repetition) => match repetition.sub.kind() {
            HirKind::Class(class) => {
                let filler = FILLERS[number].chars().cycle();
                let wanted = filler_length(repetition.min, repetition.max, FILLERS[number].len());
                text.extend(filler.take(wanted).filter_map(|filler| letter(class, filler.encode_utf8(&mut [0; 4]))));
            }
            _ => {
                let least = if repetition.max == Some(0) { 0 } else { repetition.min.max(1) };
                (0..least).for_each(|_| write(&repetition.sub, number, text));
            }
        },
        HirKind::Capture(capture) => write(&capture.sub, number, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, number, text)),
        HirKind::Alternation(ways) => write(&ways[number % ways.len()], number, text),
    }
}

/// Number of letters of a class that are written where `least` to `most` may be.
fn filler_length(least: u32, most: Option<u32>, wanted: usize) -> usize {
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    wanted.clamp(least, most.max(least)).min(LONGEST)
}

/// The most letters that are written for one repetition.
const LONGEST: usize = 64;

/// The wanted letter if the class has it, else one that it has and that is usual in names.
fn letter(class: &Class, wanted: &str) -> Option<char> {
    match class {
        Class::Unicode(class) => {
            let has = |letter: &char| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(letter));
            let usual = wanted.chars().take(1).chain("aA0-_./".chars()).find(has);
            usual.or_else(|| Some(class.ranges().first()?.start()))
        }
        Class::Bytes(class) => class.ranges().first().map(|range| char::from(range.start())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::prefix("{name: {regexp: '^prod/app/.*'}}", &["prod/app/first", "prod/app/second"])]
    #[case::group("{name: {regexp: '^(prod|dev)/[^/]+/db$'}}", &["dev/second/db", "prod/first/db"])]
    #[case::escaped("{name: {regexp: 'team\\.[a-z]{3}-\\d+'}}", &["team.fir-00000", "team.sec-000000"])]
    #[case::literal("{name: {regexp: db}}", &["db", "db"])]
    #[case::everything("{name: {regexp: '.*'}}", &["first", "second"])]
    #[case::below_a_path("{name: {regexp: '.+'}, path: /prod/}", &["/prod/first", "/prod/second"])]
    #[case::tags("{tags: {env: prod}}", &["first", "second"])]
    #[case::tags_below_a_path("{tags: {env: prod}, path: prod}", &["prod/first", "prod/second"])]
    fn names_are_made_that_the_search_finds(#[case] find: &str, #[case] expected: &[&str]) {
        let find: Find = serde_yaml::from_str(find).unwrap();
        let mut names = found(&find, false);
        names.sort();
        assert_eq!(names, expected);
    }

    #[rstest]
    #[case::nothing("{}")]
    #[case::no_tags("{tags: {}}")]
    #[case::no_expression("{name: {regexp: '['}}")]
    #[case::a_path_that_excludes_it("{name: {regexp: '^a$'}, path: b}")]
    fn a_search_without_a_known_name_finds_none(#[case] find: &str) {
        assert_eq!(found(&serde_yaml::from_str(find).unwrap(), false), [""; 0]);
    }
}
