//! Values that a source may have, so that all who read it can: the API server, ESO and its templates, and consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use credence_core::credential::Credential;

/// Values that a source may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueKind {
    /// Any bytes, and none: it is only taken over as it is.
    Bytes,
    /// Any text, also an empty one.
    Text,
    /// Any text but an empty one, which readers take for a missing value.
    SomeText,
    /// A text that is not empty and has no colon, which ends a user name in HTTP basic authentication (RFC 7617).
    UserName,
    /// Printable characters of ASCII without a colon, so that no reader takes offence: what `nullBytePolicy: Fail` lets pass.
    Printable,
    /// Letters and digits, at most 63, of which a label's value may be.
    Label,
    /// A URL, which a function of templates parses.
    Url,
    /// Base64 of a value of this kind.
    Base64(Alphabet, Box<Self>),
    /// A document in JSON that holds this, and is parsed as that.
    Document(Document, Notation),
    /// A Docker configuration: a JSON document with logins, which the API server parses.
    ///
    /// Source: Kubernetes, `ValidateSecret` (pkg/apis/core/validation/validation.go).
    DockerConfig {
        /// Hosts for which there must be a login.
        hosts: BTreeSet<String>,
    },
    /// A Docker configuration in the form before: the logins alone. The API server parses it as well.
    DockerCfg,
    /// A certificate and those that sign it, in PEM.
    Certificates,
    /// A private key in PEM.
    PrivateKey,
    /// A private key and its certificates in one text of PEM.
    PemBundle,
    /// A private key as OpenSSH writes it.
    SshPrivateKey,
    /// A private key and its certificates in a PKCS#12 file, which is no text, with a password if there is one.
    Pkcs12(Option<Password>),
}

/// The password of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// The password that a template writes itself.
    Text(Credential),
    /// The value of this key of the same source.
    Key(String),
    /// The value that has this name where the file is read.
    Value(String),
}

/// An alphabet of base64 (RFC 4648, sections 4 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// The one with `+` and `/`.
    Standard,
    /// The one with `-` and `_`.
    UrlSafe,
}

/// Notations that a document is parsed as. Not all that JSON allows in a text does YAML allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// It is parsed as JSON alone.
    Json,
    /// It is parsed as YAML, maybe as JSON as well.
    Yaml,
}

/// Contents that a document must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// An object of any fields; within another document, any text.
    Any,
    /// A text with a value of this kind.
    Value(Box<ValueKind>),
    /// An object with these fields, among others.
    Object(BTreeMap<String, Self>),
    /// An array of this many elements at least.
    Array(usize, Box<Self>),
    /// An array or an object whose elements or members are all of this; an object if it has members by name.
    Each {
        /// True if an object is more likely.
        is_by_name: bool,
        /// Contents of each element or member.
        each: Box<Self>,
        /// Members that it must have, each of which is one of them.
        named: BTreeMap<String, Self>,
    },
}

/// Two readers of one value ask for what no value is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is read as {one} and as {other}")]
pub struct Contradiction {
    one: String,
    other: String,
}

impl ValueKind {
    /// Value that satisfies both.
    ///
    /// # Errors
    /// When nothing does that is known how to make.
    pub fn and(self, other: Self) -> Result<Self, Contradiction> {
        use ValueKind::{Base64, Bytes, Certificates, DockerConfig, Document, PemBundle, Pkcs12, PrivateKey, SomeText};
        let (one, other) = if self.strictness() <= other.strictness() { (self, other) } else { (other, self) };
        let contradiction = Contradiction { one: one.to_string(), other: other.to_string() };
        match (one, other) {
            // Who asks for some text without reading it as one asks for something that is not empty.
            (Bytes | SomeText, file @ Pkcs12(_)) => Ok(file),
            (Pkcs12(one), Pkcs12(other)) if one == other => Ok(Pkcs12(one)),
            (_, Pkcs12(_)) => Err(contradiction),
            // Of texts, the stricter satisfies both; what has a form is a text, and never empty.
            (one, other) if one.strictness() < other.strictness() && one.strictness() < Self::Label.strictness() => {
                Ok(other)
            }
            (one, other) if one == other => Ok(one),
            (Base64(alphabet, one), Base64(same, other)) if alphabet == same => {
                Ok(Base64(alphabet, Box::new(one.and(*other)?)))
            }
            (Document(one, first), Document(other, second)) => {
                let notation = if first == second { first } else { Notation::Yaml };
                one.and(other).map(|joined| Document(joined, notation)).ok_or(contradiction)
            }
            (Document(document, _), DockerConfig { mut hosts }) => {
                hosts.extend(hosts_of(&document).ok_or(contradiction)?);
                Ok(DockerConfig { hosts })
            }
            (DockerConfig { hosts: one }, DockerConfig { hosts: other }) => {
                Ok(DockerConfig { hosts: one.union(&other).cloned().collect() })
            }
            // A filter takes what it wants out of any of them.
            (PemBundle, strict @ (Certificates | PrivateKey)) => Ok(strict),
            _ => Err(contradiction),
        }
    }

    /// The password of the file that it is, or that it has in base64, if there is one.
    pub fn password(&self) -> Option<&Password> {
        match self {
            Self::Pkcs12(password) => password.as_ref(),
            Self::Base64(_, of) => of.password(),
            _ => None,
        }
    }

    /// The same with another password, if it is a file with one, or has such a file in base64.
    pub(super) fn with_password(self, password: Password) -> Self {
        match self {
            Self::Pkcs12(Some(_)) => Self::Pkcs12(Some(password)),
            Self::Base64(alphabet, of) => Self::Base64(alphabet, Box::new(of.with_password(password))),
            other => other,
        }
    }

    /// Kinds in the order in which [`and`](Self::and) looks at them. Each text satisfies those before it.
    fn strictness(&self) -> u8 {
        match self {
            Self::Bytes => 0,
            Self::Text => 1,
            Self::SomeText => 2,
            Self::UserName => 3,
            Self::Printable => 4,
            Self::Label => 5,
            Self::Url | Self::Base64(..) | Self::Document(..) | Self::PemBundle => 6,
            Self::DockerConfig { .. } | Self::DockerCfg | Self::Certificates | Self::PrivateKey => 7,
            Self::SshPrivateKey => 8,
            Self::Pkcs12(_) => 9,
        }
    }
}

impl Document {
    /// Value that satisfies both, if one does.
    fn and(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Any, document) | (document, Self::Any) => document,
            (Self::Value(one), Self::Value(other)) => Self::Value(Box::new(one.and(*other).ok()?)),
            (Self::Object(one), Self::Object(other)) => Self::Object(joined(one, other)?),
            (Self::Each { is_by_name, each, named }, Self::Each { is_by_name: same, each: other, named: more }) => {
                let each = Box::new(each.and(*other)?);
                Self::Each { is_by_name: is_by_name || same, named: all_of(joined(named, more)?, &each)?, each }
            }
            (Self::Each { each, named, .. }, Self::Object(fields))
            | (Self::Object(fields), Self::Each { each, named, .. }) => {
                Self::Each { is_by_name: true, named: all_of(joined(named, fields)?, &each)?, each }
            }
            (Self::Each { each, named, .. }, Self::Array(least, element))
            | (Self::Array(least, element), Self::Each { each, named, .. })
                if named.is_empty() =>
            {
                Self::Array(least, Box::new(element.and(*each)?))
            }
            (Self::Array(one, element), Self::Array(other, same)) => {
                Self::Array(one.max(other), Box::new(element.and(*same)?))
            }
            _ => return None,
        })
    }
}

/// The members of both, each of which satisfies both.
fn joined(
    mut one: BTreeMap<String, Document>,
    other: BTreeMap<String, Document>,
) -> Option<BTreeMap<String, Document>> {
    for (name, document) in other {
        let joined = match one.remove(&name) {
            Some(own) => own.and(document)?,
            None => document,
        };
        one.insert(name, joined);
    }
    Some(one)
}

/// The same members, each of which satisfies `each` as well.
fn all_of(members: BTreeMap<String, Document>, each: &Document) -> Option<BTreeMap<String, Document>> {
    members.into_iter().map(|(name, member)| Some((name, member.and(each.clone())?))).collect()
}

/// The hosts of whose logins a document reads; none if it reads what a Docker configuration has not.
fn hosts_of(document: &Document) -> Option<BTreeSet<String>> {
    const LOGIN: [&str; 3] = ["username", "password", "auth"];
    let fields = |document: &Document| match document {
        Document::Any => Some(BTreeMap::new()),
        Document::Object(fields) => Some(fields.clone()),
        Document::Each { named, .. } => Some(named.clone()),
        Document::Value(_) | Document::Array(..) => None,
    };
    let is_text = |document: &Document| match document {
        Document::Any => true,
        Document::Value(kind) => kind.strictness() <= ValueKind::SomeText.strictness(),
        Document::Object(_) | Document::Array(..) | Document::Each { .. } => false,
    };
    let is_login = |login: &Document| {
        let parts = fields(login)?;
        parts.iter().all(|(name, part)| LOGIN.contains(&name.as_str()) && is_text(part)).then_some(())
    };
    let mut hosts = BTreeSet::new();
    for (name, auths) in fields(document)? {
        if name != "auths" {
            return None;
        }
        if let Document::Each { each, .. } = &auths {
            is_login(each)?;
        }
        for (host, login) in fields(&auths)? {
            is_login(&login)?;
            hosts.insert(host);
        }
    }
    Some(hosts)
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Text | Self::SomeText => "text",
            Self::Printable => "printable text",
            Self::UserName => "a user name",
            Self::Label => "the value of a label",
            Self::Url => "a URL",
            Self::Base64(..) => "base64",
            Self::Document(_, Notation::Json) => "a JSON document",
            Self::Document(_, Notation::Yaml) => "a YAML document",
            Self::DockerConfig { .. } | Self::DockerCfg => "a Docker configuration",
            Self::Certificates => "certificates in PEM",
            Self::PrivateKey => "a private key in PEM",
            Self::PemBundle => "blocks of PEM",
            Self::SshPrivateKey => "a private key of OpenSSH",
            Self::Pkcs12(None) => "a PKCS#12 file without a password",
            Self::Pkcs12(Some(_)) => "a PKCS#12 file with a password",
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn object<const N: usize>(fields: [(&str, Document); N]) -> Document {
        Document::Object(fields.map(|(name, document)| (name.to_owned(), document)).into())
    }

    fn each<const N: usize>(is_by_name: bool, each: Document, named: [(&str, Document); N]) -> Document {
        let named = named.map(|(name, document)| (name.to_owned(), document)).into();
        Document::Each { is_by_name, each: Box::new(each), named }
    }

    fn json(document: Document) -> ValueKind {
        ValueKind::Document(document, Notation::Json)
    }

    fn docker<const N: usize>(hosts: [&str; N]) -> ValueKind {
        ValueKind::DockerConfig { hosts: hosts.map(str::to_owned).into() }
    }

    fn base64(of: ValueKind) -> ValueKind {
        ValueKind::Base64(Alphabet::Standard, Box::new(of))
    }

    #[rstest]
    #[case::texts(ValueKind::Bytes, ValueKind::UserName, ValueKind::UserName)]
    #[case::a_label_is_a_user_name(ValueKind::Label, ValueKind::UserName, ValueKind::Label)]
    #[case::a_user_name_may_be_printable(ValueKind::Printable, ValueKind::UserName, ValueKind::Printable)]
    #[case::a_label_is_printable(ValueKind::Label, ValueKind::Printable, ValueKind::Label)]
    #[case::a_form_is_text(ValueKind::SomeText, json(Document::Any), json(Document::Any))]
    #[case::bases(base64(ValueKind::Bytes), base64(ValueKind::Text), base64(ValueKind::Text))]
    #[case::fields(
        json(object([("a", Document::Any)])),
        json(object([("b", Document::Any)])),
        json(object([("a", Document::Any), ("b", Document::Any)]))
    )]
    #[case::parts_of_a_field(
        json(object([("a", object([("b", Document::Any)]))])),
        json(object([("a", Document::Any)])),
        json(object([("a", object([("b", Document::Any)]))]))
    )]
    #[case::elements(
        json(Document::Array(1, Box::new(Document::Any))),
        json(Document::Array(3, Box::new(Document::Any))),
        json(Document::Array(3, Box::new(Document::Any)))
    )]
    #[case::one_by_one_and_by_name(
        json(each(false, Document::Any, [])),
        json(object([("users", Document::Array(1, Box::new(Document::Any)))])),
        json(each(true, Document::Any, [("users", Document::Array(1, Box::new(Document::Any)))]))
    )]
    #[case::one_by_one_and_by_position(
        json(each(true, object([("a", Document::Any)]), [])),
        json(Document::Array(2, Box::new(Document::Any))),
        json(Document::Array(2, Box::new(object([("a", Document::Any)]))))
    )]
    #[case::logins_one_by_one(
        json(object([("auths", each(true, object([("username", Document::Any)]), []))])),
        docker(["quay.io"]),
        docker(["quay.io"])
    )]
    #[case::yaml_is_stricter(
        json(Document::Any),
        ValueKind::Document(Document::Any, Notation::Yaml),
        ValueKind::Document(Document::Any, Notation::Yaml)
    )]
    #[case::a_login_of_a_docker_configuration(
        json(object([("auths", object([("ghcr.io", object([("password", Document::Any)]))]))])),
        docker(["quay.io"]),
        docker(["ghcr.io", "quay.io"])
    )]
    #[case::a_file_is_not_empty(ValueKind::SomeText, ValueKind::Pkcs12(None), ValueKind::Pkcs12(None))]
    #[case::a_filter_takes_certificates(ValueKind::PemBundle, ValueKind::Certificates, ValueKind::Certificates)]
    fn what_satisfies_two_readers_satisfies_each(
        #[case] one: ValueKind,
        #[case] other: ValueKind,
        #[case] expected: ValueKind,
    ) {
        assert_eq!(one.clone().and(other.clone()).as_ref(), Ok(&expected));
        assert_eq!(other.and(one), Ok(expected));
    }

    #[rstest]
    #[case::json_and_base64(json(Document::Any), base64(ValueKind::Text))]
    #[case::two_alphabets(base64(ValueKind::Text), ValueKind::Base64(Alphabet::UrlSafe, Box::new(ValueKind::Text)))]
    #[case::object_and_array(json(object([])), json(Document::Array(1, Box::new(Document::Any))))]
    #[case::a_text_and_a_file(ValueKind::Text, ValueKind::Pkcs12(None))]
    #[case::a_user_name_and_a_file(ValueKind::UserName, ValueKind::Pkcs12(None))]
    #[case::a_password_and_none(ValueKind::Pkcs12(None), ValueKind::Pkcs12(Some(Password::Key("a".to_owned()))))]
    #[case::certificate_and_key(ValueKind::Certificates, ValueKind::PrivateKey)]
    #[case::label_and_json(ValueKind::Label, json(Document::Any))]
    #[case::other_fields_than_a_docker_configuration(json(object([("token", Document::Any)])), docker([]))]
    fn what_no_value_satisfies_is_a_contradiction(#[case] one: ValueKind, #[case] other: ValueKind) {
        let told = one.clone().and(other.clone()).unwrap_err().to_string();
        assert!(told.contains(&one.to_string()) && told.contains(&other.to_string()), "{told}");
        other.and(one).unwrap_err();
    }
}
