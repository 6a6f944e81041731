//! Values that generators make of an ExternalSecret.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::credential::Credential;

use crate::config::{Config, DataFrom, DeclaredDistribution, Generator, SourceRef, asks_a_service};
use crate::model::{Field, Origin, Templates};

/// Why the keys that a generator makes are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnknownGenerator {
    #[error("it reads neither a source nor a generator")]
    None,
    #[error("what generator {kind} {name} makes follows from no source")]
    Service { kind: String, name: String },
}

/// Values of a generator, by the key that each gets.
pub(super) struct Generated {
    /// The text of each key; none where it differs each time, or from copy to copy.
    pub(super) made: BTreeMap<String, Option<Origin>>,
    /// The keys whose value differs each time.
    pub(super) changing: BTreeSet<String>,
}

/// The keys that an entry gets of a generator, each with the text that it has, or with a value that no source has. Where only a
/// service knows the keys, they are those that templates read, unless a rewrite renames them.
pub(super) fn fields(
    config: &Config,
    distribution: &DeclaredDistribution<'_>,
    entry: &DataFrom,
) -> Result<Vec<Field>, UnknownGenerator> {
    let reference = entry.source_ref.as_ref().and_then(|source| source.generator_ref.as_ref());
    let reference = reference.ok_or(UnknownGenerator::None)?;
    let generator = Generator::named(config, reference, distribution.namespace);
    let made = generator.and_then(|generator| generator.made().or_else(|| read_of(&generator, distribution, entry)));
    let unknown = || UnknownGenerator::Service { kind: reference.kind.clone(), name: reference.name.clone() };
    // No store has the empty name.
    let source = SourceRef::remote("", &reference.name, None);
    let field = |(key, value): (String, Option<Credential>)| Field {
        origin: Some(value.map_or_else(|| Origin::value(&source, &key), Origin::Text)),
        secret_key: key,
        source: source.clone(),
        store: String::new(),
        property: None,
    };
    Ok(made.ok_or_else(unknown)?.into_iter().map(field).collect())
}

/// The keys that templates read of a generator whose keys only its service knows; none if they read none.
fn read_of(
    generator: &Generator<'_>,
    distribution: &DeclaredDistribution<'_>,
    entry: &DataFrom,
) -> Option<BTreeMap<String, Option<Credential>>> {
    let templates = Templates::of(distribution.object);
    let given = |name: &str| distribution.spec.data.iter().any(|entry| entry.secret_key == name);
    let read: BTreeMap<String, Option<Credential>> =
        templates.names().into_iter().filter(|name| !given(name)).map(|name| (name.to_owned(), None)).collect();
    let is_known = asks_a_service(generator.kind) && entry.rewrite.is_empty() && !templates.keep_values;
    (is_known && !read.is_empty()).then_some(read)
}

impl Generated {
    /// Values of such fields once their keys are rewritten.
    pub(super) fn of(fields: Vec<Field>) -> Self {
        let (mut made, mut changing) = (BTreeMap::new(), BTreeSet::new());
        for Field { secret_key, origin, .. } in fields {
            let text = origin.as_ref().filter(|origin| matches!(origin, Origin::Text(_))).cloned();
            if origin.is_some() && text.is_none() {
                changing.insert(secret_key.clone());
            }
            made.insert(secret_key, text);
        }
        Self { made, changing }
    }
}
