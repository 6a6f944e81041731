//! The life of a credential, generated: what is issued, what it is rotated to, and how it ends.

use std::collections::BTreeSet;

use credence_core::credential::Credential;
use credence_core::formats::{Role, source_roles};
use credence_model::config::SourceRef;
use credence_model::model::{Model, ValueKind};
use credence_model::values::Values;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use crate::generate;

/// A credential of one source. What only a server can make, such as a token, is made when the case runs.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub source: SourceRef,
    /// Kind of credential that its keys are for.
    pub kind: CredentialKind,
    /// The secret part of a forge account at first.
    pub first: Secret,
    /// Secret that it is rotated to.
    pub next: Secret,
    pub end: End,
    /// Values of keys that say nothing of a role, and a user name to go with tokens, which forges do not look at.
    pub others: Values,
}

/// Kinds of credentials that a source holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialKind {
    /// User name and token or password of a forge.
    Account,
    /// Id and secret of an OAuth client.
    Client,
    /// Certificate and key of a server.
    Certificate,
    /// The private half of an SSH key of a user of a forge.
    SshKey,
}

/// The secret part of a forge account.
#[derive(Debug, Clone)]
pub(crate) enum Secret {
    /// A token, made by the forge.
    Token,
    /// A password, with whatever characters a password may have.
    Password(Credential),
}

/// Way in which a credential stops being good at the end of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server that checks it does not know it any more. A certificate expires instead.
    Revoked,
    /// The source holds something else: a value that was never issued, or the key of another certificate.
    Wrong,
    /// The source holds the beginning of it.
    Truncated,
}

impl Issue {
    /// The same with tokens, revoked at the end: for Backstage, which sends what it has for a token as a bearer token and
    /// keeps running when a credential is revoked, and for whoever needs a credential to stay good beside its successor.
    pub(crate) fn with_tokens(self) -> Self {
        Self { first: Secret::Token, next: Secret::Token, end: End::Revoked, ..self }
    }
}

impl CredentialKind {
    /// The parts that the server of such a credential issues.
    pub(super) fn secrets(self) -> &'static [Role] {
        match self {
            Self::Account => &[Role::Secret],
            Self::Client => &[Role::ClientId, Role::ClientSecret],
            Self::Certificate => &[Role::Certificate, Role::PrivateKey],
            Self::SshKey => &[Role::PrivateKey],
        }
    }

    /// The kind that a source is for, if it is one that has a server to ask: by the names of its keys, or by what its readers take
    /// a value for, as a private key alone may be anything.
    pub(super) fn of_source(model: &Model, source: &SourceRef) -> Option<Self> {
        let keys = &model.sources.get(source)?.keys;
        Self::of(keys).or_else(|| ssh_key(model, source).map(|_| Self::SshKey))
    }

    /// The kind that the keys of a source are for, if it is one that has a server to ask.
    pub(crate) fn of(keys: &BTreeSet<String>) -> Option<Self> {
        let roles = source_roles(keys.iter().map(String::as_str));
        let has = |role: &Role| roles.contains_key(role);
        if has(&Role::Certificate) && has(&Role::PrivateKey) {
            Some(Self::Certificate)
        } else if has(&Role::ClientId) && has(&Role::ClientSecret) {
            Some(Self::Client)
        } else {
            has(&Role::Secret).then_some(Self::Account)
        }
    }
}

/// The only key of a source whose value is read as the private half of an SSH key.
pub(super) fn ssh_key(model: &Model, source: &SourceRef) -> Option<String> {
    let kinds = model.value_kinds(source).into_iter();
    let keys: Vec<String> = kinds.filter(|(_, kind)| *kind == ValueKind::SshPrivateKey).map(|(key, _)| key).collect();
    match <[String; 1]>::try_from(keys) {
        Ok([key]) => Some(key),
        Err(_) => None,
    }
}

/// Generated text on one line, without a colon: git reads what it asks for from a line.
fn one_line() -> impl Strategy<Value = String> {
    generate::user_name().prop_map(|value| value.expose_str().unwrap_or_default().replace(['\n', '\r', '\0'], "_"))
}

/// Passwords that git can ask for.
fn password() -> BoxedStrategy<Credential> {
    // A forge trims nothing, but a browser form could; a quote at both ends stays what it is.
    one_line().prop_map(|text| Credential::new(format!("\"{text}:{{{{ .x }}}}\\"))).boxed()
}

/// User names that any protocol can carry beside a token: one line, no colon, never empty.
fn user_name() -> BoxedStrategy<Credential> {
    one_line().prop_map(|text| Credential::new(if text.is_empty() { "_".to_owned() } else { text })).boxed()
}

/// The secret part of an account: a token, or a password where the name of its user gets to the copies as well.
fn secret(with_names: bool) -> BoxedStrategy<Secret> {
    if with_names {
        prop_oneof![Just(Secret::Token), password().prop_map(Secret::Password)].boxed()
    } else {
        Just(Secret::Token).boxed()
    }
}

/// Generates the life of a credential of `source`. `None` if that is of no kind.
pub(crate) fn strategy(model: &Model, source: &SourceRef, with_names: bool) -> Option<BoxedStrategy<Issue>> {
    let kind = CredentialKind::of_source(model, source)?;
    let (source, keys) = (source.clone(), &model.sources.get(source)?.keys);
    let username = source_roles(keys.iter().map(String::as_str)).get(&Role::Username).map(|key| (*key).to_owned());
    let others = generate::source_values(keys.iter().cloned());
    let ends: &[End] = if kind == CredentialKind::Certificate {
        &[End::Revoked, End::Wrong, End::Truncated]
    } else {
        &[End::Revoked, End::Wrong]
    };
    let strategy = (secret(with_names), secret(with_names), select(ends), others, user_name());
    let issue = strategy.prop_map(move |(first, next, end, mut others, name)| {
        if let Some(key) = &username {
            others.insert(key.clone(), name);
        }
        Issue { source: source.clone(), kind, first, next, end, others }
    });
    Some(issue.boxed())
}

#[cfg(test)]
mod tests {
    use credence_model::model::testing::reference;
    use proptest::strategy::ValueTree;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["username", "token"], Some(CredentialKind::Account))]
    #[case(&["client-id", "client-secret"], Some(CredentialKind::Client))]
    #[case(&["tls.crt", "tls.key"], Some(CredentialKind::Certificate))]
    #[case::half_a_certificate(&["tls.key"], None)]
    #[case(&["endpoint"], None)]
    fn the_kind_follows_from_the_keys(#[case] keys: &[&str], #[case] expected: Option<CredentialKind>) {
        assert_eq!(CredentialKind::of(&keys.iter().map(|key| (*key).to_owned()).collect()), expected);
    }

    #[test]
    fn tokens_alone_are_issued_where_no_user_name_travels() {
        let model = reference();
        let of_account =
            |source: &&SourceRef| CredentialKind::of_source(&model, source) == Some(CredentialKind::Account);
        let source = model.sources.keys().find(of_account).unwrap();
        let passwords = |with_names| {
            let strategy = strategy(&model, source, with_names).unwrap();
            let issues =
                (0..50).map(|index| strategy.new_tree(&mut generate::runner(7, "issue", index)).unwrap().current());
            issues
                .filter(|issue| matches!(issue.first, Secret::Password(_)) || matches!(issue.next, Secret::Password(_)))
                .count()
        };
        assert_eq!(passwords(false), 0);
        assert!(passwords(true) > 0);
    }

    #[test]
    fn passwords_are_one_line_with_what_breaks_templates_and_json() {
        for index in 0..100 {
            let password = password().new_tree(&mut generate::runner(7, "password", index)).unwrap().current();
            let text = password.expose_str().unwrap();
            assert!(text.starts_with('"') && text.ends_with('\\') && text.contains(":{{ .x }}"));
            assert!(!text.contains(['\n', '\r', '\0']));
        }
    }
}
