//! User names that reach a copy: a password is of no use without its user.

use std::collections::BTreeSet;

use credence_core::formats::{Role, source_roles};
use credence_core::scope::Written;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};

/// True if a user name of the source reaches the copies of all these distributions: a password is of no use without its user.
pub(super) fn names_travel<'a>(
    model: &Model,
    source: &SourceRef,
    distributions: impl IntoIterator<Item = &'a Distribution>,
) -> bool {
    let keys = model.sources.get(source).map(|held| &held.keys).into_iter().flatten();
    let roles = source_roles(keys.map(String::as_str));
    let Some(name) = roles.get(&Role::Username) else { return false };
    distributions.into_iter().all(|distribution| name_travels(distribution, source, name))
}

fn name_travels(distribution: &Distribution, source: &SourceRef, name: &str) -> bool {
    let Some(keys) = distribution.written().keys else { return false };
    let copied = source_roles(keys.keys().copied());
    let own = copied.get(&Role::Username).and_then(|key| keys.get(key));
    if matches!(own, Some(Written::Literal(_))) {
        return false;
    }
    let of_source = distribution.fields.iter().filter(|field| field.source == *source);
    let read: BTreeSet<&str> = of_source
        .filter(|field| field.property.as_deref().is_none_or(|property| property == name))
        .map(|field| field.secret_key.as_str())
        .collect();
    read.iter().any(|key| {
        keys.iter().any(|(copied, written)| match written {
            Written::Template(text) => reads_field(text, key),
            Written::Read => copied == key,
            Written::Literal(_) => false,
        })
    })
}

/// True if an action of a template reads the value `.key`, or `index . "key"`.
fn reads_field(template: &str, key: &str) -> bool {
    let actions = template.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let (field, indexed) = (format!(".{key}"), format!("index . \"{key}\""));
    let is_name = |next: char| next.is_ascii_alphanumeric() || next == '_';
    actions.into_iter().any(|action| {
        let named = action.match_indices(&field).any(|(at, _)| !action[at + field.len()..].starts_with(is_name));
        named || action.contains(&indexed)
    })
}

#[cfg(test)]
mod tests {
    use credence_model::model::testing::reference;
    use rstest::rstest;

    use super::*;
    use crate::p07_credential_types::testing::world;

    #[rstest]
    #[case::field("{{ .user }}", true)]
    #[case::in_a_dict(r#"{{ dict "username" .user "password" .token | toJson }}"#, true)]
    #[case::by_index(r#"{{ index . "user" }}"#, true)]
    #[case::another_field("{{ .username }}", false)]
    #[case::key_of_a_dict(r#"{{ dict "user" "oauth2" "password" .token | toJson }}"#, false)]
    #[case::text(".user {{ .token }}", false)]
    fn an_action_reads_a_field_by_its_name(#[case] template: &str, #[case] expected: bool) {
        assert_eq!(reads_field(template, "user"), expected);
    }

    const COMPOSED: &str = r#"{"auths":{"ghcr.io":{"username":"USER","password":"{{ .token }}"}}}"#;

    #[rstest]
    #[case::read("{{ .username }}", true)]
    #[case::of_the_template("x-access-token", false)]
    fn a_password_is_issued_only_where_the_users_name_travels(#[case] user: &str, #[case] expected: bool) {
        let mut model = world("two-registries-three-logins");
        let source = model.sources.keys().next().unwrap().clone();
        let distribution =
            model.distributions.iter_mut().find(|distribution| distribution.sources().contains(&source)).unwrap();
        let config = COMPOSED.replace("USER", user);
        distribution.object["spec"]["externalSecretSpec"]["target"]["template"]["data"][".dockerconfigjson"] =
            config.into();
        let distribution = distribution.clone();
        assert_eq!(names_travel(&model, &source, [&distribution]), expected);
        model.sources.get_mut(&source).unwrap().keys.remove("username");
        assert!(!names_travel(&model, &source, [&distribution]));
    }

    #[test]
    fn a_literal_user_name_in_a_key_of_its_own_is_not_the_users() {
        let mut model = reference();
        let distribution =
            model.distributions.iter_mut().find(|distribution| distribution.name == "argocd-git-credentials").unwrap();
        let source = (*distribution.sources().first().unwrap()).clone();
        let before = distribution.clone();
        distribution.object["spec"]["externalSecretSpec"]["target"]["template"]["data"]["username"] = "oauth2".into();
        let after = distribution.clone();
        assert!(names_travel(&model, &source, [&before]));
        assert!(!names_travel(&model, &source, [&after]));
    }
}
