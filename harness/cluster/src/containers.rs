//! Containers beside the node of a cluster, and images for its pods.

use std::io;
use std::process::{Output, Stdio};

use credence_programs::engine::{Engine, EngineError, Name};
use credence_programs::node_image::tools::ToolsImage;
use credence_programs::pod_image::{self, PodImage, PulledImage};

/// Label of what belongs to a run, with the name of its cluster as value: the network and the containers beside the
/// node. By it they are removed.
pub const LABEL: &str = "credence.cluster";

/// The network of a cluster whose node is a container, for those who run containers beside the node or pods on it.
#[derive(Debug, Clone)]
pub struct ContainerNetwork {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) tools_image: Option<ToolsImage>,
    pub(crate) images: Vec<PulledImage>,
}

impl ContainerNetwork {
    /// The engine that it is of.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its name, which is also that of the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Base of images for such containers; none where it could not be had.
    pub fn tools_image(&self) -> Option<&ToolsImage> {
        self.tools_image.as_ref()
    }

    /// The image that the user gives for `of`, if any.
    pub fn given_image(&self, of: PodImage) -> Option<&PulledImage> {
        pod_image::find(&self.images, of)
    }

    /// Gives the node `images` that the engine has, for pods: what they have in common goes over once, and nothing is
    /// written down on the way.
    ///
    /// # Errors
    /// When the engine refuses, or the node does.
    pub async fn load(&self, images: &[&str]) -> Result<(), EngineError> {
        let Self { engine, node, .. } = self;
        let save: &[&str] = match engine.name() {
            Name::Docker => &["save"],
            Name::Podman => &["save", "--multi-image-archive"],
        };
        let failed = |source| EngineError::Run { command: engine.path().to_owned(), source };
        let mut save = engine.command(&[save, images].concat());
        let mut save =
            save.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let archive = save.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let archive: Stdio = archive.try_into().map_err(failed)?;
        let import = ["exec", "--interactive", node, "ctr", "--namespace", "k8s.io", "images", "import", "-"];
        let import = engine.command(&import).stdin(archive).output();
        let (saved, imported) = tokio::try_join!(save.wait_with_output(), import).map_err(failed)?;
        // When one of them ends early the other complains as well, so both are shown.
        let status = if saved.status.success() { imported.status } else { saved.status };
        let stderr = [saved.stderr, imported.stderr].concat();
        engine.checked("load images into the node", Ok(Output { status, stdout: Vec::new(), stderr }))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use credence_programs::engine::fake::Fake;

    use super::*;

    /// Saves the names of images, and its nodes write down what they are given.
    const ACT: &str = r#"case "$1" in
save) shift; if test "$1" = missing; then echo no such image >&2; exit 1; fi; echo "$@" ;;
exec) echo "$@" > asked; cat > given ;;
esac"#;

    #[tokio::test]
    async fn images_go_from_the_engine_into_the_node() {
        let fake = Fake::usable(ACT);
        let network = ContainerNetwork {
            engine: fake.find().await.unwrap(),
            name: "a".to_owned(),
            node: "a-control-plane".to_owned(),
            tools_image: None,
            images: Vec::new(),
        };
        network.load(&["one:1", "two:2"]).await.unwrap();
        let read = |name: &str| fs::read_to_string(fake.directory().join(name)).unwrap();
        assert_eq!(read("given"), "one:1 two:2\n");
        assert!(read("asked").contains("a-control-plane ctr --namespace k8s.io images import"), "{}", read("asked"));
        let error = network.load(&["missing"]).await.unwrap_err().to_string();
        assert!(error.contains("load images into the node") && error.contains("no such image"), "{error}");
    }
}
