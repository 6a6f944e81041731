//! The image of Gitea: the program and its assets, on the tools that it calls.

use std::path::{Path, PathBuf};

use credence_cluster::containers::ContainerNetwork;
use credence_programs::engine::{Engine, EngineError, Name};
use credence_programs::node_image::NodeImageError;
use credence_programs::node_image::derived::{self, Addition};
use credence_programs::supply::{self, ComponentError, Options, Part};
use testcontainers::bollard::errors::Error as DockerError;
use testcontainers::core::client::{ClientError, docker_client_instance};

/// The program, in the image.
pub(super) const PROGRAM: &str = "/usr/local/bin/gitea";
/// Root of `templates`, `options` and `public`, in the image.
pub(super) const ASSETS: &str = "/usr/local/share/gitea";
/// Room that it takes in the engine, in MB.
const MEGABYTES: u64 = 150;

/// Gitea cannot run in a container.
#[derive(Debug, thiserror::Error)]
pub enum GiteaImageError {
    /// It has only been tried with Docker.
    #[error("this needs Docker; Podman has not been tried")]
    Podman,
    /// There is nothing to make the image on.
    #[error("there is no image with git to build it on")]
    NoTools,
    /// The engine cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine's socket does not answer.
    #[error("Docker's socket does not answer where it is looked for, at DOCKER_HOST or else at /var/run/docker.sock")]
    Socket(#[from] ClientError),
    /// The engine does not answer at its socket.
    #[error("Docker does not answer at DOCKER_HOST or else at /var/run/docker.sock")]
    Silent(#[from] DockerError),
    /// Another engine is at the socket.
    #[error(
        "the engine at DOCKER_HOST or else at /var/run/docker.sock is another than that of {}; let DOCKER_HOST name the \
         socket of the latter",
        command.display()
    )]
    Other {
        /// The command of the engine that has the cluster.
        command: PathBuf,
    },
    /// The program is not known.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The image cannot be made.
    #[error("its image cannot be made")]
    Image(#[from] NodeImageError),
}

/// Gitea's image, in an engine that testcontainers reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiteaImage {
    name: String,
}

impl GiteaImage {
    /// Gives the image, which the engine of `network` has or which is made now, in some seconds.
    ///
    /// # Errors
    /// When testcontainers does not reach the engine, or the image cannot be made. Gitea can run as a process then.
    pub async fn obtain(
        network: &ContainerNetwork,
        options: &Options,
        program: &Path,
        assets: &Path,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, GiteaImageError> {
        check_reached(network.engine()).await?;
        let tools = network.tools_image().ok_or(GiteaImageError::NoTools)?;
        let gitea = supply::identity(options, Part::Gitea)?;
        let addition = Addition {
            name: "gitea",
            inputs: &[format!("gitea {gitea}"), format!("assets {}", Part::Gitea.pin())],
            files: &[(PROGRAM, program), (ASSETS, assets)],
            // A program that was built here may need a newer C library than Debian's: found out now, not in a run.
            instructions: &format!("RUN {PROGRAM} --version"),
            megabytes: MEGABYTES,
        };
        let name = derived::obtain(network.engine(), options, tools, &addition, report).await?;
        Ok(Self { name })
    }

    /// Its name in the engine, as in `credence/gitea:0123456789ab`.
    pub fn name(&self) -> &str {
        &self.name
    }

    #[cfg(test)]
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// The name without its tag, and the tag.
    pub(super) fn parts(&self) -> (&str, &str) {
        // A name always has one, see `derived`.
        self.name.rsplit_once(':').unwrap_or((&self.name, "latest"))
    }
}

/// Fails unless testcontainers finds the same engine as credence.
async fn check_reached(engine: &Engine) -> Result<(), GiteaImageError> {
    if engine.name() == Name::Podman {
        return Err(GiteaImageError::Podman);
    }
    let reached = docker_client_instance().await?.info().await?.id;
    let own = engine.output("ask for the engine's id", &["info", "--format", "{{.ID}}"]).await?;
    if reached.is_none_or(|reached| reached.as_bytes() != own.trim_ascii()) {
        return Err(GiteaImageError::Other { command: engine.path().to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_repository_and_tag() {
        let image = GiteaImage::named("credence/gitea:0123456789ab");
        assert_eq!(image.parts(), ("credence/gitea", "0123456789ab"));
    }
}
