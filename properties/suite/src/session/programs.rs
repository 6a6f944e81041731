//! The programs that a session's cluster is started from.

use std::path::{Path, PathBuf};

use credence_programs::external_secrets;
use credence_programs::supply::{self, Part, Programs};

use super::kind::{KindInputs, find_engine};
use crate::error::RunError;
use crate::events::Events;
use crate::options::{ClusterKind, Options};

/// Choice of `--cluster auto`, what it goes without, and why.
const EMBEDDED: &str = "cluster: embedded, which needs no container engine and starts in seconds; kind would add the \
     operator in pods with its webhook, and a node set up by kubeadm: --cluster kind";

/// Programs and files that were obtained, and the inputs of a cluster of kind if that is asked for.
pub(super) struct Obtained {
    pub(super) programs: Programs,
    /// The operator's definitions and settings.
    pub(super) assets: PathBuf,
    pub(super) kind: Option<KindInputs>,
}

impl Obtained {
    /// Obtains them, with the engine of kind before all else: without one nothing has to be obtained.
    pub(super) async fn obtain(options: &Options, directory: &Path, events: &dyn Events) -> Result<Self, RunError> {
        let engine = match options.cluster {
            ClusterKind::Kind => Some(find_engine(options.engine.as_deref(), directory, events).await?),
            ClusterKind::Auto => {
                events.note(EMBEDDED);
                None
            }
            ClusterKind::Embedded => None,
        };
        let mut parts = Part::CONTROL_PLANE.to_vec();
        // A path that is no program is told before anything starts.
        parts.extend(Part::TEMPLATES.into_iter().filter(|part| options.components.overrides.contains_key(part)));
        parts.extend((options.cluster == ClusterKind::Kind).then_some(Part::Kind));
        let programs = supply::obtain(&options.components, &parts, events).await?;
        let assets = external_secrets::assets(&options.components, events).await?;
        let kind = match engine {
            Some(engine) => Some(KindInputs::obtain(engine, options, events).await?),
            None => None,
        };
        Ok(Self { programs, assets, kind })
    }
}
