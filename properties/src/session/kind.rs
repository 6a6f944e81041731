//! What a session needs for a cluster of kind.

use std::path::Path;

use credence_harness::cluster::ControlPlaneFiles;
use credence_harness::components::{self, Programs};
use credence_harness::kind;
use credence_harness::kind::engine::Engine;
use credence_harness::kind::node_image::tools::{self, ToolsImage};
use credence_harness::kind::node_image::{self, NodeImage};

use crate::console::Console;
use crate::copies::chain;
use crate::run::RunError;

/// What a cluster of kind is started from.
pub(super) struct Kind {
    engine: Engine,
    image: NodeImage,
    tools: Option<ToolsImage>,
}

impl Kind {
    /// Finds the engine, and obtains the image of the node and the one for containers beside it.
    pub(super) async fn obtain(
        engine: Option<&Path>,
        options: &components::Options,
        console: &Console,
    ) -> Result<Self, RunError> {
        let engine = Engine::find(engine).await?;
        console.note(&format!("kind: on {} {}", engine.name(), engine.version()));
        let report = |step: &str| console.note(step);
        let image = node_image::obtain(&engine, options, console.components(), &report).await?;
        console.note(&format!("kind: node image {}", image.name));
        let tools = match tools::obtain(&engine, options, &report).await {
            Ok(image) => Some(image),
            Err(error) => {
                console.note(&format!(
                    "kind: what would run in containers beside the node runs as processes of this machine: {}",
                    chain(&error)
                ));
                None
            }
        };
        Ok(Self { engine, image, tools })
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
        kind::Setup { engine, programs, node_image, tools_image, assets, configured, report }
    }
}
