//! Values that generators make of an ExternalSecret.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::credential::Credential;

use crate::config::{Config, DeclaredDistribution, EntrySource, Generator, SourceRef};
use crate::model::{Field, Origin};

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

/// The keys that an entry gets of a generator, each with the text that it has, or with a value that no source has.
pub(super) fn fields(
    config: &Config,
    distribution: &DeclaredDistribution<'_>,
    source: Option<&EntrySource>,
) -> Result<Vec<Field>, UnknownGenerator> {
    let reference = source.and_then(|source| source.generator_ref.as_ref()).ok_or(UnknownGenerator::None)?;
    let generator = Generator::named(config, reference, distribution.namespace);
    let made = generator.and_then(|generator| generator.made());
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
