//! The programs that a session's cluster is started from.

use std::path::{Path, PathBuf};

use credence_cluster::providers::{self, Startable, Wanted};
use credence_programs::external_secrets;
use credence_programs::supply::{self, Part, Programs};

use crate::error::RunError;
use crate::events::Events;
use crate::options::Options;

/// Everything that a cluster is started from.
pub(super) struct Obtained {
    pub(super) programs: Programs,
    /// The operator's definitions and settings.
    pub(super) assets: PathBuf,
    pub(super) cluster: Box<dyn Startable>,
}

impl Obtained {
    /// Obtains it for a cluster in the run directory `directory`. What the machine must have for its kind comes before all else:
    /// without that nothing has to be obtained.
    pub(super) async fn obtain(options: &Options, directory: &Path, events: &dyn Events) -> Result<Self, RunError> {
        if options.cluster.is_none() {
            events.note(providers::DEFAULT_CHOSEN);
        }
        let (engine, images) = (options.engine.as_deref(), options.images.as_slice());
        let wanted = Wanted { directory, engine, images, programs: &options.components };
        let provider = options.provider();
        let found = provider.find(&wanted, events).await?;
        let mut parts = Part::CONTROL_PLANE.to_vec();
        // A path that is no program is told before anything starts.
        parts.extend(Part::TEMPLATES.into_iter().filter(|part| options.components.overrides.contains_key(part)));
        parts.extend(provider.programs());
        let programs = supply::obtain(&options.components, &parts, events).await?;
        let assets = external_secrets::assets(&options.components, events).await?;
        let cluster = found.obtain(&wanted, events).await?;
        Ok(Self { programs, assets, cluster })
    }
}
