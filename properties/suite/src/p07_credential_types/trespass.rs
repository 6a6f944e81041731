//! Logins that must be denied although the credential is good: the negative twins of each case.

use std::fmt;

use credence_consumers::running::{Answer, Pull, SecondTry, Subscribed, is_denial};
use credence_core::consumer::Consumer;
use credence_core::endpoints::Owner;
use credence_core::formats::{Role, source_roles};
use credence_core::kargo_lookup::Kind;
use credence_core::text::chain;

use super::issuer::Issuer;
use super::trial::Trial;

/// Where the credential must not open anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trespass {
    /// Without the copy.
    WithoutSecret,
    /// From a namespace that does not hold the copy.
    FromOtherNamespace,
    /// At an owner whose name begins with that of the right one, on the same host.
    AtLookAlikeOwner,
    /// At a host whose name begins with that of the right one.
    AtLookAlikeHost,
    /// As another OAuth client.
    AsOtherClient,
    /// Under another server name.
    UnderOtherName,
}

impl fmt::Display for Trespass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithoutSecret => "without the copy",
            Self::FromOtherNamespace => "from another namespace",
            Self::AtLookAlikeOwner => "at a look-alike owner",
            Self::AtLookAlikeHost => "at a look-alike host",
            Self::AsOtherClient => "as another client",
            Self::UnderOtherName => "under another name",
        })
    }
}

impl Trespass {
    /// Those that a consumer can try.
    pub(super) fn of(consumer: Consumer) -> &'static [Self] {
        match consumer {
            Consumer::Kubelet | Consumer::Backstage => {
                &[Self::WithoutSecret, Self::FromOtherNamespace, Self::AtLookAlikeOwner, Self::AtLookAlikeHost]
            }
            Consumer::ArgoCd => &[Self::AtLookAlikeOwner, Self::AtLookAlikeHost],
            Consumer::KargoGit | Consumer::KargoImage | Consumer::KargoGitRules | Consumer::KargoImageRules => {
                &[Self::FromOtherNamespace, Self::AtLookAlikeOwner, Self::AtLookAlikeHost]
            }
            Consumer::OAuthClient => &[Self::AsOtherClient],
            Consumer::TlsServer => &[Self::UnderOtherName],
        }
    }

    /// Whether a consumer may offer the credential there, to be refused. A registry's credential is for its whole host.
    fn may_offer(self, consumer: Consumer) -> bool {
        matches!((self, consumer), (Self::AtLookAlikeOwner, Consumer::Kubelet) | (Self::AsOtherClient, _))
    }

    /// Tries it. `Ok(Err)` says how it was not denied, `Err` why that cannot be told.
    pub(super) async fn attempt(self, trial: &Trial<'_>, issuer: &Issuer<'_>) -> Result<Result<(), String>, String> {
        let name = trial.consumers.unused_name(trial.id);
        let mark = trial.consumers.forge.mark();
        let answer = match trial.consumer {
            Consumer::OAuthClient => as_other_client(trial, issuer).await?,
            Consumer::TlsServer => {
                let other = format!("other-{}", issuer.name);
                trial.consumers.shake_hands(&trial.data(), &other).await.map_err(|error| chain(&error))?
            }
            _ => {
                let owner = trial.owner.ok_or("no consumer's manifest names an owner")?;
                self.log_in(trial, owner, &name).await?
            }
        };
        let what = format!("{} {self}", trial.consumer.operation());
        if answer == Answer::Admitted {
            return Ok(Err(format!("{what} works")));
        }
        let requests = match trial.consumer {
            Consumer::OAuthClient | Consumer::TlsServer => return Ok(Ok(())),
            _ => trial.consumers.requests_about(&mark, &name).await,
        };
        let offered = issuer.secret().is_some_and(|secret| requests.iter().any(|request| request.offered.is(secret)));
        if offered && !self.may_offer(trial.consumer) {
            return Ok(Err(format!("{what} was refused, but it sent the credential there")));
        }
        match requests.iter().any(is_denial) {
            true => Ok(Ok(())),
            false => Err(format!("{what} failed, but its server did not refuse anything")),
        }
    }

    async fn log_in(self, trial: &Trial<'_>, owner: &Owner, name: &str) -> Result<Answer, String> {
        let consumers = trial.consumers;
        let place = match self {
            Self::AtLookAlikeOwner => owner.look_alike(),
            Self::AtLookAlikeHost => owner.elsewhere(),
            _ => owner.clone(),
        };
        let other = trial.other.as_ref().map_or("default", |lease| lease.name.as_str());
        let namespace = if self == Self::FromOtherNamespace { other } else { trial.namespace() };
        match trial.consumer {
            Consumer::Kubelet => {
                consumers.publish(&place.name, name, "denied").await.map_err(|error| chain(&error))?;
                let (pod, image) = (format!("{name}-denied"), format!("{}:denied", place.image(name)));
                let secret = (self != Self::WithoutSecret).then_some(trial.target.secret.as_str());
                let pull = Pull { namespace, pod: &pod, secret, image: &image, second_try: SecondTry::None };
                consumers.pull(&trial.client, &pull).await.map_err(|error| chain(&error))
            }
            Consumer::ArgoCd => {
                let followed = consumers.follow(&place, name, other).await.map_err(|error| chain(&error))?;
                let answer = consumers.first_sync(&followed).await.map_err(|error| chain(&error));
                consumers.unfollow(&followed).await.map_err(|error| chain(&error))?;
                answer
            }
            Consumer::KargoImage | Consumer::KargoImageRules => {
                consumers.publish(&place.name, name, "denied").await.map_err(|error| chain(&error))?;
                if trial.consumer == Consumer::KargoImage {
                    let subscribed = Subscribed::new(namespace, name, Kind::Image, place.image(name));
                    return discover(trial, subscribed, "denied").await;
                }
                let listed = consumers.list_tags(namespace, &place, name).await;
                listed.map_err(|error| chain(&error))
            }
            _ => {
                let file: (&str, &[u8]) = ("README", name.as_bytes());
                let made = consumers.forge.create_repository(&place.name, name, &[file]).await;
                let commit = made.map_err(|error| chain(&error))?;
                if trial.consumer == Consumer::KargoGit {
                    let subscribed = Subscribed::new(namespace, name, Kind::Git, place.repository(name));
                    return discover(trial, subscribed, &commit).await;
                }
                let listed = consumers.list_references(namespace, &place, name).await;
                listed.map_err(|error| chain(&error))
            }
        }
    }
}

/// Has Kargo's controller look for something once.
async fn discover(trial: &Trial<'_>, mut subscribed: Subscribed, fresh: &str) -> Result<Answer, String> {
    let answer = trial.consumers.discover(&trial.client, &mut subscribed, fresh).await;
    let removed = trial.consumers.unsubscribe(&trial.client, &subscribed).await;
    let answer = answer.map_err(|error| chain(&error))?;
    removed.map_err(|error| chain(&error))?;
    Ok(answer)
}

/// Presents the copy's secret with the id of an application that it is not of.
async fn as_other_client(trial: &Trial<'_>, issuer: &Issuer<'_>) -> Result<Answer, String> {
    let application = issuer.application().ok_or("the credential is of no OAuth client")?;
    let registered = trial.consumers.forge.create_application(&application.redirect_uri).await;
    let other = registered.map_err(|error| chain(&error))?;
    let mut data = trial.data();
    let keys: Vec<String> = data.keys().cloned().collect();
    if let Some(key) = source_roles(keys.iter().map(String::as_str)).get(&Role::ClientId) {
        data.insert((*key).to_owned(), other.client_id.clone());
    }
    trial.consumers.sign_in(&other, &data).await.map_err(|error| chain(&error))
}
