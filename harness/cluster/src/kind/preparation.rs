//! Preparation of a cluster of kind: the engine and the room for it, and then the images.

use std::path::Path;

use credence_core::text::chain;
use credence_programs::engine::Engine;
use credence_programs::node_image::tools::{self, ToolsImage};
use credence_programs::node_image::{self, NodeImage, NodeImageError};
use credence_programs::pod_image::{PodImage, PulledImage};
use credence_programs::run_dir::{ClearError, RunDir};
use credence_programs::supply::{Part, Progress};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::{ID, KindError, LACKS, Setup, cleanup, cluster, room};
use crate::capability::Lacks;
use crate::cluster::Cluster;
use crate::error::{ClusterError, ProviderError};
use crate::provider::{Found, Inputs, PreparationError, Provider, Startable, Wanted};

/// The kind of clusters of kind, the tool.
pub struct Kind;

impl Provider for Kind {
    fn id(&self) -> &'static str {
        ID
    }

    fn help(&self) -> &'static str {
        "A kind cluster: nodes are containers, and the operator with its webhook runs in pods. Needs Docker or Podman"
    }

    fn lacks(&self) -> Lacks {
        LACKS
    }

    fn programs(&self) -> &'static [Part] {
        &[Part::Kind]
    }

    fn takes_images(&self) -> bool {
        true
    }

    fn find<'a>(
        &'a self,
        wanted: &'a Wanted<'a>,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Box<dyn Found>, PreparationError>> {
        async move { Ok(Box::new(UsableEngine::find(wanted, progress).await?) as _) }.boxed()
    }

    fn clear(&self, run: &Path) -> Result<(), ClearError> {
        cleanup::clear(run).map_err(ClearError::new)
    }
}

/// An engine on which there is room for a cluster.
struct UsableEngine(Engine);

impl UsableEngine {
    async fn find(wanted: &Wanted<'_>, progress: &dyn Progress) -> Result<Self, PreparationError> {
        let no_engine = |error| ProviderError::from(KindError::NoEngine(error));
        let engine = Engine::find(wanted.engine).await.map_err(no_engine)?;
        progress.note(&format!("kind: on {} {}", engine.name(), engine.version()));
        if let Some(how) = engine.apart().await.map_err(no_engine)? {
            return Err(ClusterError::from(KindError::Apart { name: engine.name(), how }).into());
        }
        let figures = room::check(&engine, wanted.directory).await.map_err(ClusterError::from)?;
        progress.note(&format!("kind: a cluster takes at most {figures}"));
        Ok(Self(engine))
    }
}

impl Found for UsableEngine {
    fn obtain<'a>(
        self: Box<Self>,
        wanted: &'a Wanted<'a>,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Box<dyn Startable>, PreparationError>> {
        async move { Ok(Box::new(Images::obtain(self.0, wanted, progress).await.map_err(ProviderError::from)?) as _) }
            .boxed()
    }
}

/// An engine that has the images for a cluster.
struct Images {
    engine: Engine,
    node: NodeImage,
    tools: Option<ToolsImage>,
    pods: Vec<PulledImage>,
}

impl Images {
    /// Obtains the image of the node, the one for containers beside it, and those that are given.
    async fn obtain(engine: Engine, wanted: &Wanted<'_>, progress: &dyn Progress) -> Result<Self, KindError> {
        let report = |step: &str| progress.note(step);
        let pods = pull(&engine, wanted, &report).await.map_err(KindError::PodImages)?;
        for image in &pods {
            progress.note(&format!("kind: {} from {}", image.of, image.reference));
        }
        let options = wanted.programs;
        let node = node_image::obtain(&engine, options, progress, &report).await.map_err(KindError::NodeImage)?;
        progress.note(&format!("kind: node image {}", node.name));
        let tools = match tools::obtain(&engine, options, &report).await {
            Ok(image) => Some(image),
            Err(error) => {
                progress.note(&format!(
                    "kind: what would run in containers beside the node, and in pods unless its images are given, runs as \
                     processes of this machine: {}",
                    chain(&error)
                ));
                None
            }
        };
        Ok(Self { engine, node, tools, pods })
    }
}

impl Startable for Images {
    fn start<'a>(
        &'a self,
        run: RunDir,
        Inputs { programs, assets, configured }: &'a Inputs<'a>,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Cluster, ClusterError>> {
        async move {
            let report = |step: &str| progress.note(&format!("kind: {step}"));
            let setup = Setup {
                engine: &self.engine,
                programs,
                node_image: &self.node,
                tools_image: self.tools.as_ref(),
                images: &self.pods,
                assets,
                configured,
                report: &report,
            };
            cluster::start(run, &setup).await
        }
        .boxed()
    }
}

/// The images that are given; of several for the same, the last.
async fn pull(
    engine: &Engine,
    wanted: &Wanted<'_>,
    report: &(dyn Fn(&str) + Sync),
) -> Result<Vec<PulledImage>, NodeImageError> {
    let mut images = Vec::new();
    for of in PodImage::ALL {
        if let Some(given) = wanted.images.iter().rev().find(|given| given.of == of) {
            images.push(given.obtain(engine, wanted.programs, report).await?);
        }
    }
    Ok(images)
}
