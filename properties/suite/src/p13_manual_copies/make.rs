//! Making Secrets that look like copies, or stand where one is due.

use std::collections::BTreeMap;

use credence_core::credential::Credential;
use credence_core::labels::Labels;
use credence_core::operator_api::EXTERNAL_SECRETS_API;
use credence_model::config::OPAQUE;
use credence_report::verdict::{self, Outcome};
use credence_watch::observer::{SecretSeen, View};
use credence_watch::wait::{self, Progress};
use k8s_openapi::ByteString;
use kube::api::{DynamicObject, Patch, PostParams};
use serde_json::json;
use tokio::time::Instant;

use super::attempt::{Attempt, Maker};
use super::copy_case::{AttemptAnswer, CopyCase, ORDINARY, STORE, explained};
use super::look_alike::{Endpoints, LookAlike, content, look_alikes, squatters};
use crate::observation::{self, cause_of};
use crate::testbed::denial::Denial;

impl CopyCase<'_> {
    /// Takes the name of the copy before the namespace asks for it. One that is accepted is told by its description; it
    /// is judged when the copy is due.
    pub(super) async fn squat(&mut self, maker: Maker, attempt: &Attempt) -> Result<Option<String>, Outcome> {
        let [same, other] = squatters(self.distribution);
        let made = attempt.form.of(&[same, other]).clone();
        let name = self.distribution.secret.clone();
        let nowhere = Endpoints::default();
        match self.make_as(maker, &name, &made, &attempt.value, (None, &nowhere)).await {
            AttemptAnswer::Accepted => {
                Ok(Some(format!("{} took the {} of the copy {name} before", self.actor(), made.by)))
            }
            answer => match self.not_accepted("take the name of a copy", answer) {
                Outcome::Held => Ok(None),
                other => Err(other),
            },
        }
    }

    /// Makes a Secret that looks like the copy, beside it.
    pub(super) async fn make(
        &mut self,
        number: usize,
        maker: Maker,
        (copy, is_copied): (&SecretSeen, bool),
        attempt: &Attempt,
    ) -> Outcome {
        let name = format!("credence-made-{number}");
        let endpoints = Endpoints::of(copy);
        let made = attempt.form.of(&look_alikes(self.distribution, !endpoints.all.is_empty())).clone();
        let operation = match maker {
            Maker::Order if self.tenant.is_some() => "order a look-alike",
            Maker::LabelLater if !made.labels.is_empty() => "label a Secret later",
            _ => "make a look-alike",
        };
        let like = (is_copied.then_some(copy), &endpoints);
        match self.make_as(maker, &name, &made, &attempt.value, like).await {
            AttemptAnswer::Accepted => {}
            answer => return self.not_accepted(operation, answer),
        }
        let bound = self.env.propagation_bound(self.distribution);
        let who = format!("{} could {operation}, by {} of {}", self.actor(), made.by, self.distribution.name);
        let began = Instant::now();
        let is_there = |view: &View<'_>| view.secret(self.namespace, &name).is_some();
        // What was accepted has yet to be seen, and what was ordered to be made.
        let there = wait::until(&self.env.observer, "the hand-made Secret", bound.limit(), |view| {
            if is_there(view) { Progress::Done(()) } else { Progress::NotYet("there is none".to_owned()) }
        });
        if let Err(error) = there.await {
            return verdict::unknown(cause_of(&error), format!("{who}, but nothing came of it: {error}"));
        }
        let gone = wait::until(&self.env.observer, "the hand-made Secret gone", bound.limit(), |view| {
            if is_there(view) { Progress::NotYet("it is there".to_owned()) } else { Progress::Done(()) }
        });
        match gone.await {
            Ok(()) => self.healed(operation, began, &bound),
            Err(error) => explained(&who, observation::failed(&error)),
        }
    }

    /// Makes a Secret; what it holds is the data of `copy` where its type takes that, else `value`.
    async fn make_as(
        &mut self,
        maker: Maker,
        name: &str,
        made: &LookAlike,
        value: &Credential,
        (copy, endpoints): (Option<&SecretSeen>, &Endpoints),
    ) -> AttemptAnswer {
        if maker == Maker::Order
            && let Some(answer) = self.order(name, made, endpoints).await
        {
            return answer;
        }
        let takes = |copy: &&SecretSeen| [copy.type_.as_str(), OPAQUE].contains(&made.type_.as_str());
        let data = match copy.filter(takes) {
            Some(copy) => copy.data.iter().map(|(key, value)| (key.clone(), bytes(value))).collect(),
            None => content(&made.type_, self.distribution, endpoints, value),
        };
        let answer = match maker {
            Maker::Apply => {
                let object = json!({ "apiVersion": "v1", "kind": "Secret", "type": made.type_, "data": data,
                    "metadata": { "name": name, "labels": made.labels } });
                let applied = self.secrets().patch_metadata(name, &self.params().force(), &Patch::Apply(object)).await;
                self.made.extend(applied.is_ok().then(|| name.to_owned()));
                applied.map(drop)
            }
            Maker::LabelLater if !made.labels.is_empty() => {
                let plain = content(OPAQUE, self.distribution, endpoints, value);
                if let Err(error) = self.create(name, OPAQUE, &Labels::new(), plain).await {
                    return AttemptAnswer::NoEvidence(
                        observation::unknown(&error).about("the Secret that was to be labelled"),
                    );
                }
                let patch = json!({ "metadata": { "labels": made.labels } });
                self.secrets().patch_metadata(name, &self.params(), &Patch::Merge(patch)).await.map(drop)
            }
            _ => self.create(name, &made.type_, &made.labels, data).await,
        };
        self.read(answer)
    }

    /// Lets ESO make the Secret, from an ExternalSecret of the tenant's own and through a SecretStore on its own
    /// namespace. None if this actor has no right to either.
    async fn order(&mut self, name: &str, made: &LookAlike, endpoints: &Endpoints) -> Option<AttemptAnswer> {
        let account = &self.tenant.as_ref()?.name;
        let store = json!({ "apiVersion": EXTERNAL_SECRETS_API, "kind": "SecretStore",
            "metadata": { "name": STORE },
            "spec": { "provider": { "kubernetes": {
                "remoteNamespace": self.namespace,
                "server": { "url": self.env.cluster.description.url_inside(), "caProvider": {
                    "type": "ConfigMap", "name": "kube-root-ca.crt", "key": "ca.crt" } },
                "auth": { "serviceAccount": { "name": account } } } } } });
        let texts: BTreeMap<String, String> =
            content(&made.type_, self.distribution, endpoints, &Credential::new("ordered"))
                .into_iter()
                .map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()))
                .collect();
        let order = json!({ "apiVersion": EXTERNAL_SECRETS_API, "kind": "ExternalSecret",
            "metadata": { "name": name },
            "spec": {
                "refreshInterval": "1h",
                "secretStoreRef": { "kind": "SecretStore", "name": STORE },
                "target": { "name": name, "template": {
                    "type": made.type_, "metadata": { "labels": made.labels }, "data": texts } },
                "data": [{ "secretKey": "value", "remoteRef": { "key": ORDINARY, "property": "value" } }] } });
        for (kind, object) in [("SecretStore", store), ("ExternalSecret", order)] {
            // An object of literals is a DynamicObject.
            let object: DynamicObject = serde_json::from_value(object).expect("a well-formed object");
            match self.objects(kind).create(&PostParams::default(), &object).await {
                Ok(_) => self.made.push(name.to_owned()),
                Err(kube::Error::Api(status)) if status.is_already_exists() && kind == "SecretStore" => {}
                Err(error) if Denial::of(&error) == Denial::NoRight => return None,
                refused => return Some(self.read(refused)),
            }
        }
        Some(AttemptAnswer::Accepted)
    }
}

fn bytes(value: &Credential) -> ByteString {
    ByteString(value.expose().to_vec())
}
