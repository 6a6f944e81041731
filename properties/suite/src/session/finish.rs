//! End of a session: clean-up, and the reports.

use std::sync::Arc;

use credence_report::report::{self, PropertyReport, Report, Resources};
use credence_report::verdict::Verdict;
use credence_watch::own_usage::Usage;
use jiff::Timestamp;

use super::Session;
use super::vault::{self, VaultStoresError};
use crate::coverage;
use crate::driver::Property;
use crate::error::RunError;
use crate::events::{Events, PhaseTimer};
use crate::fixture::Evidence;
use crate::options::Keep;
use crate::p03_label_distribution::LabelDistribution;
use crate::reports::{self, Written};
use crate::testbed::{TestBed, deploy};

impl Session {
    /// Waits for clean-up, writes the reports and ends what this run started.
    ///
    /// # Errors
    /// When the reports cannot be written, or the cluster that is kept up cannot be cleaned.
    pub async fn finish(mut self, events: &dyn Events) -> Result<(Report, Written), RunError> {
        self.settle().await;
        if let Some(second) = &mut self.second {
            second.settle().await;
        }
        let mut properties = std::mem::take(&mut self.properties);
        self.clusters().for_each(|session| judge_orphans(&session.env, &mut properties, events));
        let report = Report::new(self.as_reported(), properties);
        let written = reports::write(&self.options.out, &report)?;
        let fixtures = || self.clusters().flat_map(|session| &session.fixtures);
        for fixture in fixtures() {
            if let Some(Evidence { name, path }) = fixture.evidence().await? {
                reports::copy_evidence(&self.options.out, name, &path)?;
            }
        }
        clean_up(&self.env, events).await?;
        let failed = report.exit_code().code() != 0;
        if failed {
            for fixture in fixtures() {
                fixture.save_logs().await;
            }
        }
        let keeps_logs = failed && self.options.keep == Keep::OnFailure;
        if let Some(second) = self.second.take() {
            second.close(keeps_logs, events);
        }
        self.close(keeps_logs, events);
        Ok((report, written))
    }

    /// The run as its report has it.
    fn as_reported(&self) -> report::Run {
        let fixtures = self.clusters().flat_map(|session| &session.fixtures);
        let phases = self.phases.iter().cloned().chain(fixtures.filter_map(|fixture| fixture.phase()));
        let usage = Usage::now();
        let watches = self.clusters().map(|session| session.env.observer.open_watches() as u64).sum();
        let description = &self.env.cluster.description;
        report::Run {
            seed: self.options.seed,
            strict: self.options.strict,
            started: self.started,
            finished: Timestamp::now(),
            config: self.config.clone(),
            cluster: report::Cluster { provider: description.provider.clone(), versions: description.versions.clone() },
            phases: phases.collect(),
            copies: coverage::copies(&self.env.model),
            is_partial: self.options.is_partial(),
            resources: Resources::new(usage.cpu, self.clock.elapsed(), usage.peak_resident, watches),
        }
    }

    /// Ends what this session started; its logs can stay.
    fn close(self, keeps_logs: bool, events: &dyn Events) {
        // What is not named here goes last.
        let Self { fixtures, supplies, env, .. } = self;
        drop((fixtures, supplies));
        if keeps_logs {
            keep_logs(env, events);
        }
    }

    /// Waits until nothing is obtained or cleaned any more.
    async fn settle(&mut self) {
        if let Some(obtaining) = self.obtaining.take() {
            // What nobody waited for is of no use any more; what is being built goes on where it was another time.
            obtaining.abort();
            obtaining.await.ok();
        }
        for fixture in &self.fixtures {
            fixture.settle(&self.env).await;
        }
        self.env.settle().await;
    }
}

/// Books what namespaces kept after their labels were gone on the property that claims that nothing stays.
fn judge_orphans(env: &TestBed, properties: &mut [PropertyReport], events: &dyn Events) {
    let (left, mut inconclusive) = (env.namespaces.orphans(), env.namespaces.inconclusive());
    if env.cluster.lost().is_some() {
        // Nothing could be cleaned any more, and every verdict says so already.
        inconclusive.clear();
    }
    for reason in left.iter().map(|left| &left.reason) {
        events.note(&format!("left behind by the system under test: {reason}"));
    }
    // It is what p03 claims, whichever property labelled them.
    let judges = properties.iter_mut().filter(|property| property.verdict != Verdict::Skipped);
    if let Some(judge) = judges.max_by_key(|property| property.id == LabelDistribution::META.id) {
        left.iter().for_each(|left| judge.add_violation(left));
        inconclusive.iter().for_each(|why| judge.add_inconclusive(why));
    }
}

/// Removes what this run made on a cluster that lives on.
async fn clean_up(env: &Arc<TestBed>, events: &dyn Events) -> Result<(), RunError> {
    if env.cluster.is_owned() || env.cluster.lost().is_some() {
        return Ok(());
    }
    let timer = PhaseTimer::begin(events, "clean up");
    env.namespaces.remove_all(env).await?;
    vault::leave(&env.cluster).await.map_err(VaultStoresError::from)?;
    deploy::remove_previous(&env.cluster).await?;
    timer.finish();
    Ok(())
}

/// Leaves the directory with the logs of all programs in place.
fn keep_logs(env: Arc<TestBed>, events: &dyn Events) {
    // Clean-up tasks hold the environment too; they are over by now, so this is its last owner.
    let Some(mut env) = Arc::into_inner(env) else { return };
    if let Some(cluster) = Arc::get_mut(&mut env.cluster) {
        cluster.keep_directory();
        events.note(&format!("logs of all programs: {}", env.cluster.directory().display()));
    }
}
