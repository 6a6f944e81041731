//! One transition: two steps for those who do it right, one step for the negative control.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use credence_core::id::{CaseId, agent};
use credence_core::text::Reason;
use credence_model::config::spec_in;
use credence_model::model::Bound;
use credence_model::values::Values;
use credence_report::unknown::Unknown;
use credence_report::verdict::{self, Outcome};
use credence_watch::observer::View;
use credence_watch::observer::recording::Recording;
use credence_watch::wait::{self, Progress, WaitError};
use tokio::time::Instant;
use tracing::instrument;

use super::change::FormChange;
use super::form::{Form, SELECTED, decode};
use super::history::Followed;
use super::subject::{self, SubjectError};
use super::{OneStep, Plan, changeable};
use crate::observation::{self, Observation, cause_of};
use crate::oracle::{self, Known};
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease};
use crate::testbed::rotation::Rotation;

/// The names of the Secrets, each in the namespace of its transition.
const OLD: &str = "form-old";
const NEW: &str = "form-new";

pub(super) struct TransitionCase {
    id: CaseId,
    after: Duration,
    bound: Bound,
    forms: Option<Forms>,
    observation: Observation,
}

/// Old form and new form of a change.
struct Forms {
    /// Namespace in which the change has two steps.
    pair: Lease,
    old: Form,
    new: Form,
    /// Everything that happened there since the old form came to rest.
    events: Recording,
    /// Namespace in which it has one.
    alone: Lease,
    before: Form,
    afterwards: Form,
    change: FormChange,
    one_step: OneStep,
}

impl TransitionCase {
    /// Brings the old forms to rest on the initial values, and begins to record.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    pub(super) async fn settle(env: &Arc<TestBed>, id: CaseId, rotation: &Rotation, plan: &Plan) -> Self {
        let changeable = changeable(&env.model, &rotation.source);
        let (distribution, _) = plan.distribution.of(&changeable);
        let bound = env.propagation_bound(distribution);
        let mut observation = Observation { bound: Some(bound.limit()), ..Observation::of(Outcome::Held) };
        observation.reach(distribution);
        let mut live = Self { id, after: plan.after, bound, forms: None, observation };
        match Forms::settle(env, id, rotation, plan).await {
            Ok(forms) => live.forms = Some(forms),
            Err(outcome) => live.observation.outcome = outcome,
        }
        live
    }

    /// Adds the new form beside the old one, and lets the negative control change in one step.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn first_step(mut self, env: &Arc<TestBed>, begin: Instant) -> Self {
        wait::pass_until(begin + self.after).await;
        if let Some(forms) = &self.forms {
            self.observation.add_context(&format!("{} changed in two steps", forms.change), 1);
            self.observation.outcome = forms.add(env, self.id).await.unwrap_or_else(|error| unknown(&error));
        }
        self
    }

    /// Waits until both forms have followed the source, moves the consumers, and removes the old form.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn second_step(
        mut self,
        env: &Arc<TestBed>,
        rotation: &Rotation,
        written: Result<Instant, Unknown>,
    ) -> Observation {
        let Some(mut forms) = self.forms.take() else { return self.observation };
        match written {
            Err(why) => self.observation.outcome = Outcome::Unknown(why),
            Ok(written) if self.observation.outcome == Outcome::Held => {
                self.observation.outcome = self.finish(env, rotation, &mut forms, written).await;
            }
            Ok(_) => {}
        }
        if let Err(error) = forms.clean_up(env, self.id).await {
            self.observation.outcome = self.observation.outcome.max(unknown(&error));
        }
        self.observation
    }

    async fn finish(&mut self, env: &TestBed, rotation: &Rotation, forms: &mut Forms, written: Instant) -> Outcome {
        let (_, last) = rotation.last_two();
        let last = rotation.of_source(last);
        let last = &env.sources.rendered(&last);
        let left = self.bound.limit().saturating_sub(written.elapsed());
        let both = "old and new consumers served with the last values";
        let served = wait::until(&env.observer, both, left, |view| forms.both_served(view, last).into());
        if let Err(error) = served.await {
            return failed(&error, &self.bound);
        }
        self.observation.latencies.push(written.elapsed());
        let noticed =
            wait::until(&env.observer, "a change in one step noticed", left, |view| forms.noticed(view, last).into());
        if let Err(error) = noticed.await {
            // A check that misses what must break consumers says nothing about what must not.
            return verdict::unknown(cause_of(&error), error.to_string());
        }
        self.observation.count(&format!("{} changed in one step {}, noticed", forms.change, forms.one_step));
        let held = wait::hold(&env.observer, both, env.hold(), |view| forms.both_served(view, last));
        if let Err(error) = held.await {
            return observation::failed(&error);
        }
        let removed = Instant::now();
        if let Err(error) = subject::delete(&env.client_for(self.id), forms.old.name()).await {
            return unknown(&error);
        }
        self.observation.add_context("remove the old form", 1);
        let gone = wait::until(&env.observer, "the old form gone", env.provisioning_bound(), |view| {
            match (forms.new.served(view.secret(&forms.pair.name, NEW), last), view.secret(&forms.pair.name, OLD)) {
                (Err(why), _) => Progress::Never(format!("new consumers are not served: {why}")),
                (Ok(()), None) => Progress::Done(()),
                (Ok(()), Some(_)) => Progress::NotYet("it is there".to_owned()),
            }
        });
        if let Err(error) = gone.await {
            return observation::failed(&error);
        }
        let held = wait::hold(&env.observer, "new consumers served", env.hold(), |view| {
            forms.new.served(view.secret(&forms.pair.name, NEW), last)
        });
        if let Err(error) = held.await {
            return observation::failed(&error);
        }
        if let Err(error) = forms.events.complete(&env.observer, "all changes of both forms").await {
            return observation::failed(&error);
        }
        match forms.history(env, rotation, removed, self.bound.limit()) {
            Ok(0) => self.observation.count(&format!("{} changed in two steps, served throughout", forms.change)),
            Ok(moments) => self.observation.add_context("copy half new until the next refresh", moments),
            Err(why) => return verdict::violated(why),
        }
        Outcome::Held
    }
}

impl Forms {
    async fn settle(env: &Arc<TestBed>, id: CaseId, rotation: &Rotation, plan: &Plan) -> Result<Self, Outcome> {
        let mut forms = Self::make(env, id, rotation, plan).await.map_err(|error| unknown(&error))?;
        let bound = env.provisioning_bound();
        let initial = rotation.of_source(&rotation.initial);
        let initial = env.sources.rendered(&initial);
        let rest =
            wait::until(&env.observer, "the old forms at rest", bound, |view| forms.at_rest(view, &initial).into());
        match rest.await {
            Ok(endpoints) => {
                forms.new.endpoints = Some(forms.change.endpoints(&endpoints));
                forms.afterwards.endpoints.clone_from(&forms.new.endpoints);
                forms.before.endpoints = Some(endpoints.clone());
                forms.old.endpoints = Some(endpoints);
                forms.events = env.observer.record(&forms.pair.name);
                Ok(forms)
            }
            Err(error) => {
                let why = Unknown::new(cause_of(&error), format!("no copy whose form could change: {error}"));
                Err(forms.clean_up(env, id).await.map_or_else(|error| unknown(&error), |()| Outcome::Unknown(why)))
            }
        }
    }

    async fn make(env: &Arc<TestBed>, id: CaseId, rotation: &Rotation, plan: &Plan) -> Result<Self, SubjectError> {
        let (model, run, client) = (&env.model, env.namespaces.run(), env.client_for(id));
        let changeable = changeable(model, &rotation.source);
        let (distribution, changes) = plan.distribution.of(&changeable);
        let change = *plan.change.of(changes);
        let old = spec_in(&distribution.object).clone();
        // The change is one of those that say something about the distribution.
        let new = change.apply(distribution).unwrap_or_else(|| old.clone());
        let (pair, alone) = (env.namespaces.lease(&client).await?, env.namespaces.lease(&client).await?);
        let form = |spec, namespace, name| Form::new(model, run, distribution, spec, (namespace, name));
        let before = form(&old, alone.name.as_str(), OLD)?;
        let name = if plan.one_step == OneStep::InPlace { OLD } else { NEW };
        let afterwards = form(&new, alone.name.as_str(), name)?.in_place_of(&before);
        let forms = Self {
            old: form(&old, pair.name.as_str(), OLD)?,
            new: form(&new, pair.name.as_str(), NEW)?,
            events: env.observer.record(&pair.name),
            pair,
            before,
            afterwards,
            alone,
            change,
            one_step: plan.one_step,
        };
        let renderings = env.sources.renderings();
        forms.all().for_each(|form| renderings.add(&form.distribution));
        for values in std::iter::once(&rotation.initial).chain(rotation.steps.iter().map(|step| &step.values)) {
            renderings.learn(&rotation.source, values).await?;
        }
        for (form, lease) in [(&forms.old, &forms.pair), (&forms.before, &forms.alone)] {
            subject::apply(&client, &agent(id), form).await?;
            let labels = BTreeMap::from([(SELECTED, lease.name.as_str())]);
            namespaces::set_labels(&client, &agent(id), &lease.name, &labels).await?;
        }
        Ok(forms)
    }

    /// The endpoints of the old forms, once both are like their source.
    fn at_rest(&self, view: &View<'_>, values: &impl Known) -> Result<Vec<String>, Reason> {
        self.before.served(view.secret(&self.alone.name, OLD), values)?;
        let old = view.secret(&self.pair.name, OLD);
        self.old.served(old, values)?;
        old.map_or_else(|| Ok(Vec::new()), |old| decode(old).map(|decoded| decoded.endpoints))
    }

    /// Takes the first step of the two, and the only one of the negative control; ends when the new form is there.
    async fn add(&self, env: &TestBed, id: CaseId) -> Result<Outcome, SubjectError> {
        let client = env.client_for(id);
        subject::apply(&client, &agent(id), &self.new).await?;
        subject::apply(&client, &agent(id), &self.afterwards).await?;
        let there = wait::until(&env.observer, "the new form beside the old one", env.provisioning_bound(), |view| {
            match (view.secret(&self.pair.name, OLD), view.secret(&self.pair.name, NEW)) {
                (None, _) => Progress::Never("the old form is gone".to_owned()),
                (Some(_), None) => {
                    let (namespace, distribution) = (&self.pair.name, &self.new.distribution);
                    Progress::NotYet(oracle::missing(view, namespace, NEW, distribution))
                }
                (Some(_), Some(_)) => Progress::Done(()),
            }
        });
        Ok(there.await.map_or_else(|error| observation::failed(&error), |()| Outcome::Held))
    }

    fn both_served(&self, view: &View<'_>, values: &impl Known) -> Result<(), Reason> {
        let old = self.old.served(view.secret(&self.pair.name, OLD), values);
        old.map_err(|why| format!("old consumers: {why}"))?;
        let new = self.new.served(view.secret(&self.pair.name, NEW), values);
        new.map_err(|why| format!("new consumers: {why}").into())
    }

    /// True if the check sees that the one step left the old consumers without what they need.
    ///
    /// Under the same name, a new type is refused by the API server for ever: neither old nor new consumers follow the
    /// source. Everything else reaches the new consumers, and only them.
    fn noticed(&self, view: &View<'_>, values: &impl Known) -> Result<(), Reason> {
        let namespace = &self.alone.name;
        if self.before.served(view.secret(namespace, OLD), values).is_ok() {
            return Err("old consumers are served".into());
        }
        let new = self.afterwards.served(view.secret(namespace, &self.afterwards.distribution.secret), values);
        if (self.one_step, self.change) != (OneStep::InPlace, FormChange::Type) {
            return new.map_err(|why| format!("new consumers are not served either: {why}").into());
        }
        // A copy that has not been refreshed yet is no evidence; one that ESO says it cannot write is.
        let said = view.external_secret(namespace, &self.afterwards.distribution.external_secret);
        let said = said.and_then(|seen| seen.ready.as_deref()).unwrap_or_default();
        match new {
            Err(_) if said.starts_with("Ready=False") => Ok(()),
            Err(_) => Err(format!("its ExternalSecret says {said}").into()),
            Ok(()) => Err("new consumers are served".into()),
        }
    }

    /// Looks at everything that happened to both forms: the old one was right until the step that `removed` it, and the
    /// new one from when it first appeared. Gives how often a copy was half new until its next refresh, which must come
    /// `within` that time.
    fn history(
        &mut self,
        env: &TestBed,
        rotation: &Rotation,
        removed: Instant,
        within: Duration,
    ) -> Result<u64, Reason> {
        let versions: Vec<&Values> =
            std::iter::once(&rotation.initial).chain(rotation.steps.iter().map(|step| &step.values)).collect();
        let [mut old, mut new] = [(); 2].map(|()| Followed::new(&versions, within));
        while let Some(event) = self.events.next_event() {
            let (form, followed) = match event.name.as_str() {
                OLD if event.at < removed => (&self.old, &mut old),
                NEW => (&self.new, &mut new),
                _ => continue,
            };
            let secret = event.secret.as_ref();
            followed
                .see(event.at, |values| form.served(secret, &env.sources.rendered(&rotation.of_source(values))))
                .map_err(|why| format!("for a moment, consumers of {} were not served: {why}", event.name))?;
        }
        for (name, followed) in [(OLD, &old), (NEW, &new)] {
            followed.end().map_err(|why| format!("consumers of {name} are not served: {why}"))?;
        }
        Ok(old.half_new_moments + new.half_new_moments)
    }

    fn all(&self) -> impl Iterator<Item = &Form> {
        [&self.old, &self.new, &self.before, &self.afterwards].into_iter()
    }

    /// Removes all forms, and gives the namespaces back.
    async fn clean_up(self, env: &Arc<TestBed>, id: CaseId) -> Result<(), SubjectError> {
        self.all().for_each(|form| env.sources.renderings().remove(&form.distribution));
        let client = env.client_for(id);
        for form in [&self.old, &self.new, &self.before] {
            subject::delete(&client, form.name()).await?;
        }
        for lease in [self.pair, self.alone] {
            subject::until_gone(env, &lease.name, &[OLD, NEW]).await;
            env.namespaces.give_back(env, lease, BTreeSet::from([SELECTED.to_owned()]));
        }
        Ok(())
    }
}

fn unknown(error: &SubjectError) -> Outcome {
    Outcome::Unknown(observation::unknown(error))
}

/// Words of a wait for an update, with a remark if the configuration rules updates out.
fn failed(error: &WaitError, bound: &Bound) -> Outcome {
    match (observation::failed(error), bound) {
        (Outcome::Violated(mut violation), Bound::Never { why, .. }) => {
            violation.reason.push_str(&format!("; {why}"));
            Outcome::Violated(violation)
        }
        (outcome, _) => outcome,
    }
}
