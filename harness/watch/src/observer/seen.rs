//! Objects as the shared watches see them.

use std::collections::BTreeMap;

use credence_core::credential::Credential;
use tokio::time::Instant;

/// A Secret as the API server holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSeen {
    /// Its identity: another one if it was deleted and made again.
    pub uid: String,
    /// Its owners, each as `Kind name`.
    pub owners: Vec<String>,
    /// Type of the Secret, such as `Opaque`.
    pub type_: String,
    /// Labels as the watch last showed them.
    pub labels: BTreeMap<String, String>,
    /// Decoded data of the Secret, by key.
    pub data: BTreeMap<String, Credential>,
    /// Changes whenever the object does.
    pub resource_version: String,
    /// True if its deletion has begun.
    pub deleting: bool,
}

/// A namespace as the API server holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceSeen {
    /// Labels as the watch last showed them.
    pub labels: BTreeMap<String, String>,
    /// Finalizers that keep it from going.
    pub finalizers: Vec<String>,
    /// True if its deletion has begun.
    pub deleting: bool,
    /// True if the namespace controller has removed all that was in it.
    pub emptied: bool,
    /// While it is being deleted: what the namespace controller says still remains.
    pub remaining: Vec<String>,
}

/// An ExternalSecret. What it says of itself is no evidence of its copy: it tells that the controller was at work, and
/// serves diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalSecretSeen {
    /// Status and reason of the Ready condition, if there is one. Its message is not kept: upstream errors can quote values.
    pub ready: Option<String>,
    /// Time at which it took its values over last, as it says; empty before the first time.
    pub refreshed: String,
}

impl ExternalSecretSeen {
    /// True if it says that it is ready.
    pub fn says_ready(&self) -> bool {
        self.ready.as_ref().is_some_and(|ready| ready.starts_with("Ready=True"))
    }

    /// True if it says that it failed.
    pub fn says_failed(&self) -> bool {
        self.ready.as_ref().is_some_and(|ready| ready.starts_with("Ready=False"))
    }
}

/// A pod of one container, as its kubelet reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodSeen {
    /// Its container runs, or ran to its end.
    Ran {
        /// Number of times that the kubelet has started it again.
        restarts: i32,
        /// True if it has run to its end.
        ended: bool,
    },
    /// Its container waits. Only the reason is kept: messages can quote what a registry was sent.
    Waits {
        /// The reason, such as `ErrImagePull`; empty while the kubelet has not looked at it.
        reason: String,
    },
}

impl PodSeen {
    /// True if the image could not be pulled (kubelet `images/types.go`: the first failure, and those after it).
    pub fn cannot_pull(&self) -> bool {
        matches!(self, Self::Waits { reason } if reason == "ErrImagePull" || reason == "ImagePullBackOff")
    }
}

/// One change to a Secret, in the order in which the API server made them.
#[derive(Debug, Clone)]
pub struct SecretEvent {
    /// Time at which it was seen.
    pub at: Instant,
    /// Name of the Secret in the namespace that is recorded.
    pub name: String,
    /// The Secret now; `None` once it is gone.
    pub secret: Option<SecretSeen>,
}
