//! A namespace of a case: its copy before an outage, and since.

use credence_core::text::Reason;
use credence_model::model::Distribution;
use credence_model::values::World;
use credence_watch::observer::recording::Recording;
use credence_watch::observer::{ExternalSecretSeen, Observer, SecretEvent, SecretSeen, View};
use credence_watch::wait::{self, Progress};

use super::breakage::{self, BreakageError, Broken};
use super::fault::Sign;
use crate::oracle;
use crate::testbed::TestBed;
use crate::testbed::renderings::Renderings;
use crate::testbed::rotation::Dependent;

/// A namespace that holds a copy, or asks for one.
pub(super) struct OutageNamespace<'a> {
    pub(super) dependent: Dependent<'a>,
    /// Every change of its Secrets since the outage began.
    pub(super) events: Option<Recording>,
    /// The copy when the outage began; none where there was none yet.
    pub(super) before: Option<SecretSeen>,
}

/// Harm that must not happen to a copy.
pub(super) enum Harm<'a> {
    Anything,
    /// Anything that is made of neither of two versions of the source.
    NeitherOf(&'a World, &'a World, &'a Renderings),
}

impl OutageNamespace<'_> {
    /// Waits until the sign of a fault is seen here.
    pub(super) async fn feel(&self, env: &TestBed, broken: &Broken, sign: Sign) -> Result<(), BreakageError> {
        let Dependent { distribution, namespace, .. } = &self.dependent;
        let bound = env.propagation_bound(distribution).limit();
        match sign {
            Sign::Own => return Ok(()),
            Sign::Contact => return broken.until_contacted(env, distribution, bound).await,
            Sign::Failure | Sign::NotReady | Sign::Notice => {}
        }
        let seen = |view: &View<'_>| view.external_secret(namespace, &distribution.external_secret).cloned();
        let mut refreshes = Vec::from_iter(env.observer.look(seen).map(|seen| seen.refreshed));
        let what = format!("ExternalSecret {namespace}/{} meets the outage", distribution.external_secret);
        let met = wait::until(&env.observer, &what, bound, |view| {
            let data = |copy: Option<&SecretSeen>| copy.map(|copy| copy.data.clone());
            // A copy that changed has met it for certain, and is judged by what was recorded.
            if data(view.secret(namespace, &distribution.secret)) != data(self.before.as_ref()) {
                return Progress::Done(());
            }
            let seen = seen(view);
            let failed = seen.as_ref().is_some_and(ExternalSecretSeen::says_failed);
            refreshes.extend(seen.map(|seen| seen.refreshed));
            refreshes.dedup();
            // The first refresh may have begun before the outage.
            let noticed = sign == Sign::Notice && refreshes.len() > 2;
            if failed || noticed {
                return Progress::Done(());
            }
            Progress::NotYet("it says that nothing has failed".to_owned())
        });
        met.await?;
        if sign == Sign::NotReady {
            breakage::until_not_ready(env, distribution).await?;
        }
        Ok(())
    }

    /// True if there may have been changes that are not recorded.
    pub(super) fn has_gap(&self, observer: &Observer) -> bool {
        self.events.as_ref().is_some_and(|events| events.has_gap(observer))
    }

    /// Looks at every state that the copy went through since the last time.
    pub(super) fn unharmed(&mut self, harm: &Harm<'_>) -> Result<(), Reason> {
        let Some(events) = &mut self.events else { return Ok(()) };
        let Dependent { distribution, namespace, .. } = &self.dependent;
        while let Some(SecretEvent { name, secret, .. }) = events.next_event() {
            if name == distribution.secret {
                judge(distribution, self.before.as_ref(), secret.as_ref(), harm)
                    .map_err(|why| format!("copy {namespace}/{name} {why}"))?;
            }
        }
        Ok(())
    }
}

/// Checks one state of a copy.
fn judge(
    distribution: &Distribution,
    before: Option<&SecretSeen>,
    now: Option<&SecretSeen>,
    harm: &Harm<'_>,
) -> Result<(), Reason> {
    let now = match (now, before) {
        (Some(now), _) => now,
        (None, Some(_)) => return Err("was deleted".into()),
        // Where there was none, one that is not there yet is no loss.
        (None, None) => return Ok(()),
    };
    if let Some(before) = before {
        if now.deleting || now.uid != before.uid {
            return Err("was deleted".into());
        }
        if (&now.type_, &now.labels, &now.data) == (&before.type_, &before.labels, &before.data) {
            return Ok(());
        }
    }
    match harm {
        Harm::NeitherOf(old, new, renderings) => oracle::version(distribution, now, old, new, *renderings)
            .map(drop)
            .map_err(|why| format!("was {why}").into()),
        Harm::Anything if before.is_none() => Err("was made while its source was gone".into()),
        Harm::Anything => Err(change(before, now).into()),
    }
}

/// Says how a copy changed, without its values.
fn change(before: Option<&SecretSeen>, now: &SecretSeen) -> String {
    let Some(before) = before else { return "changed".to_owned() };
    if now.data.is_empty() {
        return "was emptied".to_owned();
    }
    if now.data != before.data {
        return "changed its data".to_owned();
    }
    "changed its type or labels".to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use credence_core::credential::Credential;
    use credence_model::values::Values;
    use rstest::rstest;

    use super::super::tests::reference;
    use super::*;

    /// A copy as `backstage-oauth-credentials` makes it.
    fn copy(distribution: &Distribution, uid: &str, id: &str, secret: &str) -> SecretSeen {
        SecretSeen {
            uid: uid.to_owned(),
            owners: Vec::new(),
            type_: distribution.secret_type.clone(),
            labels: distribution.labels.clone(),
            data: values("AUTH_GITHUB_CLIENT_ID", id, "AUTH_GITHUB_CLIENT_SECRET", secret),
            resource_version: String::new(),
            deleting: false,
        }
    }

    fn values(id_key: &str, id: &str, secret_key: &str, secret: &str) -> Values {
        BTreeMap::from([(id_key.to_owned(), Credential::new(id)), (secret_key.to_owned(), Credential::new(secret))])
    }

    /// A world in which the only source of `distribution` has these values.
    fn world(distribution: &Distribution, id: &str, secret: &str) -> World {
        let source = distribution.sources().into_iter().next().unwrap();
        World::from([(source.clone(), values("client-id", id, "client-secret", secret))])
    }

    #[rstest]
    #[case::the_same(Some(("1", "old", "old")), None, None)]
    #[case::deleted(None, Some("was deleted"), Some("was deleted"))]
    #[case::made_again(Some(("2", "old", "old")), Some("was deleted"), Some("was deleted"))]
    #[case::updated(Some(("1", "new", "new")), Some("changed its data"), None)]
    #[case::half_updated(Some(("1", "new", "old")), Some("changed its data"), None)]
    #[case::garbled(Some(("1", "new", "x")), Some("changed its data"), Some("was neither old"))]
    fn a_copy_is_harmed_by_any_change_and_later_by_all_but_updates(
        #[case] now: Option<(&str, &str, &str)>,
        #[case] meanwhile: Option<&str>,
        #[case] later: Option<&str>,
    ) {
        let model = reference();
        let distribution =
            model.distributions.iter().find(|distribution| distribution.name == "backstage-oauth-credentials").unwrap();
        let before = copy(distribution, "1", "old", "old");
        let now = now.map(|(uid, id, secret)| copy(distribution, uid, id, secret));
        let (old, new) = (world(distribution, "old", "old"), world(distribution, "new", "new"));
        for (harm, expected) in
            [(Harm::Anything, meanwhile), (Harm::NeitherOf(&old, &new, &Renderings::default()), later)]
        {
            let seen = judge(distribution, Some(&before), now.as_ref(), &harm);
            match expected {
                None => assert_eq!(seen, Ok(())),
                Some(why) => assert!(seen.clone().is_err_and(|seen| seen.as_str().contains(why)), "{seen:?}"),
            }
        }
    }

    #[test]
    fn an_emptied_copy_is_harmed_and_one_that_is_not_there_yet_is_not() {
        let model = reference();
        let distribution =
            model.distributions.iter().find(|distribution| distribution.name == "backstage-oauth-credentials").unwrap();
        let before = copy(distribution, "1", "old", "old");
        let emptied = SecretSeen { data: Values::new(), ..before.clone() };
        let seen = judge(distribution, Some(&before), Some(&emptied), &Harm::Anything);
        assert_eq!(seen, Err("was emptied".into()));
        assert_eq!(judge(distribution, None, None, &Harm::Anything), Ok(()));
        assert!(judge(distribution, None, Some(&before), &Harm::Anything).is_err());
    }
}
