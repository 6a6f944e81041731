//! The pod of a case of Backstage: what it gets of the copies, its start and end, and its use.

use credence_consumers::running::{BACKSTAGE_VARIABLES, BackstageDeployment, LoginAnswer};
use credence_core::formats::{Role, source_roles};
use credence_core::id::agent;
use credence_core::text::Reason;
use credence_model::model::{Distribution, ExpectedKeys};
use credence_report::unknown::{Cause, Unknown};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::BackstageTrial;
use crate::observation;

impl BackstageTrial<'_> {
    /// Ways in which a pod gets the copies' values: Secrets whose keys are its variables, and single variables. A copy of the
    /// OAuth client that has keys of other names than Backstage's variables is taken apart.
    pub(super) fn references_to_copies(&self) -> Result<(Vec<String>, Vec<Value>), Unknown> {
        let [_, client, token] = self.distributions[..] else {
            return Err(no_copy());
        };
        let reference = |distribution: &Distribution, role: Role, variable: &str| {
            let ExpectedKeys::Exactly(keys) = &distribution.keys else { return None };
            let roles = source_roles(keys.iter().map(String::as_str));
            let key = roles.get(&role)?;
            Some(
                json!({ "name": variable, "valueFrom": { "secretKeyRef": { "name": distribution.secret, "key": key } } }),
            )
        };
        let [id_variable, secret_variable, token_variable] = BACKSTAGE_VARIABLES;
        let token = reference(token, Role::Secret, token_variable);
        let token = token.ok_or_else(|| no_key("token"))?;
        let is_ready = matches!(&client.keys, ExpectedKeys::Exactly(keys)
            if [id_variable, secret_variable].iter().all(|variable| keys.contains(*variable)));
        if is_ready {
            return Ok((vec![client.secret.clone()], vec![token]));
        }
        let id = reference(client, Role::ClientId, id_variable).ok_or_else(|| no_key("client id"))?;
        let secret = reference(client, Role::ClientSecret, secret_variable).ok_or_else(|| no_key("client secret"))?;
        Ok((Vec::new(), vec![id, secret, token]))
    }

    pub(super) async fn start(
        &mut self,
        variables_from: &[String],
        variables: &[Value],
    ) -> Result<Result<String, Reason>, Unknown> {
        self.starts += 1;
        let registry = self.distributions.first().ok_or_else(no_copy)?;
        let deployment = BackstageDeployment {
            namespace: self.namespace(),
            name: &self.name,
            start: self.starts,
            owner: self.owner()?,
            pull_secret: &registry.secret,
            manager: &agent(self.id),
            variables_from,
            variables,
        };
        let began = Instant::now();
        let started = self.consumers.start_backstage(&self.client, &deployment).await;
        self.deployed = true;
        self.observation.latencies.push(began.elapsed());
        let started = started.map_err(|error| observation::unknown(&error))?;
        self.pod = started.clone().ok();
        Ok(started)
    }

    pub(super) async fn stop(&mut self) -> Result<(), Unknown> {
        if !std::mem::take(&mut self.deployed) {
            return Ok(());
        }
        let stopped = self.consumers.stop_backstage(&self.client, &agent(self.id), self.namespace(), &self.name).await;
        stopped.map_err(|error| observation::unknown(&error))
    }

    /// Signs in and reads, with the container that was started last.
    pub(super) async fn use_it(&self) -> Result<(LoginAnswer, LoginAnswer), Unknown> {
        let used = async {
            let signed_in =
                self.consumers.sign_in_to_backstage().await.map_err(|error| observation::unknown(&error))?;
            let read = self.consumers.read_with_backstage(self.owner()?, &self.name).await;
            Ok((signed_in, read.map_err(|error| observation::unknown(&error))?))
        };
        let used = used.await;
        let pod = self.pod.as_deref().ok_or_else(|| Unknown::new(Cause::PartLost, "Backstage does not run"))?;
        let same = self.consumers.check_backstage_is_the_same(self.namespace(), pod);
        same.map_err(|error| observation::unknown(&error))?;
        used
    }
}

/// Why a copy is no use to Backstage.
fn no_key(what: &str) -> Unknown {
    Unknown::new(Cause::SetUpFailed, format!("a copy has no key for the {what} that Backstage needs"))
}

fn no_copy() -> Unknown {
    Unknown::new(Cause::SetUpFailed, "the configuration lacks a copy")
}
