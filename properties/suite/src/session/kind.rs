//! Inputs of a session for a cluster of kind.

use std::path::Path;

use credence_cluster::cluster::{ClusterError, ControlPlaneFiles};
use credence_cluster::kind::{self, KindError, room};
use credence_core::text::chain;
use credence_programs::engine::Engine;
use credence_programs::node_image::tools::{self, ToolsImage};
use credence_programs::node_image::{self, NodeImage, NodeImageError};
use credence_programs::pod_image::{PodImage, PulledImage};
use credence_programs::supply::Programs;

use crate::error::RunError;
use crate::events::Events;
use crate::options::Options;

/// Inputs from which a cluster of kind is started.
pub(super) struct KindInputs {
    engine: Engine,
    image: NodeImage,
    tools: Option<ToolsImage>,
    images: Vec<PulledImage>,
}

/// Finds the engine, and room for a cluster whose run directory is `run`: without them nothing is obtained.
pub(super) async fn find_engine(engine: Option<&Path>, run: &Path, events: &dyn Events) -> Result<Engine, RunError> {
    let engine = Engine::find(engine).await?;
    events.note(&format!("kind: on {} {}", engine.name(), engine.version()));
    if let Some(how) = engine.apart().await? {
        return Err(ClusterError::from(KindError::Apart { name: engine.name(), how }).into());
    }
    let figures = room::check(&engine, run).await.map_err(ClusterError::from)?;
    events.note(&format!("kind: a cluster takes at most {figures}"));
    Ok(engine)
}

impl KindInputs {
    /// Obtains the image of the node, the one for containers beside it, and those that are given.
    pub(super) async fn obtain(engine: Engine, options: &Options, events: &dyn Events) -> Result<Self, RunError> {
        let report = |step: &str| events.note(step);
        let images = pull(&engine, options, &report).await.map_err(RunError::PodImages)?;
        for image in &images {
            events.note(&format!("kind: {} from {}", image.of, image.reference));
        }
        let options = &options.components;
        let image = node_image::obtain(&engine, options, events, &report).await?;
        events.note(&format!("kind: node image {}", image.name));
        let tools = match tools::obtain(&engine, options, &report).await {
            Ok(image) => Some(image),
            Err(error) => {
                events.note(&format!(
                    "kind: what would run in containers beside the node, and in pods unless its images are given, runs as \
                     processes of this machine: {}",
                    chain(&error)
                ));
                None
            }
        };
        Ok(Self { engine, image, tools, images })
    }

    /// The same, with what differs from run to run.
    pub(super) fn setup<'a>(
        &'a self,
        programs: &'a Programs,
        assets: &'a Path,
        configured: &'a ControlPlaneFiles,
        report: &'a (dyn Fn(&str) + Sync),
    ) -> kind::Setup<'a> {
        let (engine, node_image, tools_image) = (&self.engine, &self.image, self.tools.as_ref());
        kind::Setup { engine, programs, node_image, tools_image, images: &self.images, assets, configured, report }
    }
}

/// The images that are given; of several for the same, the last.
async fn pull(
    engine: &Engine,
    options: &Options,
    report: &(dyn Fn(&str) + Sync),
) -> Result<Vec<PulledImage>, NodeImageError> {
    let mut images = Vec::new();
    for of in PodImage::ALL {
        if let Some(given) = options.images.iter().rev().find(|given| given.of == of) {
            images.push(given.obtain(engine, &options.components, report).await?);
        }
    }
    Ok(images)
}
