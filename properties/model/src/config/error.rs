//! Errors of configurations.

use super::{Fault, SourcePosition};

/// Why manifests are no configuration that can be distributed. Every variant but one names object, file and line.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ConfigError {
    /// The API server or the controller would refuse parts of it, or leave them out.
    #[error("{}", .0.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Refused(Vec<Fault>),
    /// There is nothing to distribute.
    #[error(
        "the configuration holds no ClusterExternalSecret and no ExternalSecret; add one, or give the directory that has them"
    )]
    NothingDistributed,
    /// An object that decides distribution says nothing.
    #[error("{place} has no spec; add it, or leave the object out")]
    NoSpec { place: Box<SourcePosition> },
    /// A field has a value that the API server or the controller would refuse.
    #[error("failed to read {place}")]
    Invalid {
        place: Box<SourcePosition>,
        #[source]
        source: serde_json::Error,
    },
    /// An object of External Secrets Operator has a version with other fields.
    #[error(
        "{place} has version {version:?}, and only v1 and v1beta1 are known; write apiVersion: external-secrets.io/v1"
    )]
    UnknownVersion { place: Box<SourcePosition>, version: String },
    /// A value of a Secret cannot be read. Its cause is left out, since it could show a part of the value.
    #[error("key {key:?} of {place} is {reason}; text goes to stringData, in quotes, and base64 to data")]
    SecretValue {
        place: Box<SourcePosition>,
        key: String,
        /// The type that the value is not.
        reason: &'static str,
    },
    /// A store's condition has an expression that does not compile.
    #[error("{place} has an invalid namespace expression {expression:?}; correct it")]
    InvalidExpression {
        place: Box<SourcePosition>,
        expression: String,
        #[source]
        source: regex::Error,
    },
    /// A store is named that the configuration does not hold, though it holds others.
    #[error(
        "{place} names ClusterSecretStore {store:?} in {field}, and the configuration has only {known}; correct the name, or add \
         the store"
    )]
    MissingStore {
        /// The object that names it.
        place: Box<SourcePosition>,
        /// The field that names it, from the spec of the ExternalSecret.
        field: String,
        store: String,
        /// The stores that there are.
        known: String,
    },
    /// No store is named for some value.
    #[error("{place} names no store: secretStoreRef is missing; add it, or a sourceRef.storeRef to each value")]
    NoStore { place: Box<SourcePosition> },
    /// A ClusterExternalSecret means a store of the whole cluster and names one that each namespace has to bring along.
    #[error(
        "{place} names {kind} {store:?} in {field}, which each namespace would have to have, and the configuration has a \
         ClusterSecretStore of that name; write kind: ClusterSecretStore"
    )]
    NotACentralStore {
        /// The object that names it.
        place: Box<SourcePosition>,
        /// The field that names it, from the spec of the ExternalSecret.
        field: String,
        /// The kind as written, or its default.
        kind: String,
        store: String,
    },
}
