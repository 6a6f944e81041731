//! Classifies refusals of the operator by their text. Pure.
//!
//! The texts are External Secrets Operator's (`pkg/controllers/secretstore`, `pkg/controllers/externalsecret`,
//! `pkg/provider/kubernetes`), Go's `text/template` and the API server's. Messages can quote values and are not kept.

use std::fmt;

/// A reason for which the operator is to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// The conditions of a store do not admit the namespace.
    Conditions,
    /// The account that reads or writes has no right to.
    NoRight,
    /// The store was found to have no right.
    StoreRefused,
    /// Something is named that is in another namespace.
    OtherNamespace,
    /// A template calls a function that this version does not have.
    NoFunction,
    /// A template makes a token, or goes where none may, which later versions refuse of every template.
    NoTemplate,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conditions => "the conditions of the store",
            Self::NoRight => "the rights of an account",
            Self::StoreRefused => "a store that has no right",
            Self::OtherNamespace => "a name in another namespace",
            Self::NoFunction => "a function that templates do not have",
            Self::NoTemplate => "what no template may make",
        })
    }
}

impl Reason {
    /// Reads a message; none if it says nothing about access.
    pub(super) fn of(message: &str) -> Option<Self> {
        let has = |text: &str| message.contains(text);
        if has("is not allowed from namespace") && has("denied by spec.condition") {
            Some(Self::Conditions)
        } else if has(" is forbidden: User \"") && has("\" cannot ") {
            Some(Self::NoRight)
        } else if has("client is not allowed to get secrets") {
            Some(Self::StoreRefused)
        } else if has("namespace must be empty with SecretStore") || has("namespace should either be empty or match") {
            Some(Self::OtherNamespace)
        } else if has("function \"") && has("\" not defined") {
            Some(Self::NoFunction)
        } else if has(" is not allowed") && (has("template.type=\"") || has("templateFrom target=\"")) {
            Some(Self::NoTemplate)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::conditions(
        r#"using cluster store "s" is not allowed from namespace "n": denied by spec.condition"#,
        Some(Reason::Conditions)
    )]
    #[case::right(
        r#"secrets "a" is forbidden: User "system:serviceaccount:b:c" cannot get resource "secrets" in API group """#,
        Some(Reason::NoRight)
    )]
    #[case::store("could not validate provider: client is not allowed to get secrets", Some(Reason::StoreRefused))]
    #[case::namespace("CAProvider.namespace must be empty with SecretStore", Some(Reason::OtherNamespace))]
    #[case::function(r#"template: made:1: function "getSecretKey" not defined"#, Some(Reason::NoFunction))]
    #[case::token(
        r#"could not update secret: template.type="bootstrap.kubernetes.io/token" is not allowed"#,
        Some(Reason::NoTemplate)
    )]
    #[case::path(r#"templateFrom target="type" is not allowed when targeting a Secret"#, Some(Reason::NoTemplate))]
    #[case::typo(r#"template: made:1: unexpected "}" in operand"#, None)]
    #[case::not_there(r#"Secret "a" not found"#, None)]
    #[case::not_ready(r#"SecretStore "a" is not ready"#, None)]
    #[case::authority("x509: certificate signed by unknown authority", None)]
    fn only_what_is_about_access_is_a_reason(#[case] message: &str, #[case] expected: Option<Reason>) {
        assert_eq!(Reason::of(message), expected);
    }
}
