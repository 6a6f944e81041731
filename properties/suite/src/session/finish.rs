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
        // What is not named here goes last.
        let Self { options, fixtures, supplies, env, config, mut phases, mut properties, started, clock, .. } = self;
        judge_orphans(&env, &mut properties, events);
        phases.extend(fixtures.iter().filter_map(|fixture| fixture.phase()));
        let usage = Usage::now();
        let watches = env.observer.open_watches() as u64;
        let description = &env.cluster.description;
        let run = report::Run {
            seed: options.seed,
            strict: options.strict,
            started,
            finished: Timestamp::now(),
            config,
            cluster: report::Cluster { provider: description.provider.clone(), versions: description.versions.clone() },
            phases,
            copies: coverage::copies(&env.model),
            is_partial: options.is_partial(),
            resources: Resources::new(usage.cpu, clock.elapsed(), usage.peak_resident, watches),
        };
        let report = Report::new(run, properties);
        let written = reports::write(&options.out, &report)?;
        for fixture in &fixtures {
            if let Some(Evidence { name, path }) = fixture.evidence().await? {
                reports::copy_evidence(&options.out, name, &path)?;
            }
        }
        clean_up(&env, events).await?;
        let failed = report.exit_code().code() != 0;
        if failed {
            for fixture in &fixtures {
                fixture.save_logs().await;
            }
        }
        drop((fixtures, supplies));
        if failed && options.keep == Keep::OnFailure {
            keep_logs(env, events);
        }
        Ok((report, written))
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
