//! Images of a program with the commands that it calls: the tools image, with files on top.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::context::Root;
use super::inputs::fingerprint;
use super::tools::ToolsImage;
use super::{NodeImageError, Steps, Work, build, check_room, lock, remove_remains};
use crate::components::Options;
use crate::kind::engine::Engine;

/// What is put on top of the tools image.
pub(crate) struct Recipe {
    /// What it is called in messages.
    pub(crate) title: &'static str,
    /// What it is called in the engine, without its tag.
    pub(crate) repository: &'static str,
    /// The version of the program, with which the tag begins.
    pub(crate) version: &'static str,
    /// What the files follow from.
    pub(crate) inputs: Vec<String>,
    /// Begins with the arguments `BASE` and `INPUTS`, as that of the node does, and takes the directory `root`.
    pub(crate) dockerfile: &'static str,
    /// Programs and scripts: where each is in the image, and on this machine.
    pub(crate) files: Vec<(&'static str, PathBuf)>,
    /// Room that the files take, in MB.
    pub(crate) megabytes: u64,
}

impl Recipe {
    /// The image's name in the engine.
    fn name(&self, tools: &ToolsImage) -> String {
        let mut lines = vec![tools.name.clone(), self.dockerfile.to_owned()];
        lines.extend(self.files.iter().map(|(path, _)| (*path).to_owned()));
        lines.extend(self.inputs.iter().cloned());
        format!("{}:v{}-{}", self.repository, self.version, fingerprint(&lines))
    }

    /// The name of the image, which the engine has or which is made now.
    ///
    /// # Errors
    /// When there is too little room, a file cannot be read, or the engine fails.
    pub(crate) async fn obtain(
        self,
        engine: &Engine,
        options: &Options,
        tools: &ToolsImage,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<String, NodeImageError> {
        let name = self.name(tools);
        if engine.has_image(&name).await? {
            return Ok(name);
        }
        let steps = Steps { image: self.title, start: Instant::now(), report };
        let lock = Arc::new(lock(options, &steps).await?);
        // Another process may have made it while this one waited.
        if engine.has_image(&name).await? {
            return Ok(name);
        }
        let work = Work::new(&options.cache)?;
        remove_remains(engine).await?;
        // The engine has it twice: what it is built from, and the image.
        check_room(engine, options, self.title, self.megabytes, 2 * self.megabytes).await?;
        steps.say("building it");
        let written = lock.during(move || self.write(work.path()).map(|()| work)).await?;
        build(engine, &name, &tools.name, written.path()).await?;
        steps.say("ready");
        Ok(name)
    }

    fn write(&self, directory: &Path) -> Result<(), NodeImageError> {
        let dockerfile = directory.join("Dockerfile");
        fs::write(&dockerfile, self.dockerfile).map_err(NodeImageError::file("write", &dockerfile))?;
        let root = Root(directory.join("root"));
        self.files.iter().try_for_each(|(path, source)| root.copy(path, source))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            title: "a",
            repository: "credence/a",
            version: "1.2",
            inputs: vec!["b".to_owned()],
            dockerfile: "ARG BASE\nFROM $BASE\n",
            files: vec![("usr/local/bin/c", PathBuf::from("/bin/true"))],
            megabytes: 1,
        }
    }

    #[test]
    fn each_input_changes_the_name() {
        let tools = |name: &str| ToolsImage { name: name.to_owned() };
        let name = |recipe: &Recipe| recipe.name(&tools("credence/tools:x"));
        let known = name(&recipe());
        assert!(known.starts_with("credence/a:v1.2-"), "{known}");
        assert_eq!(known, name(&recipe()));
        let others = [
            recipe().name(&tools("credence/tools:y")),
            name(&Recipe { inputs: vec!["d".to_owned()], ..recipe() }),
            name(&Recipe { dockerfile: "FROM $BASE\n", ..recipe() }),
            name(&Recipe { files: Vec::new(), ..recipe() }),
        ];
        assert!(others.iter().all(|other| *other != known), "{others:?}");
    }

    #[test]
    fn files_can_be_run_and_are_below_the_root() {
        let directory = tempfile::tempdir().unwrap();
        recipe().write(directory.path()).unwrap();
        let mode = directory.path().join("root/usr/local/bin/c").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        assert!(directory.path().join("Dockerfile").is_file());
    }
}
