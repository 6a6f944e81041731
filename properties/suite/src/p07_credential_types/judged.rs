//! Copies that can be judged by a login, and why the others cannot. Pure.

use credence_core::consumer::Consumer;
use credence_core::endpoints::Endpoint;
use credence_core::formats::{
    ARGO_CD_SSH_RULES, FLUX_SSH_RULES, KARGO_SSH_RULES, KUBELET, OAUTH_CLIENT, Role, TLS_SERVER, source_roles,
};
use credence_core::scope::NotTried;
use credence_core::uses::tried;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};

use super::issue::{CredentialKind, ssh_key};
use super::namespace::{is_in, labels_for, owner_of_namespace};
use crate::testbed::rotation::targets_of;

/// A copy that a case can use, and the consumer that it is tried with.
#[derive(Debug, Clone)]
pub(crate) struct Choice<'a> {
    pub(crate) distribution: &'a Distribution,
    /// The consumer, or what stands in for it.
    pub(super) consumer: Consumer,
    /// Places at which the consumer may use it; empty for one that asks for nothing of the kind.
    pub(super) endpoints: Vec<&'a Endpoint>,
    /// The number of its source among those of the slot.
    pub(super) source: usize,
}

/// The distributions of a source whose copies have a consumer here, or what stands in for it; those for pods, the most common
/// consumers, once more at the end.
pub(crate) fn consumed<'a>(model: &'a Model, source: &SourceRef) -> Vec<Choice<'a>> {
    let with_consumers = |distribution: &'a Distribution| {
        let judged = judged(model, distribution, source).unwrap_or_default().into_iter();
        judged.map(move |(consumer, endpoints)| Choice { distribution, consumer, endpoints, source: 0 })
    };
    let mut all: Vec<_> = targets_of(model, source).into_iter().flat_map(with_consumers).collect();
    let pods: Vec<_> = all.iter().filter(|choice| choice.consumer == KUBELET).cloned().collect();
    all.extend(pods);
    all
}

/// Why no case uses the copies of a distribution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotJudged {
    /// There is nothing to rotate.
    #[error("it is made of no source")]
    NoSource,
    #[error("no namespace can get one")]
    NeverAsked,
    /// Nothing can be issued into its source.
    #[error(
        "no server here issues what source {0} holds: by the names of its keys it is neither an account, nor an OAuth client, nor \
         a certificate, and nothing reads an SSH key of it"
    )]
    NoCredential(SourceRef),
    /// It does not read what is issued.
    #[error("it does not read {role} of source {source_ref}, which is what is issued there")]
    NotRead { role: Role, source_ref: SourceRef },
    /// It has the logins of several sources in it.
    #[error("it is made of the accounts of several sources, and which of them logs in where is not known")]
    SeveralAccounts,
    /// Its consumer needs another kind of credential.
    #[error("{consumer} has no use for what source {source_ref} holds")]
    OtherKind { consumer: &'static str, source_ref: SourceRef },
    /// It is not where its consumer looks.
    #[error("not applicable: no copy of it is in namespace {namespace}, where {consumer} looks for its credentials")]
    Elsewhere { consumer: &'static str, namespace: String },
    /// No login can be tried with it.
    #[error(transparent)]
    NotTried(#[from] NotTried),
    #[error("{consumer} cannot run here: {why}")]
    Absent { consumer: &'static str, why: String },
}

/// The consumers that try copies of `distribution` with a credential that is issued into `source`, each with the places.
///
/// # Errors
/// Why none does.
pub(super) fn judged<'a>(
    model: &'a Model,
    distribution: &Distribution,
    source: &SourceRef,
) -> Result<Vec<(Consumer, Vec<&'a Endpoint>)>, Vec<NotJudged>> {
    if !distribution.can_be_selected() {
        return Err(vec![NotJudged::NeverAsked]);
    }
    let of_all = |reasons: Vec<NotTried>| reasons.into_iter().map(NotJudged::from).collect::<Vec<_>>();
    let tried = tried(&distribution.uses(&model.endpoints)).map_err(of_all)?;
    let kind = readable(model, distribution, source).map_err(|why| vec![why])?;
    let (mut found, mut reasons) = (Vec::new(), Vec::new());
    for (consumer, endpoints) in tried {
        match runnable(model, distribution, consumer, kind, source) {
            Ok(consumer) => found.push((consumer, endpoints)),
            Err(why) => reasons.push(why),
        }
    }
    if found.is_empty() { Err(reasons) } else { Ok(found) }
}

/// The kind of credential that is issued into a source, if the distribution reads it.
fn readable(model: &Model, distribution: &Distribution, source: &SourceRef) -> Result<CredentialKind, NotJudged> {
    let kind_of = |source: &SourceRef| CredentialKind::of_source(model, source);
    let reads = |source: &SourceRef, kind: CredentialKind| {
        if kind == CredentialKind::SshKey {
            return ssh_key(model, source).is_some_and(|key| reads_key(distribution, source, &key));
        }
        let keys = model.sources.get(source).map(|held| &held.keys).into_iter().flatten();
        let roles = source_roles(keys.map(String::as_str));
        // Of two parts, a template may take one from elsewhere: that is for its consumer to find out.
        kind.secrets().iter().filter_map(|role| roles.get(role)).any(|key| reads_key(distribution, source, key))
    };
    let kind = kind_of(source).ok_or_else(|| NotJudged::NoCredential(source.clone()))?;
    if !reads(source, kind) {
        return Err(NotJudged::NotRead { role: kind.secrets()[0].clone(), source_ref: source.clone() });
    }
    let others = distribution.sources().into_iter().filter(|other| *other != source);
    let has_account =
        |other: &SourceRef| kind_of(other) == Some(CredentialKind::Account) && reads(other, CredentialKind::Account);
    if kind == CredentialKind::Account && others.into_iter().any(has_account) {
        return Err(NotJudged::SeveralAccounts);
    }
    Ok(kind)
}

fn reads_key(distribution: &Distribution, source: &SourceRef, key: &str) -> bool {
    let of_source = distribution.fields.iter().filter(|field| field.source == *source);
    of_source.into_iter().any(|field| field.property.as_deref().is_none_or(|property| property == key))
}

/// The consumer that runs, if it has a use for this kind of credential and looks where the copies are.
fn runnable(
    model: &Model,
    distribution: &Distribution,
    consumer: Consumer,
    kind: CredentialKind,
    source: &SourceRef,
) -> Result<Consumer, NotJudged> {
    let others = [
        (OAUTH_CLIENT, CredentialKind::Client),
        (TLS_SERVER, CredentialKind::Certificate),
        (ARGO_CD_SSH_RULES, CredentialKind::SshKey),
        (KARGO_SSH_RULES, CredentialKind::SshKey),
        (FLUX_SSH_RULES, CredentialKind::SshKey),
    ];
    let needed =
        others.into_iter().find(|(other, _)| *other == consumer).map_or(CredentialKind::Account, |(_, kind)| kind);
    if needed != kind {
        return Err(NotJudged::OtherKind { consumer: consumer.title(), source_ref: source.clone() });
    }
    if let Some(namespace) = model.endpoints.namespace_of(consumer)
        && !is_in(model, distribution, namespace, &labels_for(model, &model.endpoints, owner_of_namespace(consumer)))
    {
        return Err(NotJudged::Elsewhere { consumer: consumer.title(), namespace: namespace.to_owned() });
    }
    let absent = |absent: &Consumer| model.absent_consumers.get(absent).cloned().unwrap_or_default();
    consumer
        .available(&model.absent_consumers)
        .ok_or_else(|| NotJudged::Absent { consumer: consumer.title(), why: absent(&consumer) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use credence_core::endpoints::Endpoints;
    use credence_core::formats::ARGO_CD;
    use credence_core::labels::Labels;
    use credence_model::model::testing::reference;

    use super::*;
    use crate::p07_credential_types::namespace::labels_of_argo_cd;
    use crate::p07_credential_types::round_robin;
    use crate::p07_credential_types::testing::world;

    /// Consumers that are tried with which copy, and where.
    fn dealt(model: &Model) -> BTreeMap<String, String> {
        let all = model.sources.keys().flat_map(|source| consumed(model, source));
        let told = all.map(|choice| {
            let places: Vec<&str> = choice.endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect();
            (choice.distribution.name.clone(), format!("{:?} at {}", choice.consumer, places.join(", ")))
        });
        told.collect()
    }

    fn owned(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
        texts.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
    }

    #[test]
    fn each_login_is_tried_with_the_images_that_it_is_for() {
        let model = world("two-registries-three-logins");
        let expected = [
            ("ghcr", "Kubelet at ghcr.io/example-org/portal"),
            ("harbor-blog", "Kubelet at harbor.example.org/blog/assets, harbor.example.org/blog/digest"),
            ("harbor-shop", "Kubelet at harbor.example.org/shop/web/shop"),
        ];
        assert_eq!(dealt(&model), owned(&expected));
        assert!(
            round_robin::not_judged(&model).keys().all(|what| what == "pull, sign-in and catalog read by Backstage")
        );
    }

    #[test]
    fn copies_of_argo_cd_are_tried_in_its_namespace_at_what_their_url_is_for() {
        let model = world("argo-cd-by-label");
        let expected = [
            ("argo-cd-organisation", "ArgoCd at https://github.com/example-org/shop-deploy"),
            ("argo-cd-platform", "ArgoCd at https://gitlab.example.org/platform/clusters/production.git"),
        ];
        assert_eq!(model.endpoints.namespace_of(ARGO_CD), Some("gitops"));
        assert_eq!(dealt(&model), owned(&expected));
    }

    #[test]
    fn argo_cds_namespace_asks_by_labels_unless_the_configuration_decides_it() {
        let mut model = world("argo-cd-by-label");
        let label = ("gitops.example.org/argo-cd", "true");
        assert_eq!(labels_of_argo_cd(&model, &model.endpoints), owned(&[label]));
        model.namespaces.clear();
        assert_eq!(labels_of_argo_cd(&model, &model.endpoints), owned(&[label]));
        model.namespaces.insert("gitops".to_owned(), Labels::new());
        assert_eq!(dealt(&model), BTreeMap::new());
        let reason = &round_robin::not_judged(&model)["login with copy argo-cd-platform of argo-cd-platform"];
        assert!(reason.starts_with("not applicable: no copy of it is in namespace gitops"), "{reason}");
        assert_eq!(labels_of_argo_cd(&reference(), &Endpoints::default()), Labels::new());
    }

    #[test]
    fn keys_of_apps_are_not_judged_and_each_says_why_and_keys_of_ssh_are_tried() {
        let model = world("github-app-and-ssh");
        let expected = [
            ("argo-cd-deploy-key", "ArgoCdSshRules at git@github.com:example-org/infrastructure.git"),
            ("flux-deploy-key", "FluxSshRules at ssh://git@github.com/example-org/infrastructure"),
            ("kargo-deploy-key", "KargoSshRules at ssh://git@github.com/example-org/infrastructure.git"),
        ];
        assert_eq!(dealt(&model), owned(&expected));
        let reasons = round_robin::not_judged(&model);
        let expected = [("argo-cd-github-app", "a GitHub App"), ("kargo-github-app", "a GitHub App")];
        for (copy, reason) in expected {
            assert!(reasons[&format!("login with copy {copy} of {copy}")].contains(reason), "{reasons:?}");
        }
    }

    #[test]
    fn every_source_of_a_case_is_read_by_its_copies() {
        let mut model = world("two-registries-three-logins");
        let source = model.sources.keys().next().unwrap().clone();
        let distribution =
            model.distributions.iter_mut().find(|distribution| distribution.sources().contains(&source)).unwrap();
        distribution.fields.retain(|field| field.property.as_deref() != Some("token"));
        let distribution = distribution.clone();
        let why = judged(&model, &distribution, &source).unwrap_err();
        assert_eq!(why, [NotJudged::NotRead { role: Role::Secret, source_ref: source }]);
    }
}
