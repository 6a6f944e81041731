//! Capabilities that not every cluster has.

/// Something that a property does to a cluster, or asks of it, and that not every cluster can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Its programs can be stopped, paused and started again.
    Outages,
    /// The operator can be sent through a proxy that speaks with the cluster's own authority.
    StoreProxies,
    /// A new encryption key can be given to its API server.
    KeyRotation,
    /// The operator's webhook judges its objects before the API server takes them.
    Webhook,
    /// Pods run on it, as far as the machine lets them.
    Pods,
    /// A second process of the operator can be started beside the first.
    Replicas,
    /// Two processes of the operator can elect a leader.
    LeaderElection,
    /// Its etcd can be full, and all of its control plane be lost at once.
    ControlPlane,
    /// Another of its kind can be started beside it in seconds.
    SecondCluster,
}

impl Capability {
    /// Every capability, in the order in which doctor names them.
    pub const ALL: [Self; 9] = [
        Self::Outages,
        Self::StoreProxies,
        Self::KeyRotation,
        Self::Webhook,
        Self::Pods,
        Self::Replicas,
        Self::LeaderElection,
        Self::ControlPlane,
        Self::SecondCluster,
    ];

    /// A few words on it for a person, such as `pods`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Outages => "outages of its programs",
            Self::StoreProxies => "proxies before its API server",
            Self::KeyRotation => "rotation of its encryption key",
            Self::Webhook => "the operator's webhook",
            Self::Pods => "pods",
            Self::Replicas => "a second process of the operator",
            Self::LeaderElection => "leader election of the operator",
            Self::ControlPlane => "a full etcd, and the loss of the whole control plane",
            Self::SecondCluster => "a second cluster beside it for what needs one for itself",
        }
    }
}

/// Capabilities that clusters lack, each with the reason and the next step: the text of whatever is skipped for it.
pub(crate) type Lacks = &'static [(Capability, &'static str)];

/// Succeeds if clusters that lack this have `capability`.
///
/// # Errors
/// Why not, and what would.
pub fn supports(lacks: Lacks, capability: Capability) -> Result<(), &'static str> {
    lacks.iter().find(|(lacking, _)| *lacking == capability).map_or(Ok(()), |(_, why)| Err(*why))
}
