//! An embedded cluster that no run has started.

use credence_cluster::cluster::{Cluster, ControlPlaneFiles};
use credence_cluster::{embedded, providers};
use credence_core::text::chain;
use credence_programs::dirs;
use credence_programs::run_dir::RunDir;
use credence_programs::supply::{self, Part, PlainProgress};
use libtest_mimic::Failed;

pub(crate) fn failed(error: impl std::error::Error) -> Failed {
    Failed::from(chain(&error))
}

/// Starts one, in a directory with this name and the id of this process.
pub(crate) async fn start(name: &str, options: &supply::Options) -> Result<Cluster, Failed> {
    let programs = supply::obtain(options, &Part::CONTROL_PLANE, &PlainProgress::new()).await.map_err(failed)?;
    let assets = supply::external_secrets_assets(options).await.map_err(failed)?;
    let name = format!("{name}-{}", std::process::id());
    let run = RunDir::create(&dirs::state().map_err(failed)?, &name, providers::clear).map_err(failed)?;
    embedded::start(run, &programs, &assets, &ControlPlaneFiles::reference()).await.map_err(failed)
}
