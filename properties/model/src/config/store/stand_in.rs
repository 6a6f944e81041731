//! Stores of all other providers, for which a server of this machine stands in.
//!
//! What a store's `remoteRef` names stays as it is written: the stand-in is asked for key, version and property, and takes no
//! part of them for a path. A value that is read without a property is text; with properties, the key is a document that has
//! them. External Secrets Operator asks by its webhook provider, which knows no search: a `find` becomes an `extract` of a key
//! that says what is searched for, and whose values are those that the provider would find.

use std::collections::BTreeSet;

use credence_core::manifest::Manifest;
use serde_json::Value;

use super::fake::{WrittenKey, written_keys};
use super::{ClusterSecretStore, ServiceAccountRef, StoreSemantics, names, searches, store_key};
use crate::config::source::FOUND;
use crate::config::{Config, Find, RemoteRef, SourceRef};

/// The annotation of a store that has a stand-in: the provider for which it stands in, and the store's name before anything made
/// a copy of it under another.
pub const STANDS_IN_FOR: &str = "credence.dev/stands-in-for";

/// Stand-in for the provider of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    /// The name under which the stand-in knows the store: its name in the model, see [`store_key`].
    pub store: String,
    /// The provider, as the field of `spec.provider` is called.
    pub provider: String,
    /// The keys to which the store's own manifest gives values.
    pub(crate) written: Vec<WrittenKey>,
}

impl StandIn {
    pub(super) fn of(manifest: &Manifest) -> Option<Self> {
        let written = manifest.object["metadata"]["annotations"][STANDS_IN_FOR].as_str();
        if let Some((provider, store)) = written.and_then(|written| written.split_once('/')) {
            let (store, provider) = (store.to_owned(), provider.to_owned());
            return Some(Self { store, provider, written: written_keys(manifest) });
        }
        let provider = stood_in_provider(&manifest.object)?;
        Some(Self { store: store_key(manifest), provider: provider.to_owned(), written: written_keys(manifest) })
    }

    /// Source of the values that a search finds.
    pub(crate) fn locate_found(&self, find: &Find) -> SourceRef {
        SourceRef::remote(&self.store, found_key(find), None)
    }

    /// The names of the keys that a search finds, as the provider gives them: those that the store's own manifest has, or, where
    /// nobody wrote down which there are, some that fit.
    ///
    /// # Errors
    /// Why there are none: the provider refuses the search, or no name is known that fits.
    pub(crate) fn names_found(&self, find: &Find) -> Result<Vec<String>, &'static str> {
        if let Some(refused) = searches::refused(&self.provider, find) {
            return Err(refused);
        }
        let mut found = match self.written.is_empty() {
            true => names::found(find, searches::finds_all(&self.provider)),
            // A search by tags is refused where this is so.
            false => self.written.iter().map(|own| own.key.clone()).filter(|key| find.is_named(key)).collect(),
        };
        if searches::converts_first(&self.provider) {
            found.iter_mut().for_each(|name| *name = find.conversion_strategy.convert(name));
        }
        found.sort();
        found.dedup();
        if found.is_empty() { Err("no name is known that it finds at the provider") } else { Ok(found) }
    }

    /// The members that the document has which the store's own manifest has for a source, if it is one.
    pub(crate) fn members(&self, source: &SourceRef) -> Option<&BTreeSet<String>> {
        let at = source.at.as_ref().filter(|at| at.store == self.store)?;
        let version = at.version.as_deref().unwrap_or_default();
        let own = self.written.iter().find(|own| own.key == source.name && own.version == version)?;
        Some(&own.members).filter(|members| !members.is_empty())
    }

    /// Why nothing can be read through the store, if nothing can be.
    pub(super) fn unusable(&self) -> Option<String> {
        searches::is_write_only(&self.provider)
            .then(|| format!("External Secrets Operator only writes to {}", self.provider))
    }

    /// The search for which a reference stands, if it does.
    pub(crate) fn search_of(remote: &RemoteRef) -> Option<Find> {
        let find: Find = serde_json::from_str(remote.key.strip_prefix(FOUND)?).ok()?;
        let (conversion_strategy, decoding_strategy) = (remote.conversion_strategy, remote.decoding_strategy);
        Some(Find { conversion_strategy, decoding_strategy, ..find })
    }
}

impl ClusterSecretStore {
    /// The field that is not as it is written where it is tested, with what that leaves unjudged.
    pub(crate) fn unjudged(&self) -> Option<(String, String)> {
        const AT_VAULT: &str = "a Vault of this machine serves it, with the roles and policies that the intent gives and narrow \
             ones where it gives none, or a stand-in where that cannot, which a report says; not judged: those of the Vault at home, its \
             audit, its encryption";
        if self.vault_auth().is_ok() {
            return Some(("spec.provider.vault".to_owned(), AT_VAULT.to_owned()));
        }
        self.semantics().and_then(StoreSemantics::unjudged)
    }
}

impl Config {
    /// True if what is read through the store of a source is a document even if no property of it is named: Vault and OpenBao have
    /// nothing else.
    ///
    /// Source: External Secrets Operator, `client.GetSecret` (pkg/provider/vault/client_get.go, providers/v1/openbao/client.go).
    pub(crate) fn has_documents(&self, source: &SourceRef) -> bool {
        let mut stand_ins = self.stores.values().filter_map(|store| store.stand_in.as_ref());
        let at = source.at.as_ref();
        at.is_some_and(|at| {
            stand_ins.any(|own| own.store == at.store && ["openBao", "vault"].contains(&own.provider.as_str()))
        })
    }
}

/// The provider of the store `object`, if it is one that has a stand-in.
pub fn stood_in_provider(object: &Value) -> Option<&str> {
    let providers = object.pointer("/spec/provider")?.as_object()?;
    let mut named = providers.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str());
    named.next().filter(|name| *name != "kubernetes")
}

/// The key under which a stand-in has the values that a search finds.
pub(crate) fn found_key(find: &Find) -> String {
    // Texts and maps of texts are JSON.
    format!("{FOUND}{}", serde_json::to_string(find).unwrap_or_default())
}

/// True if a source is what a search at a provider finds.
pub fn is_found(source: &SourceRef) -> bool {
    !source.is_secret() && source.name.starts_with(FOUND)
}

impl StoreSemantics for StandIn {
    fn locate(&self, remote: &RemoteRef) -> SourceRef {
        let version = remote.version.clone().filter(|version| !version.is_empty());
        SourceRef::remote(&self.store, &remote.key, version)
    }

    fn account(&self) -> Option<&ServiceAccountRef> {
        None
    }

    fn unjudged(&self) -> Option<(String, String)> {
        let reason = format!(
            "a server of this machine stands in for {}, by External Secrets Operator's webhook provider; not judged: rights at the \
             provider, its audit, its encryption",
            self.provider
        );
        Some((format!("spec.provider.{}", self.provider), reason))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Expectations of a provider by External Secrets Operator's own tests (pkg/provider, 0.20.4), and what its stand-in
    /// answers: the
    /// names under which a rewrite sees what is found.
    #[rstest]
    // secretsmanager_test.go, TestGetAllSecrets: by name, by path and by tags; names are as they are.
    #[case::aws_by_name("aws", "{name: {regexp: '^prod/.*'}}", Ok(&["prod/first", "prod/second"][..]))]
    #[case::aws_by_path("aws", "{path: prod/, name: {regexp: '.*'}}", Ok(&["prod/first", "prod/second"][..]))]
    #[case::aws_by_tags("aws", "{tags: {foo: bar}}", Ok(&["first", "second"][..]))]
    #[case::aws_by_nothing("aws", "{}", Err("says nothing"))]
    // client_test.go of gcp/secretmanager, TestGetAllSecrets: names are converted by the provider.
    #[case::gcp("gcpsm", "{name: {regexp: 'a/.+'}}", Ok(&["a_first", "a_second"][..]))]
    #[case::gcp_unicode("gcpsm", "{name: {regexp: 'a/x'}, conversionStrategy: Unicode}", Ok(&["a_U002f_x"][..]))]
    // keyvault_test.go, TestAzureKeyVaultSecretManagerGetAllSecrets: by name and by tags.
    #[case::azure("azurekv", "{name: {regexp: '^example'}}", Ok(&["example"][..]))]
    #[case::azure_by_tags("azurekv", "{tags: {environment: dev}}", Ok(&["first", "second"][..]))]
    // client_get_all_secrets_test.go of vault, TestGetAllSecrets: by name, by path and by tags.
    #[case::vault("vault", "{name: {regexp: 'secret.*'}}", Ok(&["secretfirst", "secretsecond"][..]))]
    #[case::vault_by_path("vault", "{path: path, name: {regexp: 'path/secret.*'}}", Ok(&["path/secretfirst", "path/secretsecond"][..]))]
    // providers/v1/openbao/client.go, barbican/client.go, dvls/client.go and ovh/client_get_all_secrets.go of 2.9.0.
    #[case::openbao("openBao", "{name: {regexp: 'secret.*'}}", Ok(&["secretfirst", "secretsecond"][..]))]
    #[case::openbao_by_tags("openBao", "{tags: {a: b}}", Err("by tags"))]
    #[case::barbican_by_tags("barbican", "{tags: {a: b}}", Err("by name alone"))]
    #[case::dvls("dvls", "{name: {regexp: a}}", Err("knows no search"))]
    #[case::ovh("ovh", "{}", Ok(&["first", "second"][..]))]
    // onepassword_test.go, TestGetAllSecrets: by path, name and tags.
    #[case::onepassword("onepassword", "{path: my-item, name: {regexp: '^my-.*'}}", Ok(&["my-item/my-first", "my-item/my-second"][..]))]
    #[case::onepassword_sdk("onepasswordSDK", "{name: {regexp: a}}", Err("knows no search"))]
    // client.go of infisical and of doppler: all where nothing is asked for.
    #[case::infisical("infisical", "{}", Ok(&["first", "second"][..]))]
    #[case::infisical_by_tags("infisical", "{tags: {a: b}}", Err("by tags"))]
    #[case::doppler("doppler", "{path: APP_}", Ok(&["APP_/first", "APP_/second"][..]))]
    // bitwarden provider_test.go, TestProviderGetAllSecrets: all there is.
    #[case::bitwarden("bitwardensecretsmanager", "{}", Ok(&["first", "second"][..]))]
    // gitlab_test.go, TestGetAllSecrets: by name, with a tag for the environment; no path.
    #[case::gitlab("gitlab", "{name: {regexp: '.*'}, tags: {environment_scope: prod}}", Ok(&["first", "second"][..]))]
    #[case::gitlab_by_path("gitlab", "{path: a, name: {regexp: '.*'}}", Err("below a path"))]
    #[case::gitlab_by_tags("gitlab", "{tags: {environment_scope: prod}}", Err("by name alone"))]
    // webhook.go: not implemented.
    #[case::webhook("webhook", "{name: {regexp: a}}", Err("knows no search"))]
    // fake_test.go, TestGetAllSecrets: by name alone.
    #[case::fake("fake", "{name: {regexp: '^some_key$'}}", Ok(&["some_key"][..]))]
    #[case::fake_by_tags("fake", "{tags: {a: b}}", Err("by tags"))]
    fn a_search_finds_what_its_provider_would_give(
        #[case] provider: &str,
        #[case] find: &str,
        #[case] expected: Result<&[&str], &str>,
    ) {
        let stand_in = StandIn { store: "s".to_owned(), provider: provider.to_owned(), written: Vec::new() };
        match (stand_in.names_found(&serde_yaml::from_str(find).unwrap()), expected) {
            (Ok(names), Ok(expected)) => assert_eq!(names, expected),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn a_search_finds_the_keys_that_the_store_itself_has() {
        let written = |key: &str| WrittenKey { key: key.to_owned(), version: String::new(), members: BTreeSet::new() };
        let written = ["db/one", "db/two", "mail"].map(written).to_vec();
        let stand_in = StandIn { store: "s".to_owned(), provider: "fake".to_owned(), written };
        let found = |find: &str| stand_in.names_found(&serde_yaml::from_str(find).unwrap());
        assert_eq!(found("{name: {regexp: ^db/}}").unwrap(), ["db_one", "db_two"]);
        found("{name: {regexp: ^none$}}").unwrap_err();
    }

    /// The same of what a single reference asks for: key, version and property reach the stand-in as they are written.
    #[rstest]
    // secretsmanager_test.go, TestSecretsManagerGetSecret: a nested property, a stage and an id as version.
    #[case::aws("{key: /baz, property: 'foobar.baz'}", "/baz", None)]
    #[case::aws_stage("{key: /baz, version: AWSPREVIOUS}", "/baz", Some("AWSPREVIOUS"))]
    #[case::aws_id("{key: /baz, version: 'uuid/123e4567-e89b'}", "/baz", Some("uuid/123e4567-e89b"))]
    // parameterstore_test.go: a query of gjson.
    #[case::parameters("{key: /baz, property: '/shmoo.boom', version: '2'}", "/baz", Some("2"))]
    // keyvault_test.go: an object type before the name.
    #[case::azure("{key: 'cert/example', property: 'tags.a'}", "cert/example", None)]
    // client_test.go of gcp/secretmanager.
    #[case::gcp("{key: '/baz', version: '1234'}", "/baz", Some("1234"))]
    // onepassword_test.go: a title with spaces, and a field or a file of it.
    #[case::onepassword("{key: 'my item', property: 'file/some file.png'}", "my item", None)]
    // infisical client.go and vault client_get.go.
    #[case::infisical("{key: /a/b/TOKEN}", "/a/b/TOKEN", None)]
    #[case::vault("{key: secret/data/app, property: nested.foo, version: '3'}", "secret/data/app", Some("3"))]
    #[case::empty_version("{key: a, version: ''}", "a", None)]
    fn a_reference_reaches_the_stand_in_as_it_is_written(
        #[case] remote: &str,
        #[case] key: &str,
        #[case] version: Option<&str>,
    ) {
        let stand_in = StandIn { store: "s".to_owned(), provider: "aws".to_owned(), written: Vec::new() };
        let source = stand_in.locate(&serde_yaml::from_str(remote).unwrap());
        assert_eq!(source, SourceRef::remote("s", key, version.map(str::to_owned)));
    }

    #[test]
    fn a_search_comes_back_from_the_key_that_stands_for_it() {
        let find: Find = serde_yaml::from_str("{name: {regexp: '^a/b'}, tags: {x: y}, path: /p}").unwrap();
        let key = found_key(&find);
        let remote: RemoteRef =
            serde_yaml::from_str(&format!("{{key: '{key}', conversionStrategy: Unicode}}")).unwrap();
        let back = StandIn::search_of(&remote).unwrap();
        assert_eq!(found_key(&back), key);
        assert_eq!(back.conversion_strategy, crate::config::ConversionStrategy::Unicode);
        let plain: RemoteRef = serde_yaml::from_str("{key: found by nobody}").unwrap();
        assert!(StandIn::search_of(&plain).is_none());
    }
}
