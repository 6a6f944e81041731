//! Stable names of properties, cases and requirements, and their strict text forms.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: expected {expected}")]
pub struct ParseIdError {
    /// The text as given.
    pub text: String,
    /// The kind that it should name.
    pub kind: &'static str,
    /// The form that names have.
    pub expected: &'static str,
}

impl ParseIdError {
    fn property(text: &str) -> Self {
        Self { text: text.into(), kind: "property id", expected: "p and two digits, such as p03" }
    }

    fn case(text: &str) -> Self {
        Self { text: text.into(), kind: "case id", expected: "PROPERTY:SEED:INDEX, such as p03:42:7" }
    }

    fn requirement(text: &str) -> Self {
        Self { text: text.into(), kind: "requirement", expected: "1.1 to 5.5" }
    }
}

/// Number of a property, 1 to 99, shown as `p01`; the registry knows which ones exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PropertyId(u8);

impl PropertyId {
    /// Names property `number`.
    ///
    /// # Panics
    /// If `number` is not 1 to 99; in a `const`, that is a compile error.
    pub const fn new(number: u8) -> Self {
        assert!(number >= 1 && number <= 99, "a property is numbered 1 to 99");
        Self(number)
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:02}", self.0)
    }
}

impl FromStr for PropertyId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix('p').and_then(|digits| digits.parse().ok());
        match number.filter(|number| (1..=99).contains(number)).map(Self) {
            // Only the canonical form names a property, so that ids compare as text everywhere.
            Some(id) if id.to_string() == text => Ok(id),
            _ => Err(ParseIdError::property(text)),
        }
    }
}

/// A generated case, shown as `p03:SEED:INDEX`, from which it can be generated again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseId {
    /// The property it is a case of.
    pub property: PropertyId,
    /// The seed of the run.
    pub seed: u64,
    /// Number of the case in the run, from 0.
    pub index: u32,
}

impl CaseId {
    /// The id as a part of file names: `p03-42-7`.
    pub fn file_stem(&self) -> String {
        format!("{}-{}-{}", self.property, self.seed, self.index)
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.property, self.seed, self.index)
    }
}

impl FromStr for CaseId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (property, rest) = text.split_once(':')?;
            let (seed, index) = rest.split_once(':')?;
            Some(Self { property: property.parse().ok()?, seed: seed.parse().ok()?, index: index.parse().ok()? })
        };
        match parse() {
            Some(id) if id.to_string() == text => Ok(id),
            _ => Err(ParseIdError::case(text)),
        }
    }
}

/// Number of an acceptance criterion, `1.1` to `5.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    area: u8,
    number: u8,
}

impl Requirement {
    /// Names requirement `area.number`.
    ///
    /// # Panics
    /// If either is not 1 to 5; in a `const`, that is a compile error.
    pub const fn new(area: u8, number: u8) -> Self {
        assert!(area >= 1 && area <= 5 && number >= 1 && number <= 5, "requirements are 1.1 to 5.5");
        Self { area, number }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.area, self.number)
    }
}

impl FromStr for Requirement {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match *text.as_bytes() {
            [area @ b'1'..=b'5', b'.', number @ b'1'..=b'5'] => Ok(Self::new(area - b'0', number - b'0')),
            _ => Err(ParseIdError::requirement(text)),
        }
    }
}

macro_rules! serde_as_text {
    ($($id:ty),+) => {$(
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

serde_as_text!(PropertyId, CaseId, Requirement);

/// The user agent and field manager of a case.
pub fn agent(case: CaseId) -> String {
    format!("credence/{case}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{CaseId, PropertyId, Requirement};

    #[rstest]
    fn property_ids_have_one_form(#[values("p01", "p15", "p99")] text: &str) {
        assert_eq!(text.parse::<PropertyId>().expect("valid").to_string(), text);
    }

    #[rstest]
    fn anything_else_is_no_property_id(
        #[values("", "p", "p1", "p00", "p001", "p100", "P01", "p+1", " p01", "p01 ", "3")] text: &str,
    ) {
        let error = text.parse::<PropertyId>().expect_err("invalid").to_string();
        assert!(error.contains(&format!("{text:?}")) && error.contains("such as p03"), "{error}");
    }

    #[test]
    fn case_ids_round_trip() {
        let id = CaseId { property: PropertyId::new(3), seed: u64::MAX, index: 7 };
        assert_eq!(id.to_string(), "p03:18446744073709551615:7");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[rstest]
    fn anything_else_is_no_case_id(
        #[values(
            "p03",
            "p03:1",
            "p03:1:",
            "p03:1:2:3",
            "p03:-1:2",
            "p03:+1:2",
            "p03:01:2",
            "p03:1:4294967296",
            "x:1:2"
        )]
        text: &str,
    ) {
        assert!(text.parse::<CaseId>().is_err());
    }

    #[rstest]
    #[case("1.1", Some(Requirement::new(1, 1)))]
    #[case("5.5", Some(Requirement::new(5, 5)))]
    #[case("0.1", None)]
    #[case("1.6", None)]
    #[case("1.10", None)]
    #[case("1,1", None)]
    fn requirements_are_one_to_five_in_five_areas(#[case] text: &str, #[case] expected: Option<Requirement>) {
        assert_eq!(text.parse().ok(), expected);
    }

    #[test]
    fn ids_are_written_as_text_and_into_names_of_files() {
        let id = CaseId { property: PropertyId::new(3), seed: 42, index: 7 };
        assert_eq!(id.file_stem(), "p03-42-7");
        assert_eq!(super::agent(id), "credence/p03:42:7");
        let all = (PropertyId::new(3), id, Requirement::new(2, 4));
        let written = serde_json::to_string(&all).unwrap();
        assert_eq!(written, r#"["p03","p03:42:7","2.4"]"#);
        assert_eq!(serde_json::from_str::<(PropertyId, CaseId, Requirement)>(&written).unwrap(), all);
        assert!(serde_json::from_str::<Requirement>(r#""2.6""#).is_err());
    }
}
