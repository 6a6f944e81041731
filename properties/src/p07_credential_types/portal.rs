//! A case of Backstage: one namespace with three copies, and a pod that needs them all.

use std::collections::BTreeSet;
use std::sync::Arc;

use credence_harness::forge::{Caller, Offered, Request};
use credence_harness::wait::{self, Progress, WaitError};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::consumed;
use super::issue::Kind;
use super::issuer::Issuer;
use crate::bundle::SourceRef;
use crate::consumer_format::{Role, source_roles};
use crate::consumers::{Answer, Consumer, Consumers, Owner, PortalPod, catalog_file};
use crate::copies::{self, chain, violated};
use crate::driver::Observation;
use crate::environment::{Environment, agent, asking_labels};
use crate::model::{ExpectedKeys, Model, Target};
use crate::namespaces::{self, Lease};
use crate::selector::Labels;
use crate::verdict::{CaseId, Outcome};

/// The copies that Backstage needs, by their targets' names.
#[derive(Debug, Clone)]
pub struct PortalCopies {
    registry: String,
    client: String,
    token: String,
}

impl PortalCopies {
    /// Those of a configuration, if it has all three, with the sources of client and account.
    pub(super) fn of(model: &Model) -> Option<(Self, [&SourceRef; 2])> {
        if model.absent_consumers.contains_key(&Consumer::Backstage) {
            return None;
        }
        let of_kind = |kind: Kind| model.sources.iter().find(|(_, source)| Kind::of(&source.keys) == Some(kind));
        let (client_source, account_source) = (of_kind(Kind::Client)?.0, of_kind(Kind::Account)?.0);
        let target = |source: &SourceRef, consumer: Consumer| {
            let all = consumed(model, source);
            all.into_iter().find(|(_, found)| *found == consumer).map(|(target, _)| target.name.clone())
        };
        let copies = Self {
            registry: target(account_source, Consumer::Kubelet)?,
            client: target(client_source, Consumer::OAuthClient)?,
            token: target(account_source, Consumer::KargoGit)?,
        };
        Some((copies, [client_source, account_source]))
    }
}

/// A case under way.
pub(super) struct PortalTrial<'a> {
    env: &'a Arc<Environment>,
    consumers: &'a Consumers,
    id: CaseId,
    client: Client,
    /// Targets of the pull secret, the OAuth client and the token.
    targets: Vec<&'a Target>,
    owner: Option<&'a Owner>,
    lease: Option<Lease>,
    labels: Labels,
    /// Of its repository and its pods.
    name: String,
    steps: u32,
    running: Option<String>,
    observation: Observation,
}

impl<'a> PortalTrial<'a> {
    /// Takes a namespace and makes the file that Backstage reads.
    pub(super) async fn begin(
        env: &'a Arc<Environment>,
        consumers: &'a Consumers,
        id: CaseId,
        copies: &PortalCopies,
    ) -> PortalTrial<'a> {
        let names = [&copies.registry, &copies.client, &copies.token];
        let named = |name: &String| env.model.targets.iter().find(|target| target.name == *name);
        let targets: Vec<&Target> = names.into_iter().filter_map(named).collect();
        let labels = targets.iter().filter_map(|target| asking_labels(target).into_iter().next()).flatten().collect();
        let mut trial = Self {
            env,
            consumers,
            id,
            client: env.client_for(id),
            targets,
            owner: consumers.endpoints.pods.iter().next(),
            lease: None,
            labels,
            name: consumers.unused_name(id),
            steps: 0,
            running: None,
            observation: Outcome::Held.into(),
        };
        if let Err(why) = trial.prepare().await {
            trial.observation = Observation::unknown(why);
        }
        trial
    }

    async fn prepare(&mut self) -> Result<(), String> {
        self.lease = Some(self.env.namespaces.lease(&self.client).await.map_err(|error| chain(&error))?);
        let owner = self.owner()?;
        let file = catalog_file(&self.name);
        let files: [(&str, &[u8]); 1] = [("catalog-info.yaml", file.as_bytes())];
        let made = self.consumers.forge.create_repository(&owner.name, &self.name, &files).await;
        made.map(drop).map_err(|error| chain(&error))
    }

    fn owner(&self) -> Result<&'a Owner, String> {
        self.owner.ok_or_else(|| "no consumer's manifest names an owner".to_owned())
    }

    fn namespace(&self) -> &str {
        self.lease.as_ref().map_or("", |lease| lease.name.as_str())
    }

    fn is_over(&self) -> bool {
        self.observation.outcome != Outcome::Held
    }

    /// Asks for the copies and waits until each is like its source.
    pub(super) async fn settle(&mut self, issuers: &[&Issuer<'_>]) {
        if self.is_over() {
            return;
        }
        let namespace = self.namespace().to_owned();
        if let Err(error) = namespaces::set_labels(&self.client, &agent(self.id), &namespace, &self.labels).await {
            self.observation = error.into();
            return;
        }
        for target in &self.targets {
            let issuer = issuers.iter().find(|issuer| target.sources().contains(issuer.source()));
            let Some(issuer) = issuer else { continue };
            let bound = self.env.propagation_bound(target).limit();
            let what = format!("copy {namespace}/{} like its source", target.secret);
            let faithful = wait::until(&self.env.observer, &what, bound, |view| {
                let Some(secret) = view.secret(&namespace, &target.secret) else {
                    return Progress::NotYet("it does not exist".to_owned());
                };
                copies::faithful(target, secret, &issuer.values).map_or_else(Progress::NotYet, Progress::Done)
            });
            match faithful.await {
                // A copy that does not become so in its time is left to Backstage as it is.
                Ok(()) | Err(WaitError::TimedOut { .. } | WaitError::Impossible { .. }) => {}
                Err(error) => self.observation.outcome = copies::failed(&error),
            }
        }
    }

    /// A new pod must be pulled, sign a person in, and read the private file; the one before must fail at both.
    pub(super) async fn must_be_admitted(&mut self, issuers: &[&Issuer<'_>], how: &str) {
        if self.is_over() {
            return;
        }
        let outcome = self.admitted(issuers, how).await;
        self.conclude(outcome);
    }

    async fn admitted(&mut self, issuers: &[&Issuer<'_>], how: &str) -> Result<Result<(), String>, String> {
        if self.running.is_some() {
            // It was started with the credentials of before, which are worth nothing by now.
            if let Err(reason) = self.must_fail("with the credentials of before a rotation").await? {
                return Ok(Err(reason));
            }
            self.stop().await?;
        }
        let mark = self.consumers.forge.mark();
        let credentials = self.references_to_copies()?;
        if let Answer::Refused(said) = self.start(credentials).await? {
            return Ok(Err(format!("Backstage could not be pulled with a credential just {how}: {said}")));
        }
        let (signed_in, read) = self.use_it().await?;
        for (what, answer) in [("sign-in", signed_in), ("catalog read", read)] {
            if let Answer::Refused(said) = answer {
                return Ok(Err(format!("{what} by Backstage with a credential just {how} was refused: {said}")));
            }
        }
        let requests = self.consumers.forge.since(mark).await;
        let offered = |request: &Request| {
            issuers.iter().filter_map(|issuer| issuer.secret()).any(|secret| request.offered.is(secret))
        };
        let user = |request: &Request| issuers.iter().any(|issuer| request.caller == Caller::User(issuer.name.clone()));
        let is_client = |request: &Request| matches!(request.offered, Offered::Client { .. });
        let signed_in = requests.iter().any(|request| is_client(request) && offered(request));
        let read =
            requests.iter().any(|request| request.path.contains(&self.name) && offered(request) && user(request));
        match signed_in && read {
            true => Ok(Ok(())),
            false => Err("Backstage worked, but the forge did not see its credentials".to_owned()),
        }
    }

    /// A pod that is given other values than those of the copies must fail at both.
    pub(super) async fn must_be_refused_with_wrong_values(&mut self) {
        if self.is_over() {
            return;
        }
        let outcome = self.refused_with_wrong_values().await;
        self.conclude(outcome);
    }

    async fn refused_with_wrong_values(&mut self) -> Result<Result<(), String>, String> {
        self.stop().await?;
        let [id, _, _] = self.references_to_copies()?;
        // Shaped like real ones, so that it is the forge that refuses them.
        let wrong = |digit: &str| json!({ "value": digit.repeat(40) });
        if let Answer::Refused(said) = self.start([id, wrong("0"), wrong("1")]).await? {
            return Ok(Err(format!("Backstage could not be pulled again: {said}")));
        }
        let refused = self.must_fail("with wrong values").await?;
        self.stop().await?;
        // The pod that goes through the rotation has the copies' own values.
        let credentials = self.references_to_copies()?;
        self.start(credentials).await?;
        Ok(refused)
    }

    /// The running pod must fail at both.
    pub(super) async fn must_be_refused(&mut self) {
        if self.is_over() {
            return;
        }
        let outcome = self.must_fail("with revoked credentials").await;
        self.conclude(outcome);
    }

    async fn must_fail(&mut self, how: &str) -> Result<Result<(), String>, String> {
        let (signed_in, read) = self.use_it().await?;
        for (what, answer) in [("sign-in", signed_in), ("catalog read", read)] {
            if answer == Answer::Admitted {
                return Ok(Err(format!("{what} by Backstage works {how}")));
            }
        }
        self.observation.count(&format!("{}, refused {how}", Consumer::Backstage.operation()));
        Ok(Ok(()))
    }

    fn conclude(&mut self, outcome: Result<Result<(), String>, String>) {
        match outcome {
            Ok(Ok(())) => self.observation.count(Consumer::Backstage.operation()),
            Ok(Err(reason)) => {
                self.observation.outcome = violated(format!("{}: {reason}", Consumer::Backstage.operation()));
            }
            Err(why) => self.observation.outcome = Outcome::Unknown(why),
        }
    }

    /// References to the copies' keys, as environment variables take them.
    fn references_to_copies(&self) -> Result<[Value; 3], String> {
        let [_, client, token] = self.targets[..] else { return Err("the configuration lacks a copy".to_owned()) };
        let reference = |target: &Target, role: Role| {
            let ExpectedKeys::Exactly(keys) = &target.keys else { return None };
            let roles = source_roles(keys.iter().map(String::as_str));
            let key = roles.get(&role)?;
            Some(json!({ "valueFrom": { "secretKeyRef": { "name": target.secret, "key": key } } }))
        };
        let all =
            [reference(client, Role::ClientId), reference(client, Role::ClientSecret), reference(token, Role::Secret)];
        let [Some(id), Some(secret), Some(token)] = all else {
            return Err("a copy has no key of the name that Backstage needs".to_owned());
        };
        Ok([id, secret, token])
    }

    async fn start(&mut self, credentials: [Value; 3]) -> Result<Answer, String> {
        self.steps += 1;
        let name = format!("{}-{}", self.name, self.steps);
        let registry = self.targets.first().ok_or("the configuration lacks a copy")?;
        let namespace = self.namespace();
        let owner = self.owner()?;
        let pod = PortalPod { namespace, name: &name, owner, pull_secret: &registry.secret, credentials };
        let began = Instant::now();
        let started = self.consumers.start_portal(self.env, &self.client, &pod).await;
        self.running = Some(name);
        self.observation.latencies.push(began.elapsed());
        started.map_err(|error| chain(&error))
    }

    async fn stop(&mut self) -> Result<(), String> {
        let Some(name) = self.running.take() else { return Ok(()) };
        let stopped = self.consumers.stop_portal(self.env, &self.client, self.namespace(), &name).await;
        stopped.map_err(|error| chain(&error))
    }

    async fn use_it(&self) -> Result<(Answer, Answer), String> {
        let signed_in = self.consumers.sign_in_to_portal().await.map_err(|error| chain(&error))?;
        let read = self.consumers.read_with_portal(self.owner()?, &self.name).await.map_err(|error| chain(&error))?;
        Ok((signed_in, read))
    }

    /// Removes what the case made and gives what it saw.
    pub(super) async fn end(mut self) -> Observation {
        if let Err(why) = self.stop().await
            && self.observation.outcome == Outcome::Held
        {
            self.observation.outcome = Outcome::Unknown(why);
        }
        if let Some(lease) = self.lease {
            let keys: BTreeSet<String> = self.labels.into_keys().collect();
            self.env.namespaces.give_back(self.env, lease, keys);
        }
        self.observation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_all_three_copies_has_no_case_of_backstage() {
        let model = Model::default();
        assert!(PortalCopies::of(&model).is_none());
    }
}
