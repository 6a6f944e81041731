//! The kinds of objects that are watched, and what ExternalSecrets and stores say of themselves.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;

/// The kinds of objects that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchedKind {
    /// Secrets, by their metadata.
    Secrets,
    /// Secrets of the type of pull secrets, by their metadata, which does not tell the type.
    PullSecrets,
    /// Namespaces, by their metadata.
    Namespaces,
    /// ExternalSecrets of all namespaces, with their status.
    ExternalSecrets,
    /// ClusterSecretStores, with their status.
    Stores,
}

impl WatchedKind {
    /// Its name in metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::PullSecrets => "pull_secrets",
            Self::Namespaces => "namespaces",
            Self::ExternalSecrets => "external_secrets",
            Self::Stores => "cluster_secret_stores",
        }
    }
}

/// The status of an ExternalSecret, as far as it is read. Messages are not: they can quote values.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalSecretStatus {
    pub(super) refresh_time: Option<Time>,
    conditions: Vec<Condition>,
}

/// The status of a store, as far as it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct StoreStatus {
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
}

impl ExternalSecretStatus {
    /// True if the last refresh failed.
    pub(super) fn is_failed(&self) -> bool {
        ready(&self.conditions).is_some_and(|condition| condition.status == "False")
    }
}

fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.kind == "Ready")
}

/// State of a store by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreState {
    /// The operator could use it when it last looked.
    Valid,
    /// The operator could not find out and calls it ready all the same (`ReasonValidationUnknown`, secretstore
    /// `common.go`), or it has not looked yet.
    Unknown,
    /// The operator cannot use it.
    Invalid,
    /// There is no store of this name.
    Absent,
}

impl StoreState {
    /// Every state; each is a label value of one metric.
    pub const ALL: [Self; 4] = [Self::Valid, Self::Unknown, Self::Invalid, Self::Absent];

    /// Its stable name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
            Self::Absent => "absent",
        }
    }

    pub(super) fn of(status: &StoreStatus) -> Self {
        match ready(&status.conditions) {
            Some(condition) if condition.status == "False" => Self::Invalid,
            Some(condition) if condition.status == "True" && condition.reason != "ValidationUnknown" => Self::Valid,
            _ => Self::Unknown,
        }
    }
}
