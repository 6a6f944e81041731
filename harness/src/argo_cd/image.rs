//! The images of Argo CD's pods.

use std::fs;
use std::path::Path;

use super::files::VERIFY_WRAPPER;
use crate::components::{self, Options, Part, Programs};
use crate::kind::engine::Engine;
use crate::kind::node_image::NodeImageError;
use crate::kind::node_image::on_tools::Recipe;
use crate::kind::node_image::tools::ToolsImage;

/// What is done after the files are in place.
const DOCKERFILE: &str = include_str!("Dockerfile");

/// Images that the engine has, by their names there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// That of all programs that Argo CD's binary is.
    pub(super) argo_cd: String,
    /// That of Redis.
    pub(super) redis: String,
}

impl Images {
    /// Makes them on the tools image, unless the engine has them. That takes some seconds. `assets` is a copy of Argo CD's
    /// source with `hack/git-verify-wrapper.sh`.
    ///
    /// # Errors
    /// When there is too little room, a file cannot be read, or the engine fails.
    pub async fn obtain(
        engine: &Engine,
        options: &Options,
        tools: &ToolsImage,
        programs: &Programs,
        assets: &Path,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, NodeImageError> {
        let wrapper = assets.join("hack").join(VERIFY_WRAPPER);
        let script = fs::read_to_string(&wrapper).map_err(NodeImageError::file("read", &wrapper))?;
        let recipe = Recipe {
            title: "Argo CD's image",
            repository: "credence/argocd",
            version: Part::ArgoCd.version(),
            inputs: vec![components::identity(options, Part::ArgoCd)?, script],
            dockerfile: DOCKERFILE,
            files: vec![
                ("usr/local/bin/argocd", programs.path(Part::ArgoCd).to_owned()),
                // Repo-server calls it by this name.
                ("usr/local/bin/git-verify-wrapper.sh", wrapper),
            ],
            megabytes: 250,
        };
        let argo_cd = recipe.obtain(engine, options, tools, report).await?;
        Ok(Self { argo_cd, redis: tools.name.clone() })
    }

    /// All of them.
    pub(super) fn all(&self) -> [&str; 2] {
        [&self.argo_cd, &self.redis]
    }
}
