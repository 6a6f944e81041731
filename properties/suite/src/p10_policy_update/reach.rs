//! Changes of who is selected and admitted: copies come and go, and those of others stay as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use credence_core::id::{CaseId, agent};
use credence_model::values;
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use credence_watch::observer::SecretSeen;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tracing::instrument;

use super::World;
use super::subject::{Allowed, Subject, SubjectError};
use crate::observation::{self, Observation};
use crate::oracle::Expected;
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease};
use crate::testbed::rotation::until_copy_matches_source;
use crate::testbed::settle::{Past, settle_by};
use crate::testbed::tenant::{Rights, Tenant};

struct ReachCase {
    id: CaseId,
    /// The namespaces, each with its value of the grant label.
    leases: Vec<(Lease, Option<String>)>,
    /// Reads the copy in the first of them.
    consumer: Option<Tenant>,
    /// The copies that were there last, by namespace.
    seen: BTreeMap<String, SecretSeen>,
    observation: Observation,
}

/// Leads all cases through the stages of a policy, the first of which allows everybody.
pub(super) async fn play(
    env: &Arc<TestBed>,
    subject: &Subject<'_>,
    stages: &[Allowed],
    cases: &[(CaseId, World)],
) -> Vec<(Observation, Vec<Lease>)> {
    let shared = match env.sources.share(&subject.distribution.sources()).await {
        Ok(shared) => shared,
        Err(error) => {
            let outcome = Outcome::Unknown(observation::unknown(&error));
            return cases.iter().map(|_| (Observation::of(outcome.clone()), Vec::new())).collect();
        }
    };
    let values = shared.to_values();
    let mut live = join_all(cases.iter().map(|(id, world)| ReachCase::begin(env, subject, *id, world))).await;
    let mut before: Option<&Allowed> = None;
    for stage in stages {
        if before.is_some()
            && let Err(error) = subject.allow(env, stage).await
        {
            live.iter_mut().for_each(|live| live.give_up(&error));
        }
        join_all(live.iter_mut().map(|live| live.judge(env, subject, before, stage, &values))).await;
        before = Some(stage);
    }
    join_all(live.into_iter().map(|live| live.finish(env))).await
}

fn is_allowed(allowed: &Allowed, grant: Option<&String>) -> bool {
    allowed.as_ref().is_none_or(|values| grant.is_some_and(|grant| values.contains(grant)))
}

impl ReachCase {
    /// Makes and labels the namespaces.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    async fn begin(env: &Arc<TestBed>, subject: &Subject<'_>, id: CaseId, world: &World) -> Self {
        let (leases, seen, observation) = (Vec::new(), BTreeMap::new(), Observation::of(Outcome::Held));
        let mut live = Self { id, leases, consumer: None, seen, observation };
        if let Err(failed) = live.populate(env, subject, world).await {
            live.observation = failed;
        }
        live
    }

    async fn populate(&mut self, env: &TestBed, subject: &Subject<'_>, world: &World) -> Result<(), Observation> {
        let client = env.client_for(self.id);
        for grant in &world.grants {
            let lease = env.namespaces.lease(&client).await?;
            let name = lease.name.clone();
            self.leases.push((lease, grant.map(str::to_owned)));
            let labels = subject.labels(world.way, *grant);
            namespaces::set_labels(&client, &agent(self.id), &name, &labels).await?;
            self.observation.add_context("label namespace", 1);
        }
        if let Some((lease, _)) = self.leases.first() {
            self.consumer = Some(Tenant::create(env, self.id, &lease.name, Rights::Edit).await?);
        }
        Ok(())
    }

    fn give_up(&mut self, error: &SubjectError) {
        let unknown = Outcome::Unknown(observation::unknown(error));
        self.observation.outcome = self.observation.outcome.clone().max(unknown);
    }

    /// Waits until exactly those hold a copy whom the policy allows, and compares what they hold with the source and
    /// with what they held before.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn judge(
        &mut self,
        env: &TestBed,
        subject: &Subject<'_>,
        before: Option<&Allowed>,
        allowed: &Allowed,
        values: &values::World,
    ) {
        if self.observation.outcome == Outcome::Held {
            self.observation.outcome = self.settle(env, subject, before, allowed).await;
        }
        if self.observation.outcome == Outcome::Held {
            self.observation.outcome = self.compare(env, subject, allowed, values).await;
        }
        if self.observation.outcome == Outcome::Held {
            if let Some(before) = before {
                self.count_changes(before, allowed);
            }
            self.observation.outcome = self.consume(subject, allowed).await;
        }
    }

    /// Waits until exactly those hold a copy whom the policy allows.
    async fn settle(
        &mut self,
        env: &TestBed,
        subject: &Subject<'_>,
        before: Option<&Allowed>,
        allowed: &Allowed,
    ) -> Outcome {
        let distribution = subject.distribution;
        let worlds = self.leases.iter().map(|(lease, grant)| {
            let expected = is_allowed(allowed, grant.as_ref()).then(|| (distribution.secret.clone(), distribution));
            (lease.name.as_str(), expected.into_iter().collect())
        });
        let worlds: Vec<(&str, Expected<'_>)> = worlds.collect();
        let bound = env.provisioning_bound();
        self.observation.bound = Some(bound);
        let past = if before.is_some() { Past::Relabelled } else { Past::Fresh };
        let latencies = &mut self.observation.latencies;
        let settled = settle_by(env, &[subject.maker()], &worlds, bound, past, latencies).await;
        match (settled, before) {
            (Outcome::Held, _) => Outcome::Held,
            // A copy that was never there says nothing about a change; other properties judge it.
            (Outcome::Violated(violation), None) => {
                verdict::unknown(Cause::TimedOut, format!("no copy to take: {}", violation.reason))
            }
            (other, None) => other,
            (other, Some(_)) => changed(allowed, other),
        }
    }

    /// Compares the copies of those whom the policy allows with the source, and with the copies that they held before.
    async fn compare(
        &mut self,
        env: &TestBed,
        subject: &Subject<'_>,
        allowed: &Allowed,
        values: &values::World,
    ) -> Outcome {
        let distribution = subject.distribution;
        let limit = env.propagation_bound(distribution).limit();
        for (lease, grant) in &self.leases {
            let namespace = &lease.name;
            if !is_allowed(allowed, grant.as_ref()) {
                self.seen.remove(namespace);
                continue;
            }
            let matches_source = until_copy_matches_source(env, namespace, distribution, values, limit).await;
            let now = env.observer.look(|view| view.secret(namespace, &distribution.secret).cloned());
            let Some(now) = now else { continue };
            if let Err(error) = matches_source {
                return observation::failed(&error);
            }
            if self.seen.get(namespace).is_some_and(|then| then.uid != now.uid) {
                return verdict::violated(format!("{namespace} kept its rights and lost its copy for a while"));
            }
            self.seen.insert(namespace.clone(), now);
        }
        Outcome::Held
    }

    /// Counts what the change of the policy from `before` meant for each namespace.
    fn count_changes(&mut self, before: &Allowed, allowed: &Allowed) {
        for (_, grant) in &self.leases {
            let change = match (is_allowed(before, grant.as_ref()), is_allowed(allowed, grant.as_ref())) {
                (true, false) => "lose a copy by a changed policy",
                (false, true) => "gain a copy by a changed policy",
                (true, true) => "keep a copy under a changed policy",
                (false, false) => continue,
            };
            self.observation.count(change);
        }
    }

    /// Value that the consumer in the first namespace gets.
    async fn consume(&self, subject: &Subject<'_>, allowed: &Allowed) -> Outcome {
        let (Some(consumer), Some((_, grant))) = (&self.consumer, self.leases.first()) else { return Outcome::Held };
        let secrets: Api<Secret> = Api::namespaced(consumer.client.clone(), &consumer.namespace);
        let secret = &subject.distribution.secret;
        match (secrets.get(secret).await, is_allowed(allowed, grant.as_ref())) {
            (Ok(_), true) => Outcome::Held,
            (Err(kube::Error::Api(status)), false) if status.is_not_found() => Outcome::Held,
            (Ok(_), false) => verdict::violated(format!("the consumer still reads {}/{secret}", consumer.namespace)),
            (Err(error), _) => {
                Outcome::Unknown(observation::unknown(&error).about(format!("the consumer of {secret}")))
            }
        }
    }

    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn finish(mut self, env: &Arc<TestBed>) -> (Observation, Vec<Lease>) {
        if let Some(consumer) = self.consumer.take()
            && let Err(error) = consumer.remove(env, self.id).await
        {
            let unknown = Outcome::Unknown(observation::unknown(&error));
            self.observation.outcome = self.observation.outcome.max(unknown);
        }
        (self.observation, self.leases.into_iter().map(|(lease, _)| lease).collect())
    }
}

/// Says of a violation which policy it is about.
fn changed(allowed: &Allowed, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Violated(mut violation) => {
            let policy = match allowed {
                None => "after the policy was widened to all that ask".to_owned(),
                Some(values) => format!("after the policy was narrowed to grant in {values:?}"),
            };
            violation.reason = format!("{policy}: {}", violation.reason);
            Outcome::Violated(violation)
        }
        other => other,
    }
}
