//! The images of Argo CD's pods.

use std::fs;
use std::path::Path;

use credence_cluster::containers::ContainerNetwork;
use credence_core::file_error::FileError;
use credence_programs::node_image::NodeImageError;
use credence_programs::node_image::derived::{self, Addition};
use credence_programs::node_image::tools::ToolsImage;
use credence_programs::pod_image::PodImage;
use credence_programs::supply::{self, Options, Part, Programs};

use super::files::VERIFY_WRAPPER;

/// Steps of Argo CD's own Dockerfile after its program is in place. Not in the image are tini, as git waits for what it
/// starts, and gpg, helm, kustomize and git-lfs, with which nothing is deployed here.
const INSTRUCTIONS: &str = "\
RUN groupadd --gid 999 argocd \\
    && useradd --uid 999 --gid argocd --home-dir /home/argocd --create-home argocd \\
    && chgrp 0 /home/argocd \\
    && chmod g=u /home/argocd \\
    && for part in application-controller cmp-server repo-server; do \\
        ln -s argocd /usr/local/bin/argocd-$part; \\
    done \\
    && argocd version --client
ENV USER=argocd GRPC_ENABLE_TXT_SERVICE_CONFIG=false
USER 999
WORKDIR /home/argocd";

/// Images that the engine has, by their names there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Images {
    /// Image of all programs that Argo CD's binary is.
    pub(super) argo_cd: String,
    pub(super) redis: String,
}

impl Images {
    /// True if all can be had on the network of a cluster.
    pub(crate) fn are_possible(network: &ContainerNetwork) -> bool {
        let is_given = |of: PodImage| network.given_image(of).is_some();
        network.tools_image().is_some() || (is_given(PodImage::ArgoCd) && is_given(PodImage::Redis))
    }

    /// Those that the user gives; the others are made on the tools image, unless the engine has them, which takes some
    /// seconds. None where they are [not possible](Self::are_possible). `assets` is a copy of Argo CD's source with
    /// `hack/git-verify-wrapper.sh`.
    ///
    /// # Errors
    /// When there is too little room, a file cannot be read, or the engine fails.
    pub(crate) async fn obtain(
        network: &ContainerNetwork,
        options: &Options,
        programs: &Programs,
        assets: &Path,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<Option<Self>, NodeImageError> {
        let tools = network.tools_image();
        let given = |of: PodImage| network.given_image(of).map(|given| given.kept_as.clone());
        let Some(redis) = given(PodImage::Redis).or_else(|| tools.map(|tools| tools.name.clone())) else {
            return Ok(None);
        };
        let argo_cd = match (given(PodImage::ArgoCd), tools) {
            (Some(argo_cd), _) => argo_cd,
            (None, Some(tools)) => make(network, options, programs, assets, tools, report).await?,
            (None, None) => return Ok(None),
        };
        Ok(Some(Self { argo_cd, redis }))
    }

    pub(super) fn all(&self) -> [&str; 2] {
        [&self.argo_cd, &self.redis]
    }
}

/// The image of Argo CD's program on the tools image.
async fn make(
    network: &ContainerNetwork,
    options: &Options,
    programs: &Programs,
    assets: &Path,
    tools: &ToolsImage,
    report: &(dyn Fn(&str) + Sync),
) -> Result<String, NodeImageError> {
    let wrapper = assets.join("hack").join(VERIFY_WRAPPER);
    let script = fs::read_to_string(&wrapper).map_err(FileError::of::<NodeImageError>("read", &wrapper))?;
    let addition = Addition {
        name: "argocd",
        inputs: &[supply::identity(options, Part::ArgoCd)?, script],
        // Repo-server calls the script by its name.
        files: &[
            ("/usr/local/bin/argocd", programs.path(Part::ArgoCd)),
            ("/usr/local/bin/git-verify-wrapper.sh", wrapper.as_path()),
        ],
        instructions: INSTRUCTIONS,
        megabytes: 500,
    };
    derived::obtain(network.engine(), options, tools, &addition, report).await
}
