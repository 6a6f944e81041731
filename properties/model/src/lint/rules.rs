//! The rules, one in each file.

use super::Rule;

mod argo_cd_label_lost;
mod argo_cd_secret_type;
mod argo_cd_url_without_slash;
mod audit_bodies_of_secrets;
mod audit_without_secrets;
mod auth_from_other_fields;
mod conditions_match_widely;
mod conditions_narrower_than_selector;
mod conditions_wider_than_selectors;
mod copies_not_judged;
mod copy_refused;
mod creation_policy_merge;
mod creation_policy_none;
mod creation_policy_orphan;
mod decoding_strategy_auto;
mod deletion_policy_delete;
mod deletion_policy_without_owner;
mod encryption_identity_first;
mod expression_refused;
mod find_with_delete;
mod format_reads_other_key;
mod identity_beyond_intent;
mod immutable_copies;
mod intent_contradicted;
mod kargo_regex_flag;
mod kargo_unanchored;
mod key_missing_for_consumer;
mod keys_beyond_consumer;
mod labels_checked_on_create_only;
mod login_from_whole_source;
mod newline_after_token;
mod oauth_keys_swapped;
mod one_role_for_all_sources;
mod own_external_secrets_unchecked;
mod policy_audit_only;
mod policy_exempts_by_part_of_name;
mod policy_exempts_service_accounts;
mod policy_fails_open;
mod policy_hinders_collectors;
mod policy_of_unknown_resource;
mod policy_on_create_only;
mod policy_with_opt_out;
mod policy_without_binding;
mod policy_without_names;
mod raw_values_in_json;
mod reads_nothing;
mod refresh_interval_zero;
mod refresh_policy_without_updates;
mod rewrite_merges_keys;
mod role_names_other_source;
mod role_without_resource_names;
mod same_copy;
mod same_external_secret;
mod search_without_list;
mod secret_key_twice;
mod secrets_for_viewers;
mod selector_exists;
mod selector_label_unguarded;
mod selects_nobody;
mod selects_protected_namespaces;
mod source_lacks_key;
mod source_name_refused;
mod store_account_without_namespace;
mod store_trusts_no_authority;
mod store_without_conditions;
mod stores_by_kubeconfig;
mod template_cannot_be_parsed;
mod template_reads_unknown_key;
mod templates_only_audited;
mod tls_key_of_other_certificate;
mod tls_keys_swapped;
mod type_of_other_keys;
mod value_in_metadata;
mod vault_login_ends;
mod vault_policy_wildcard;
mod vault_role_admits_everyone;
mod vault_root_token;
mod wrong_cred_type;

/// Every rule there is, in the order of [`Rule::id`].
pub(crate) const RULES: &[Rule] = &[
    argo_cd_label_lost::RULE,
    argo_cd_secret_type::RULE,
    argo_cd_url_without_slash::RULE,
    audit_bodies_of_secrets::RULE,
    audit_without_secrets::RULE,
    auth_from_other_fields::RULE,
    conditions_match_widely::RULE,
    conditions_narrower_than_selector::RULE,
    conditions_wider_than_selectors::RULE,
    copies_not_judged::RULE,
    copy_refused::RULE,
    creation_policy_merge::RULE,
    creation_policy_none::RULE,
    creation_policy_orphan::RULE,
    decoding_strategy_auto::RULE,
    deletion_policy_delete::RULE,
    deletion_policy_without_owner::RULE,
    encryption_identity_first::RULE,
    expression_refused::RULE,
    find_with_delete::RULE,
    format_reads_other_key::RULE,
    identity_beyond_intent::RULE,
    immutable_copies::RULE,
    intent_contradicted::RULE,
    kargo_regex_flag::RULE,
    kargo_unanchored::RULE,
    key_missing_for_consumer::RULE,
    keys_beyond_consumer::RULE,
    labels_checked_on_create_only::RULE,
    login_from_whole_source::RULE,
    newline_after_token::RULE,
    oauth_keys_swapped::RULE,
    one_role_for_all_sources::RULE,
    own_external_secrets_unchecked::RULE,
    policy_audit_only::RULE,
    policy_exempts_by_part_of_name::RULE,
    policy_exempts_service_accounts::RULE,
    policy_fails_open::RULE,
    policy_hinders_collectors::RULE,
    policy_of_unknown_resource::RULE,
    policy_on_create_only::RULE,
    policy_with_opt_out::RULE,
    policy_without_binding::RULE,
    policy_without_names::RULE,
    raw_values_in_json::RULE,
    reads_nothing::RULE,
    refresh_interval_zero::RULE,
    refresh_policy_without_updates::RULE,
    rewrite_merges_keys::RULE,
    role_names_other_source::RULE,
    role_without_resource_names::RULE,
    same_copy::RULE,
    same_external_secret::RULE,
    search_without_list::RULE,
    secret_key_twice::RULE,
    secrets_for_viewers::RULE,
    selector_exists::RULE,
    selector_label_unguarded::RULE,
    selects_nobody::RULE,
    selects_protected_namespaces::RULE,
    source_lacks_key::RULE,
    source_name_refused::RULE,
    store_account_without_namespace::RULE,
    store_trusts_no_authority::RULE,
    store_without_conditions::RULE,
    stores_by_kubeconfig::RULE,
    template_cannot_be_parsed::RULE,
    template_reads_unknown_key::RULE,
    templates_only_audited::RULE,
    tls_key_of_other_certificate::RULE,
    tls_keys_swapped::RULE,
    type_of_other_keys::RULE,
    value_in_metadata::RULE,
    vault_login_ends::RULE,
    vault_policy_wildcard::RULE,
    vault_role_admits_everyone::RULE,
    vault_root_token::RULE,
    wrong_cred_type::RULE,
];
