//! The fields that the API servers take: of External Secrets Operator's kinds and of those of Kubernetes that a configuration
//! is understood by.
//!
//! ```text
//!  fields.txt ──▶ table ──▶ check ──▶ faults, each with file, line and column
//!  definitions ─────┘         │
//!  later.txt  ──▶ versions ───┘
//! ```
//!
//! An API server prunes a field that it does not know, so that a misspelt one is as good as not written, and nobody is told.

use std::fmt;
use std::sync::{Arc, LazyLock};

use credence_core::manifest::{Location, Manifest};
use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, GENERATORS_GROUP};
use serde_json::Value;

mod check;
mod definitions;
mod names;
mod table;
#[cfg(test)]
mod tests;
mod unrendered;
mod versions;

use table::{PINNED, TABLE, Table};

/// The groups of External Secrets Operator.
const GROUPS: [&str; 2] = [EXTERNAL_SECRETS_GROUP, GENERATORS_GROUP];

/// The kinds, versions and fields that API servers take, of one version of External Secrets Operator.
#[derive(Debug, Clone)]
pub struct Schema {
    external_secrets: String,
    table: Arc<Table>,
}

impl Schema {
    /// The fields that the pinned versions of External Secrets Operator and Kubernetes take.
    pub fn pinned() -> &'static Self {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema {
            external_secrets: PINNED.external_secrets.to_owned(),
            table: Arc::clone(&TABLE),
        });
        &SCHEMA
    }

    /// Of the custom resource definitions of `version` of External Secrets Operator, as messages call it, beside the pinned
    /// version of Kubernetes.
    pub fn of_definitions(version: &str, definitions: &[Value]) -> Self {
        Self { external_secrets: version.to_owned(), table: Arc::new(definitions::table(&TABLE, definitions)) }
    }

    /// The faults of a manifest's version, fields and names. A manifest of a kind that is not known here has none.
    pub(super) fn faults_of(&self, manifest: &Manifest) -> Vec<Fault> {
        let (mut faults, object) = versions::kind_of(self, manifest);
        faults.extend(object.into_iter().flat_map(|object| check::faults(self, manifest, object)));
        faults.extend(names::faults(manifest));
        faults
    }

    /// The program that serves a group.
    fn server(&self, group: &str) -> String {
        if GROUPS.contains(&group) {
            format!("External Secrets Operator {}", self.external_secrets)
        } else {
            format!("Kubernetes {}", PINNED.kubernetes)
        }
    }
}

/// A part of a manifest that the API server or the controller would refuse, or would not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Place in the manifest of the field that is wrong.
    pub at: Location,
    /// Kind, namespace and name of the object.
    pub object: String,
    /// The fault and the way to mend it, without any value.
    pub message: String,
    /// True if another version of External Secrets Operator takes it.
    pub is_of_another_version: bool,
}

impl Fault {
    fn new(manifest: &Manifest, pointer: &str, message: String) -> Self {
        let (at, object) = (manifest.location(pointer), manifest.object_name());
        Self { at, object, message, is_of_another_version: false }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.at, self.object, self.message)
    }
}
