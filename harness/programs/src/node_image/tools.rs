//! The image of what runs in containers beside the node: Debian with the commands that Gitea and Argo CD call.

use std::time::Instant;

use super::debian::{self, TOOLS, Tools};
use super::{NodeImageError, Steps, Work, check_room, lock, remove_orphans};
use crate::engine::Engine;
use crate::supply::Options;

/// An image that the engine has: Debian with git, Redis and the certificates of public authorities, and no entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolsImage {
    /// Its name in the engine, as in `credence/tools:bookworm-0123456789ab`.
    pub name: String,
}

/// Gives the image, which the engine has or which is made now. That takes about two minutes.
///
/// `report` gets a line for each step, and one every 10 seconds at most in between. When this future is dropped, what
/// runs is killed, and the next call starts over.
///
/// # Errors
/// When the user is not root, the machine lacks something or has too little room, or the engine fails. What would run in
/// a container can run as a process then.
pub async fn obtain(
    engine: &Engine,
    options: &Options,
    report: &(dyn Fn(&str) + Sync),
) -> Result<ToolsImage, NodeImageError> {
    let image = ToolsImage { name: TOOLS.name() };
    if engine.has_image(&image.name).await? {
        return Ok(image);
    }
    let tools = Tools::find()?;
    let steps = Steps { image: "tools image", start: Instant::now(), report };
    let _lock = lock(options, &steps).await?;
    // Another process may have made it while this one waited.
    if engine.has_image(&image.name).await? {
        return Ok(image);
    }
    let work = Work::new(&options.cache)?;
    remove_orphans(engine).await?;
    check_room(engine, options, "the tools image", TOOLS.work_megabytes, TOOLS.engine_megabytes).await?;
    debian::make(engine, &TOOLS, &tools, work.path(), &steps).await?;
    steps.say("ready");
    Ok(image)
}
