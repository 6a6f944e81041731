//! Names that a search finds.

use regex::Regex;

use crate::config::Find;
use crate::matching;

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
        let name = matching::text(&parsed, FILLERS[number], number);
        // An expression that matches nothing at all matches in everything.
        if name.is_empty() { FILLERS[number].to_owned() } else { name }
    });
    made.map(|name| below(&name)).filter(|name| regex.is_match(name)).collect()
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
