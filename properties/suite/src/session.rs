//! A configuration deployed to a cluster, tested property by property, and reported.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use credence_core::credential::Credential;
use credence_core::id::PropertyId;
use credence_core::text::chain;
use credence_programs::run_dir::RunDir;
use credence_report::report::{Config, Execution, Phase, PropertyMeta, PropertyReport};
use futures::future::join;
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::driver::{Executed, Plan, Registered, Run};
use crate::events::{Event, Events};
use crate::fixture::Fixture;
use crate::options::Options;
use crate::registry::PROPERTIES;
use crate::side_by_side;
use crate::stop::Stop;
use crate::supplies::{Need, Supplies};
use crate::testbed::TestBed;

mod cluster;
mod configuration;
mod demand;
mod deployment;
mod finish;
mod inputs;
mod name;
mod programs;
mod second_cluster;
mod sources;
mod start;
mod vault;

use inputs::replay_flags;
use sources::initial_values;
pub(crate) use vault::VaultStoresError;

/// A configuration deployed to a cluster, and what has been found so far.
pub struct Session {
    options: Options,
    // What properties have set up goes before the cluster that it is part of.
    fixtures: Vec<Box<dyn Fixture>>,
    supplies: Arc<Supplies>,
    env: Arc<TestBed>,
    config: Config,
    phases: Vec<Phase>,
    properties: Vec<PropertyReport>,
    /// The properties that are tested on a cluster of their own.
    apart: Vec<PropertyId>,
    /// The session on that cluster, once they have been tested.
    second: Option<Box<Session>>,
    started: Timestamp,
    clock: Instant,
    /// The consumers, while they are being obtained.
    obtaining: Option<JoinHandle<()>>,
    /// Held for as long as this run has a cluster that others could attach to.
    _attached: Option<File>,
    /// The run's own directory where the cluster's belongs to another process. Goes last, with what others left in it.
    _own_directory: Option<Arc<RunDir>>,
}

impl Session {
    /// Begins to obtain the consumers, if a property wants them, while other properties run. They are started in the turn of
    /// that property: they would not survive the outages of another.
    pub fn obtain_consumers(&mut self) {
        if self.supplies.consumers.is_some() {
            let (env, supplies) = (Arc::clone(&self.env), Arc::clone(&self.supplies));
            // Whoever needs them asks for the outcome.
            self.obtaining = Some(tokio::spawn(async move { supplies.ready(&[Need::Consumers], &env).await }));
        }
    }

    /// Tests properties, side by side those that do not disturb each other: those that need a cluster for themselves on a second
    /// one, where there can be one.
    pub async fn test(&mut self, events: &Arc<dyn Events>, properties: &[&dyn Registered], stop: &Stop) {
        let is_apart = |property: &&dyn Registered| self.apart.contains(&property.meta().id);
        let (apart, here): (Vec<&dyn Registered>, Vec<&dyn Registered>) =
            properties.iter().copied().partition(is_apart);
        if apart.is_empty() {
            return self.test_here(events.as_ref(), &here, stop).await;
        }
        let options = self.options.clone();
        let second = second_cluster::test(&options, &apart, events, stop);
        let ((), second) = join(self.test_here(events.as_ref(), &here, stop), second).await;
        match second {
            Ok(mut second) => {
                self.phases.append(&mut second.phases);
                second.properties.drain(..).for_each(|report| self.add(report));
                self.second = Some(Box::new(second));
            }
            Err(error) => {
                let why = format!("the cluster for it alone could not be started: {}", chain(&error));
                let execution = Execution::not_begun(self.options.cases, Timestamp::now(), why);
                for property in apart {
                    let report = PropertyReport::from_records(&property.meta(), &execution, &[]);
                    events.event(&Event::PropertyEnded(&report));
                    self.add(report);
                }
            }
        }
    }

    /// Tests properties on the cluster of this session.
    async fn test_here(&mut self, events: &dyn Events, properties: &[&dyn Registered], stop: &Stop) {
        let Options { seed, cases, only, shrink, lanes, .. } = self.options;
        let plan = Plan {
            seed,
            cases,
            only,
            shrink,
            replay_flags: replay_flags(&self.options),
            leaves_trail: self.options.trail.is_some(),
        };
        let (env, supplies, plan) = (&self.env, &*self.supplies, &plan);
        let participants = properties.iter().map(|property| property.participant(&env.model)).collect();
        let ready = |number: usize| properties[number].is_ready(env, supplies, stop);
        let run = |number: usize, turn| async move {
            let (property, timer) = (properties[number], Instant::now());
            let executed = property.execute(Run { env, supplies, events, plan, stop, turn }).await;
            let (meta, took) = (property.meta(), timer.elapsed());
            let (report, fixture) = match executed {
                Executed::Ran { records, execution, fixture } => {
                    (PropertyReport::from_records(&meta, &execution, &records), fixture)
                }
                Executed::Skipped(why) => (PropertyReport::skipped(&meta, &why), None),
            };
            events.event(&Event::PropertyEnded(&report));
            (Phase::new(&meta.id.to_string(), took), report, fixture)
        };
        for (phase, report, fixture) in side_by_side::run(participants, lanes.get(), ready, run).await {
            self.phases.push(phase);
            self.fixtures.extend(fixture);
            self.add(report);
        }
    }

    /// Reason in the intent of the team why a property does not apply; none if it does.
    pub fn not_applicable(&self, property: PropertyId) -> Option<String> {
        self.env.model.intended.not_applicable.get(&property).map(ToString::to_string)
    }

    /// Writes down that a property was not tested, and why.
    pub fn skip(&mut self, events: &dyn Events, meta: &PropertyMeta, reason: &str) {
        let report = PropertyReport::skipped(meta, reason);
        events.event(&Event::PropertyEnded(&report));
        self.add(report);
    }

    /// Keeps a report in the order of the registry.
    fn add(&mut self, report: PropertyReport) {
        let place = self.properties.partition_point(|other| other.id < report.id);
        self.properties.insert(place, report);
    }

    /// Report of a property, if it has been tested.
    pub fn report_of(&self, property: PropertyId) -> Option<&PropertyReport> {
        self.properties.iter().find(|report| report.id == property)
    }

    /// The run directory of each cluster, with the logs of its programs.
    pub fn directories(&self) -> Vec<&Path> {
        self.clusters().map(|session| session.env.cluster.directory()).collect()
    }

    /// This session, and the one on the second cluster.
    fn clusters(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.second.as_deref())
    }

    /// All values that the sources have now and had at the beginning: for a test that searches for them where they must
    /// not be.
    pub fn source_values(&self) -> Vec<Credential> {
        let now = self.clusters().flat_map(|session| session.env.sources.current());
        let model = &self.env.model;
        let initial = model.sources.keys().enumerate();
        let initial =
            initial.flat_map(|(index, name)| initial_values(model, self.options.seed, index, name).into_values());
        now.chain(initial).collect()
    }
}

/// True if a property that is to run needs it.
fn needs(options: &Options, need: Need) -> bool {
    PROPERTIES.iter().any(|property| options.wants(property.meta().id) && property.needs().contains(&need))
}
