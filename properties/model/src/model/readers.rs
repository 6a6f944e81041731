//! From all that read a value of a source to what it may be: the type of the source, the templates and the way in which ESO
//! decodes it, the type of each copy, and who uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use credence_core::consumer::Consumer;

use super::remote::{Remote, extracted_documents, key_of};
use super::templates::Templates;
use super::value_kind::{Alphabet, Contradiction, Document, Notation, Password, ValueKind};
use super::{Distribution, Field, Model, hints};
use crate::config::SourceRef;
use crate::template::{End, Step};

/// A distribution that reads what no value of its source can satisfy, so that its copies cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Name of the distribution.
    pub distribution: String,
    /// Source that has the key.
    pub source: SourceRef,
    /// The key in the source.
    pub key: String,
    /// Why nothing is generated for it.
    pub why: Obstacle,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distribution, source, key, why } = self;
        write!(f, "copies of {distribution}: key {key:?} of {source} is not generated for them, because {why}")
    }
}

/// Why nothing can be generated for a reader of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum Obstacle {
    /// It wants something else than those before it.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// A template takes a field or an element of something that is a text.
    #[error("a template takes a part of a text")]
    PartOfText,
    /// A function of a template reads a form that this suite does not make.
    #[error("{function} reads a form that this suite does not make")]
    Form { function: &'static str },
    /// The password of a file is no key of the source that has the file.
    #[error("the password of a PKCS#12 file is no value of the same source as it is")]
    PasswordElsewhere,
    /// The path into a document is not understood.
    #[error("the path {path:?} is not understood")]
    Path {
        /// The path, in the syntax of GJSON.
        path: String,
    },
    /// The control plane itself writes the Secret.
    #[error("the control plane writes Secrets of type {secret_type}")]
    ControlPlane { secret_type: String },
}

/// The type of Secrets that the control plane fills with tokens of ServiceAccounts.
const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

/// Elements of the longest array that is generated.
const LONGEST_ARRAY: usize = 100;

impl Model {
    /// Values that each key of `source` may hold, so that the API server takes the source and all distributions but those
    /// that are
    /// [unreadable](Self::unreadable) can be made of it.
    pub fn value_kinds(&self, source: &SourceRef) -> BTreeMap<String, ValueKind> {
        self.readers(source).0
    }

    /// The distributions of which no values of their sources are all that they read.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        self.sources.keys().flat_map(|source| self.readers(source).1).collect()
    }

    /// Rest of it without the distributions that are [unreadable](Self::unreadable), and these.
    #[must_use]
    pub fn readable(mut self) -> (Self, Vec<Unreadable>) {
        let unreadable = self.unreadable();
        self.distributions
            .retain(|distribution| unreadable.iter().all(|unreadable| unreadable.distribution != distribution.name));
        (self, unreadable)
    }

    fn readers(&self, source: &SourceRef) -> (BTreeMap<String, ValueKind>, Vec<Unreadable>) {
        let Some(own) = self.sources.get(source) else { return Default::default() };
        let mut kinds: BTreeMap<String, ValueKind> =
            own.keys.iter().filter_map(|key| Some((key.clone(), hints::required(&own.secret_type, key)?))).collect();
        if !source.is_secret() {
            // A provider holds texts.
            kinds.extend(own.keys.iter().map(|key| (key.clone(), ValueKind::Text)));
        }
        let mut unreadable = Vec::new();
        let readers = || self.distributions.iter().filter(|distribution| distribution.reads(source));
        for distribution in readers() {
            let joined = match own.secret_type.as_str() {
                SERVICE_ACCOUNT_TOKEN => {
                    Err((String::new(), Obstacle::ControlPlane { secret_type: own.secret_type.clone() }))
                }
                _ => demands(distribution, source, &own.keys).and_then(|demands| join(kinds.clone(), demands)),
            };
            match joined {
                Ok(joined) => kinds = joined,
                Err((key, why)) => {
                    let (distribution, source) = (distribution.name.clone(), source.clone());
                    unreadable.push(Unreadable { distribution, source, key, why });
                }
            }
        }
        for (key, name, secret_type) in names(own.keys.iter(), &own.secret_type, source, readers()) {
            for hint in hints::likely(secret_type, name) {
                let kind = kinds.get(key).cloned().unwrap_or(ValueKind::Text);
                // A name says less than a reader does.
                kinds.insert(key.to_owned(), kind.clone().and(hint).unwrap_or(kind));
            }
        }
        let all = own.keys.iter().map(|key| (key.clone(), kinds.remove(key).unwrap_or(ValueKind::Text))).collect();
        (all, unreadable)
    }
}

/// A demand on each key of a source that one distribution reads.
type Demands = Vec<(String, ValueKind)>;

/// The key for which there is no kind, and why.
type Refused = (String, Obstacle);

fn join(mut kinds: BTreeMap<String, ValueKind>, demands: Demands) -> Result<BTreeMap<String, ValueKind>, Refused> {
    for (key, kind) in demands {
        let joined = match kinds.remove(&key) {
            Some(own) => own.and(kind).map_err(|contradiction| (key.clone(), contradiction.into()))?,
            None => kind,
        };
        kinds.insert(key, joined);
    }
    Ok(kinds)
}

/// Every name under which a key is known, the key first, with the type of the Secret that has it.
fn names<'a>(
    keys: impl Iterator<Item = &'a String>,
    secret_type: &'a str,
    source: &'a SourceRef,
    readers: impl Iterator<Item = &'a Distribution>,
) -> Vec<(&'a str, &'a str, &'a str)> {
    let mut names: Vec<(&str, &str, &str)> = keys.map(|key| (key.as_str(), key.as_str(), secret_type)).collect();
    for distribution in readers {
        let fields = distribution.fields.iter().filter(|field| field.source == *source);
        // A part of a document says nothing of the whole.
        let read = fields.filter_map(|field| Some((field.property.as_deref()?, field.secret_key.as_str(), "")));
        let known: BTreeSet<&str> = names.iter().map(|(key, ..)| *key).collect();
        let read: Vec<_> = read.filter(|(key, ..)| known.contains(key)).collect();
        let copied =
            distribution.verbatim.iter().filter(|(_, (from, key))| from == source && known.contains(key.as_str()));
        let copied: Vec<_> =
            copied.map(|(copy, (_, key))| (key.as_str(), copy.as_str(), distribution.secret_type.as_str())).collect();
        names.extend(read);
        names.extend(copied);
    }
    names
}

/// Demands of a distribution on each key of one of its sources.
fn demands(distribution: &Distribution, source: &SourceRef, keys: &BTreeSet<String>) -> Result<Demands, Refused> {
    let templates = Templates::of(&distribution.object);
    // Consumers take what is empty for missing.
    let least = if Consumer::of(&distribution.shape()).is_some() { ValueKind::SomeText } else { ValueKind::Bytes };
    let documents = extracted_documents(&distribution.object, &source.name).filter(|key| keys.contains(*key));
    let document = || ValueKind::Document(Document::Any, Notation::Json);
    let mut demands: Demands = documents.map(|key| (key.to_owned(), document())).collect();
    for field in distribution.fields.iter().filter(|field| field.source == *source) {
        let remote = Remote::of(&distribution.object, field);
        if remote.is_other {
            continue;
        }
        let refused = |why: Obstacle| (field.property.clone().unwrap_or_default(), why);
        let Some(property) = &field.property else {
            demands.extend(of_whole(&templates, field, keys)?);
            continue;
        };
        let read = of_field(&templates, field, &distribution.secret_type).map_err(refused)?;
        let least = if remote.refuses_nul { ValueKind::Printable } else { least.clone() };
        let read = read.and(least).map_err(|contradiction| refused(contradiction.into()))?;
        let encoded = match remote.decoding {
            Some(alphabet) => ValueKind::Base64(alphabet, Box::new(read)),
            None => read,
        };
        let (key, path) = key_of(keys, remote.property.as_deref().unwrap_or(property));
        let kind = match path {
            Some(path) => ValueKind::Document(below(path, encoded).map_err(refused)?, Notation::Json),
            None => encoded,
        };
        let kind = match kind.password() {
            Some(Password::Value(name)) => {
                let password = password_key(distribution, source, keys, name);
                let password = password.ok_or(Obstacle::PasswordElsewhere).map_err(refused)?;
                demands.push((password.clone(), ValueKind::Printable));
                kind.with_password(Password::Key(password))
            }
            _ => kind,
        };
        demands.push((key.to_owned(), kind));
    }
    Ok(demands)
}

/// The key of a source whose value a distribution reads under a name, as it is.
fn password_key(
    distribution: &Distribution,
    source: &SourceRef,
    keys: &BTreeSet<String>,
    name: &str,
) -> Option<String> {
    let field = distribution.fields.iter().find(|field| field.secret_key == name && field.source == *source)?;
    let remote = Remote::of(&distribution.object, field);
    let property = remote.property.as_deref().or(field.property.as_deref())?;
    let is_as_it_is = !remote.is_other && remote.decoding.is_none();
    match key_of(keys, property) {
        (key, None) if is_as_it_is => Some(key.to_owned()),
        _ => None,
    }
}

/// Demand of a distribution on a value that it reads under one key.
fn of_field(templates: &Templates, field: &Field, secret_type: &str) -> Result<ValueKind, Obstacle> {
    let name = &field.secret_key;
    let mut kinds = Vec::new();
    let taken_over = |key: &str| hints::required(secret_type, key).unwrap_or(ValueKind::Bytes);
    if templates.keep_values {
        kinds.push(taken_over(name));
    }
    for made in &templates.data {
        if made.verbatim.as_ref() == Some(name) {
            kinds.push(taken_over(&made.key));
        } else {
            kinds.extend(
                made.reads.of(name).map(|read| kind_of(&read.steps, &read.end)).collect::<Result<Vec<_>, _>>()?,
            );
        }
    }
    let others = templates.others.iter().flat_map(|reads| reads.of(name));
    kinds.extend(others.map(|read| kind_of(&read.steps, &read.end)).collect::<Result<Vec<_>, _>>()?);
    if templates.labels.iter().any(|reads| reads.of(name).next().is_some()) {
        kinds.push(ValueKind::Label);
    }
    if templates.read_all() {
        kinds.push(ValueKind::Text);
    }
    let mut joined = ValueKind::Bytes;
    for kind in kinds {
        joined = joined.and(kind)?;
    }
    Ok(joined)
}

/// Demand of a distribution on the keys of a source that it reads whole, as one JSON object of texts.
fn of_whole(templates: &Templates, field: &Field, keys: &BTreeSet<String>) -> Result<Demands, Refused> {
    let mut demands: Demands = keys.iter().map(|key| (key.clone(), ValueKind::Text)).collect();
    for read in templates.reads().flat_map(|reads| reads.of(&field.secret_key)) {
        match read.steps.as_slice() {
            [] | [Step::Json | Step::Yaml] => {}
            [Step::Json | Step::Yaml, Step::Member(key), rest @ ..] if keys.contains(key) => {
                demands.push((key.clone(), within(kind_of(rest, &read.end)).map_err(|why| (key.clone(), why))?));
            }
            [Step::Json | Step::Yaml, Step::Member(_), ..] => {}
            [Step::Json | Step::Yaml, Step::Each { .. }, rest @ ..] => {
                for key in keys {
                    demands.push((key.clone(), within(kind_of(rest, &read.end)).map_err(|why| (key.clone(), why))?));
                }
            }
            _ => return Err((field.secret_key.clone(), Obstacle::PartOfText)),
        }
    }
    Ok(demands)
}

/// Kind of the value that is read in these steps.
fn kind_of(steps: &[Step], end: &End) -> Result<ValueKind, Obstacle> {
    Ok(match steps.split_first() {
        Some((Step::Json, rest)) => ValueKind::Document(document_of(rest, end)?, Notation::Json),
        Some((Step::Yaml, rest)) => ValueKind::Document(document_of(rest, end)?, Notation::Yaml),
        Some((Step::Base64, rest)) => ValueKind::Base64(Alphabet::Standard, Box::new(kind_of(rest, end)?)),
        Some((Step::Member(_) | Step::Element(_) | Step::Each { .. }, _)) => return Err(Obstacle::PartOfText),
        None => match end {
            End::Text => ValueKind::Text,
            End::Certificates => ValueKind::Certificates,
            End::PrivateKey => ValueKind::PrivateKey,
            End::Pem => ValueKind::PemBundle,
            End::Url => ValueKind::Url,
            End::Pkcs12 => ValueKind::Pkcs12(None),
            End::Pkcs12WithText(text) => ValueKind::Pkcs12(Some(Password::Text(text.clone()))),
            End::Pkcs12WithValue(name) => ValueKind::Pkcs12(Some(Password::Value(name.clone()))),
            End::Of(function) => return Err(Obstacle::Form { function }),
        },
    })
}

fn document_of(steps: &[Step], end: &End) -> Result<Document, Obstacle> {
    Ok(match steps.split_first() {
        None if *end == End::Text => Document::Any,
        Some((Step::Member(name), rest)) => Document::Object([(name.clone(), document_of(rest, end)?)].into()),
        Some((Step::Element(index), rest)) => array(*index, document_of(rest, end)?)?,
        Some((Step::Each { is_by_name }, rest)) => {
            Document::Each { is_by_name: *is_by_name, each: Box::new(document_of(rest, end)?), named: BTreeMap::new() }
        }
        // Documents hold texts, and no bytes.
        Some(_) | None => Document::Value(Box::new(within(kind_of(steps, end))?.and(ValueKind::Text)?)),
    })
}

/// Kind of a value that is a part of another one: no file whose password is another value.
fn within(kind: Result<ValueKind, Obstacle>) -> Result<ValueKind, Obstacle> {
    let kind = kind?;
    match kind.password() {
        Some(Password::Value(_)) => Err(Obstacle::PasswordElsewhere),
        _ => Ok(kind),
    }
}

/// An array that has `element` at this position.
fn array(index: usize, element: Document) -> Result<Document, Obstacle> {
    match index {
        0..LONGEST_ARRAY => Ok(Document::Array(index + 1, Box::new(element))),
        _ => Err(Obstacle::Path { path: index.to_string() }),
    }
}

/// The document in which a path of GJSON leads to `kind`.
fn below(path: &str, kind: ValueKind) -> Result<Document, Obstacle> {
    let failed = || Obstacle::Path { path: path.to_owned() };
    // JSON holds texts, and no bytes.
    let mut document = Document::Value(Box::new(kind.and(ValueKind::Text)?));
    let names: Vec<&str> = path.split('.').collect();
    for name in names.into_iter().rev() {
        let is_plain = |letter: char| letter.is_alphanumeric() || "_-/".contains(letter);
        document = match name {
            "#" => Document::Array(1, Box::new(document)),
            "" => return Err(failed()),
            name if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                array(name.parse().map_err(|_| failed())?, document)?
            }
            name if name.chars().all(is_plain) => Document::Object([(name.to_owned(), document)].into()),
            _ => return Err(failed()),
        };
    }
    Ok(document)
}
