//! Rights of a configuration's stores at Vault, as far as the team tells them.
//!
//! Source: Vault, the Kubernetes auth method (`bound_service_account_*` of its roles, in which `*` stands for any text), the AppRole
//! auth method (`secret_id_ttl` and `secret_id_num_uses`, after which a secret id is refused), tokens (`ttl`), and policies, in whose
//! paths `*` at the end stands for all that follows, and `+` for one segment.

use credence_core::manifest::Location;

/// A role of the Kubernetes auth method, with its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultRole {
    /// Place of the role in the file of the intent.
    pub at: Location,
    /// Name of the role, by which stores log in.
    pub name: String,
    /// Mount path of the auth method, without slashes around.
    pub mount_path: String,
    /// The namespaces whose ServiceAccounts may log in, as patterns.
    pub namespaces: Vec<String>,
    /// The names of the ServiceAccounts that may, as patterns.
    pub service_accounts: Vec<String>,
    /// The paths of all its policies.
    pub paths: Vec<VaultPath>,
}

/// A path of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultPath {
    /// Place of the path in the file of the intent.
    pub at: Location,
    /// Name of the policy that has the path.
    pub policy: String,
    /// The path, as a pattern.
    pub path: String,
    /// Capabilities that the policy allows there.
    pub capabilities: Vec<String>,
}

/// A login of one store with what is in a Secret: an AppRole or a token, with its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSecretLogin {
    /// The place.
    pub at: Location,
    /// The store, by name.
    pub store: String,
    /// The name of the AppRole; none for a token.
    pub app_role: Option<String>,
    /// True if it may do everything: its policies have Vault's own `root`.
    pub is_root: bool,
    /// The paths of all its policies.
    pub paths: Vec<VaultPath>,
    /// Expiry, in words; empty if it does not expire.
    pub ends: Vec<String>,
}

impl VaultSecretLogin {
    /// The login in words.
    pub fn name(&self) -> String {
        self.app_role.as_ref().map_or_else(|| "a token".to_owned(), |name| format!("AppRole {name}"))
    }
}

impl VaultRole {
    /// The patterns that admit namespaces of other names than that of the store's own ServiceAccount.
    pub fn wide_namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(String::as_str).filter(|pattern| pattern.contains('*'))
    }
}

impl VaultPath {
    /// True if it is for more than one path, and lets them be read.
    pub(crate) fn reads_many(&self) -> bool {
        let is_pattern = self.path.ends_with('*') || self.path.split('/').any(|segment| segment == "+");
        is_pattern && self.capabilities.iter().any(|capability| capability == "read")
    }

    /// True if it is beneath the metadata of a KV engine of version 2 at `mount`, which has no values.
    pub(crate) fn is_metadata_of(&self, mount: &str) -> bool {
        self.path.strip_prefix(mount).is_some_and(|below| below.starts_with("/metadata/"))
    }
}
