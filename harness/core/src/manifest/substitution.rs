//! `${VARIABLE}` of Flux: what its kustomize-controller replaces in manifests before it applies them (`spec.postBuild`).
//!
//! Source: github.com/fluxcd/pkg, `envsubst` (a fork of drone/envsubst), and `kustomize/kustomize_varsub.go`. Where Flux puts
//! nothing in the place of a variable without a value, this refuses: distribution would be tested that nobody meant.

use std::collections::{BTreeMap, BTreeSet};

/// A variable in a text cannot be replaced. Shows names, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum SubstitutionError {
    /// It has neither a value nor a default.
    #[error("${{{name}}} has no value and no default; pass --substitute {name}=VALUE, or write ${{{name}:=DEFAULT}}")]
    NoValue { name: String },
    /// The braces do not hold what Flux reads there.
    #[error("${{ is not followed by a variable that Flux can read; write $${{ if the text is meant as it is")]
    Unreadable,
    /// An operator of bash that is not worked out here.
    #[error(
        "${{{name}{operator}…}} cuts or replaces parts of a value, which is not worked out here; use a variable that has the result"
    )]
    Operator { name: String, operator: char },
}

/// Replaces the variables of a text, and notes the names of those that have a value in `used`.
///
/// # Errors
/// The first variable that cannot be replaced.
pub fn substitute(
    text: &str,
    values: &BTreeMap<String, String>,
    used: &mut BTreeSet<String>,
) -> Result<String, SubstitutionError> {
    let mut reader = Reader { rest: text, values, used };
    let mut out = String::new();
    while let Some(at) = reader.rest.find('$') {
        out.push_str(&reader.rest[..at]);
        reader.rest = &reader.rest[at..];
        if let Some(rest) = reader.rest.strip_prefix("$$") {
            (reader.rest, out) = (rest, out + "$");
        } else if let Some(rest) = reader.rest.strip_prefix("${") {
            reader.rest = rest;
            out.push_str(&reader.variable()?);
        } else {
            (reader.rest, out) = (&reader.rest[1..], out + "$");
        }
    }
    Ok(out + reader.rest)
}

/// True if a text has the name of a variable that can be given a value.
///
/// Source: `varsubRegex` of `kustomize_varsub.go`.
pub fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

struct Reader<'a> {
    /// The rest that is not read yet.
    rest: &'a str,
    values: &'a BTreeMap<String, String>,
    used: &'a mut BTreeSet<String>,
}

impl Reader<'_> {
    /// The value of the variable whose opening brace has been read; reads its closing one.
    fn variable(&mut self) -> Result<String, SubstitutionError> {
        if let Some(rest) = self.rest.strip_prefix('#') {
            self.rest = rest;
            let name = self.name()?;
            self.close()?;
            return Ok(self.value(&name)?.chars().count().to_string());
        }
        let name = self.name()?;
        let rest = self.rest;
        // All of these give the default; `:?` and `:+` are no different in Flux.
        let default = [":=", ":-", ":?", ":+", "="].iter().find_map(|operator| rest.strip_prefix(operator));
        if let Some(rest) = default {
            self.rest = rest;
            let default = self.default()?;
            let value = self.values.get(&name).filter(|value| !value.is_empty()).cloned();
            if self.values.contains_key(&name) {
                self.used.insert(name);
            }
            return value.map_or(default, Ok);
        }
        if let Some(case) = [",,", "^^", ",", "^"].into_iter().find(|case| rest.starts_with(case)) {
            self.rest = &rest[case.len()..];
            self.close()?;
            return Ok(cased(&self.value(&name)?, case));
        }
        match rest.chars().next() {
            Some('}') => {
                self.close()?;
                self.value(&name)
            }
            Some(operator @ (':' | '/' | '#' | '%')) => Err(SubstitutionError::Operator { name, operator }),
            _ => Err(SubstitutionError::Unreadable),
        }
    }

    fn name(&mut self) -> Result<String, SubstitutionError> {
        let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_of_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        if name.is_empty() { Err(SubstitutionError::Unreadable) } else { Ok(name.to_owned()) }
    }

    fn close(&mut self) -> Result<(), SubstitutionError> {
        self.rest = self.rest.strip_prefix('}').ok_or(SubstitutionError::Unreadable)?;
        Ok(())
    }

    /// A default up to the closing brace, which may have variables in turn. What is wrong with those matters only where the
    /// default is taken.
    fn default(&mut self) -> Result<Result<String, SubstitutionError>, SubstitutionError> {
        let mut out = Ok(String::new());
        loop {
            let Some(at) = self.rest.find(['$', '}']) else { return Err(SubstitutionError::Unreadable) };
            let (before, rest) = self.rest.split_at(at);
            self.rest = rest;
            let mut next = Ok(before.to_owned());
            let ends = rest.starts_with('}');
            if ends {
                self.close()?;
            } else if let Some(rest) = rest.strip_prefix("${") {
                self.rest = rest;
                next = match self.variable() {
                    Err(error @ SubstitutionError::NoValue { .. }) => Err(error),
                    other => Ok(before.to_owned() + &other?),
                };
            } else {
                self.rest = &rest[1..];
                next = Ok(format!("{before}$"));
            }
            out = match (out, next) {
                (Ok(out), Ok(next)) => Ok(out + &next),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            if ends {
                return Ok(out);
            }
        }
    }

    fn value(&mut self, name: &str) -> Result<String, SubstitutionError> {
        let value = self.values.get(name).cloned();
        let value = value.ok_or_else(|| SubstitutionError::NoValue { name: name.to_owned() })?;
        self.used.insert(name.to_owned());
        Ok(value)
    }
}

fn cased(value: &str, case: &str) -> String {
    let mut letters = value.chars();
    match (case, letters.next()) {
        (",,", _) => value.to_lowercase(),
        ("^^", _) => value.to_uppercase(),
        (_, None) => String::new(),
        (",", Some(first)) => first.to_lowercase().chain(letters).collect(),
        (_, Some(first)) => first.to_uppercase().chain(letters).collect(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn replaced(text: &str) -> Result<String, SubstitutionError> {
        let values = [("TEAM", "Shop"), ("EMPTY", "")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        substitute(text, &values, &mut BTreeSet::new())
    }

    #[rstest]
    #[case::bare("a-${TEAM}-b", "a-Shop-b")]
    #[case::twice("${TEAM}${TEAM}", "ShopShop")]
    #[case::without_braces("$TEAM costs $5", "$TEAM costs $5")]
    #[case::escaped("$${TEAM} $$", "${TEAM} $")]
    #[case::default_not_needed("${TEAM:=x}", "Shop")]
    #[case::default("${NONE:=x y}", "x y")]
    #[case::other_default("${NONE:-x}", "x")]
    #[case::bare_default("${NONE=x}", "x")]
    #[case::default_of_an_empty_value("${EMPTY:-x}", "x")]
    #[case::empty("${EMPTY}", "")]
    #[case::empty_default("${NONE:-}", "")]
    #[case::nested_default("${NONE:-${TEAM}-x}", "Shop-x")]
    #[case::nested_default_not_needed("${TEAM:-${NONE}}", "Shop")]
    #[case::dollar_in_a_default("${NONE:=$x}", "$x")]
    #[case::lower("${TEAM,,}", "shop")]
    #[case::lower_first("${TEAM,}", "shop")]
    #[case::upper("${TEAM^^}", "SHOP")]
    #[case::length("${#TEAM}", "4")]
    fn variables_are_replaced_as_flux_does(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(replaced(text).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case::no_value("${NONE}", "${NONE} has no value and no default; pass --substitute NONE=VALUE")]
    #[case::no_value_in_a_default("${NONE:-${OTHER}}", "${OTHER} has no value")]
    #[case::template("${{ .token }}", "${ is not followed by a variable")]
    #[case::open("a: ${TEAM", "${ is not followed by a variable")]
    #[case::other_default("${NONE-x}", "${ is not followed by a variable")]
    #[case::cut("${TEAM:1:2}", "${TEAM:…} cuts or replaces")]
    fn what_cannot_be_replaced_is_named(#[case] text: &str, #[case] expected: &str) {
        let error = replaced(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn variables_that_have_a_value_are_noted() {
        let values = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())].into();
        let mut used = BTreeSet::new();
        substitute("${A} ${C:-x}", &values, &mut used).unwrap();
        assert_eq!(used, ["A".to_owned()].into());
    }

    #[rstest]
    #[case("_a1", true)]
    #[case("1a", false)]
    #[case("a-b", false)]
    #[case("", false)]
    fn names_are_those_of_flux(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_name(name), expected);
    }
}
