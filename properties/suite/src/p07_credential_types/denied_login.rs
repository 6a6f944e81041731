//! Logins that must be denied although the credential is good: the negative controls of each case.

use credence_consumers::running::{Consumers, Login, LoginAnswer, LoginError, Proof, is_denial};
use credence_core::consumer::{Consumer, DeniedLogin};
use credence_core::formats::{
    KARGO_CHART_RULES, KARGO_GIT, KARGO_GIT_RULES, KARGO_IMAGE, KARGO_IMAGE_RULES, KARGO_SSH_RULES, Role, source_roles,
};
use credence_core::id::CaseId;
use credence_core::kargo_lookup::SHARED_NAMESPACE;
use credence_core::owner::Owner;
use credence_core::scope::Scope;
use credence_model::model::Distribution;
use credence_report::unknown::{Cause, Unknown};

use super::issuer::Issuer;
use super::not_held::NotHeld;
use crate::observation;

/// The logins that a copy must be denied.
pub(super) fn of(distribution: &Distribution, consumer: Consumer, has_project: bool) -> Vec<DeniedLogin> {
    let mut denied_logins = consumer.meta().denied_logins.to_vec();
    if distribution.named_ways().iter().any(|(names, _)| names.iter().any(|name| is_shared(consumer, name))) {
        denied_logins.retain(|denial| *denial != DeniedLogin::FromOtherNamespace);
    }
    denied_logins.extend(has_project.then_some(DeniedLogin::InOtherProject));
    denied_logins
}

/// True if Kargo uses copies in this namespace for all projects.
pub(super) fn is_shared(consumer: Consumer, namespace: &str) -> bool {
    let kargo = [KARGO_GIT, KARGO_GIT_RULES, KARGO_IMAGE, KARGO_IMAGE_RULES, KARGO_CHART_RULES, KARGO_SSH_RULES];
    kargo.contains(&consumer) && namespace == SHARED_NAMESPACE
}

/// The login that is as it must be, and what its copy is for.
pub(super) struct Subject<'a> {
    pub(super) consumers: &'a Consumers,
    pub(super) consumer: Consumer,
    /// Login that the consumer must be admitted with, but for what is changed of it.
    pub(super) login: Login,
    pub(super) id: CaseId,
    /// The URL that it asks for.
    pub(super) url: Option<String>,
    /// The destinations that the copy is for, as its consumer reads it.
    pub(super) scopes: Vec<Scope>,
}

/// Tries it, and fails unless it is denied.
pub(super) async fn attempt(
    denial: DeniedLogin,
    subject: Subject<'_>,
    issuer: &Issuer<'_>,
    proof: Proof,
) -> Result<(), NotHeld> {
    let is_for_whole_host = is_for_whole_host(&subject);
    let Subject { consumers, consumer, login, id, .. } = subject;
    let like = renamed(login, consumers.unused_name(id));
    let login = denied(denial, like, consumers, issuer).await.map_err(|error| observation::unknown(&error))?;
    let result = consumers.log_in(consumer, &login).await;
    let removed = consumers.leave(consumer, &login).await;
    let result = result.map_err(|error| observation::unknown(&error))?;
    removed.map_err(|error| observation::unknown(&error))?;
    let what = format!("{} {denial}", consumer.operation());
    if result.answer == LoginAnswer::Admitted {
        return Err(NotHeld::violated(format!("{what} works")));
    }
    if proof != Proof::ServerSawUser {
        return Ok(());
    }
    let requests = result.requests;
    let offered = issuer.secret().is_some_and(|secret| requests.iter().any(|request| request.offered.is(secret)));
    let may_offer = denial == DeniedLogin::AtLookAlikeOwner && is_for_whole_host;
    if offered && !may_offer {
        return Err(NotHeld::violated(format!("{what} was refused, but it sent the credential there")));
    }
    match result.answer {
        // Who does not ask needs no refusal.
        LoginAnswer::Withheld(_) => Ok(()),
        _ if requests.iter().any(is_denial) => Ok(()),
        _ => {
            let why = format!("{what} failed, but its server did not refuse anything");
            Err(Unknown::new(Cause::EvidenceLost, why).into())
        }
    }
}

/// The same login for the first time under another name, at a repository of that name unless the copy is for one alone.
fn renamed(login: Login, name: String) -> Login {
    let repository = if login.repository == login.name { name.clone() } else { login.repository.clone() };
    Login { name, repository, step: 1, ..login }
}

/// True if the copy is for all owners on its host, so that its consumer may offer it to any of them.
fn is_for_whole_host(subject: &Subject<'_>) -> bool {
    let by_nature = subject.consumer.meta().offers_to_whole_host;
    let Some(url) = &subject.url else { return by_nature };
    let is_for_any = |scope: &Scope| match scope {
        Scope::Everywhere => by_nature,
        scope => scope.is_for_whole_host(url),
    };
    subject.scopes.iter().any(is_for_any)
}

/// A login, changed so that it must be denied.
async fn denied(
    denial: DeniedLogin,
    login: Login,
    consumers: &Consumers,
    issuer: &Issuer<'_>,
) -> Result<Login, LoginError> {
    Ok(match denial {
        DeniedLogin::WithoutSecret => Login { secret: None, ..login },
        DeniedLogin::FromOtherNamespace => Login { namespace: login.destination.clone(), ..login },
        DeniedLogin::InOtherProject => Login { project: None, ..login },
        DeniedLogin::AtLookAlikeOwner => Login { owner: login.owner.as_ref().map(Owner::look_alike), ..login },
        DeniedLogin::AtLookAlikeHost => Login { owner: login.owner.as_ref().map(Owner::elsewhere), ..login },
        DeniedLogin::AsOtherClient => as_other_client(login, consumers).await?,
        DeniedLogin::UnderOtherName => Login { server_name: format!("other-{}", issuer.name), ..login },
    })
}

/// Presents the copy's secret with the id of an application that it is not of.
async fn as_other_client(mut login: Login, consumers: &Consumers) -> Result<Login, LoginError> {
    let application = login.application.ok_or(LoginError::NoApplication)?;
    let other = consumers.forge.create_application(&application.redirect_uri).await?;
    let keys: Vec<String> = login.data.keys().cloned().collect();
    if let Some(key) = source_roles(keys.iter().map(String::as_str)).get(&Role::ClientId) {
        login.data.insert((*key).to_owned(), other.client_id.clone());
    }
    Ok(Login { application: Some(other), ..login })
}
