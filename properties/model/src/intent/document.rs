//! An intent as its file has it. Field for field what the schema says, which a test holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Document {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) examples: Vec<ExampleEntry>,
    pub(super) protected_namespaces: Vec<String>,
    pub(super) identities: IdentitiesEntry,
    pub(super) purposes: Vec<PurposeEntry>,
    pub(super) not_applicable: Vec<NotApplicableEntry>,
    pub(super) bounds: Vec<BoundEntry>,
    pub(super) vault: VaultEntry,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct ExampleEntry {
    pub(super) namespace: NamespaceEntry,
    pub(super) must_have: Vec<String>,
    pub(super) must_not_have: Vec<String>,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NamespaceEntry {
    pub(super) name: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct IdentitiesEntry {
    pub(super) operator: Option<String>,
    pub(super) platform_groups: Vec<String>,
    pub(super) break_glass: BreakGlassEntry,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BreakGlassEntry {
    pub(super) users: Vec<String>,
    pub(super) groups: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct PurposeEntry {
    pub(super) copy: String,
    pub(super) consumer: Option<String>,
    pub(super) used_by: Option<String>,
    pub(super) keys: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NotApplicableEntry {
    pub(super) property: String,
    pub(super) reason: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BoundEntry {
    pub(super) copy: Option<String>,
    pub(super) propagation: String,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct VaultEntry {
    pub(super) roles: Vec<VaultRoleEntry>,
    pub(super) app_roles: Vec<VaultAppRoleEntry>,
    pub(super) tokens: Vec<VaultTokenEntry>,
    pub(super) policies: Vec<VaultPolicyEntry>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct VaultRoleEntry {
    pub(super) name: String,
    pub(super) mount_path: Option<String>,
    pub(super) bound_service_account_names: Vec<String>,
    pub(super) bound_service_account_namespaces: Vec<String>,
    pub(super) token_policies: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct VaultAppRoleEntry {
    pub(super) name: String,
    pub(super) store: String,
    pub(super) token_policies: Vec<String>,
    pub(super) secret_id_ttl: Option<String>,
    pub(super) secret_id_num_uses: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct VaultTokenEntry {
    pub(super) store: String,
    pub(super) policies: Vec<String>,
    pub(super) ttl: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct VaultPolicyEntry {
    pub(super) name: String,
    pub(super) paths: Vec<VaultPathEntry>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct VaultPathEntry {
    pub(super) path: String,
    pub(super) capabilities: Vec<String>,
}
