//! Texts that a regular expression matches.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A text that an expression matches, if it matches any: where it takes any letters they are those of `filler`, which is not empty,
/// and of alternatives it is the one with this number, counted round.
pub(crate) fn text(expression: &Hir, filler: &str, alternative: usize) -> String {
    let mut text = String::new();
    write(expression, filler, alternative, &mut text);
    text
}

fn write(expression: &Hir, filler: &str, alternative: usize, text: &mut String) {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => text.extend(letter(class, filler.chars().next())),
        HirKind::Repetition(repetition) => match repetition.sub.kind() {
            HirKind::Class(class) => {
                let wanted = filler_length(repetition.min, repetition.max, filler.len());
                text.extend(filler.chars().cycle().take(wanted).filter_map(|wanted| letter(class, Some(wanted))));
            }
            _ => {
                let least = if repetition.max == Some(0) { 0 } else { repetition.min.max(1) };
                (0..least).for_each(|_| write(&repetition.sub, filler, alternative, text));
            }
        },
        HirKind::Capture(capture) => write(&capture.sub, filler, alternative, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, filler, alternative, text)),
        HirKind::Alternation(ways) => write(&ways[alternative % ways.len()], filler, alternative, text),
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
fn letter(class: &Class, wanted: Option<char>) -> Option<char> {
    match class {
        Class::Unicode(class) => {
            let has = |letter: &char| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(letter));
            let usual = wanted.into_iter().chain("aA0-_./".chars()).find(has);
            usual.or_else(|| Some(class.ranges().first()?.start()))
        }
        Class::Bytes(class) => class.ranges().first().map(|range| char::from(range.start())),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::literal("^ab$", "ab")]
    #[case::any_text("^team-.*-prod$", "team-filler-prod")]
    #[case::one_letter("^a.c$", "afc")]
    #[case::letters_of_a_class("^[x-z]{2}[0-9]+$", "xx000000")]
    #[case::an_alternative("^(one|two|three)-(x1|y2)$", "two-y2")]
    #[case::no_more_than_it_takes("^x?y{0}z{3}$", "xzzz")]
    #[case::as_many_as_it_may_have("^[a-z]{2,3}$", "fil")]
    #[case::as_many_as_it_must_have("^[a-z]{8}$", "fillerfi")]
    #[case::a_group_once("^(?:ab)*c$", "abc")]
    #[case::a_group_as_often_as_it_must("^(?:ab){2,}$", "abab")]
    #[case::digits_for_letters("^[0-9_]{2}$", "00")]
    #[case::what_a_class_has_for_what_is_usual("^[é-ü]$", "é")]
    #[case::a_class_of_bytes("^(?-u:[b-d])$", "b")]
    fn a_text_is_one_that_the_expression_matches(#[case] expression: &str, #[case] expected: &str) {
        let made = text(&regex_syntax::parse(expression).unwrap(), "filler", 1);
        assert_eq!(made, expected);
        assert!(Regex::new(expression).unwrap().is_match(&made), "{made}");
    }

    #[test]
    fn alternatives_are_counted_round() {
        let expression = regex_syntax::parse("^(?:one|two|three)$").unwrap();
        let made: Vec<String> = (0..4).map(|number| text(&expression, "filler", number)).collect();
        assert_eq!(made, ["one", "two", "three", "one"]);
    }

    #[test]
    fn no_repetition_is_longer_than_a_name_may_be() {
        let expression = regex_syntax::parse("^[a-z]{100}$").unwrap();
        assert_eq!(text(&expression, "a", 0), "a".repeat(LONGEST));
    }
}
