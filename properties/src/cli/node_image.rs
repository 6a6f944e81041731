//! `credence node-image`.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use credence_core::text::chain;
use credence_programs::engine::Engine;
use credence_programs::node_image::{self, How, tools};
use credence_programs::supply::{Options, Progress as _};
use credence_report::verdict::ExitCode;

use super::signals::signal;
use crate::console::Console;

/// The end of `--help`, after the options.
pub(super) const NOTES: &str = "\
The first build needs root and debootstrap, for Debian's packages; later ones only need access to the engine.
A second image, with git and Redis, is built for the containers that a run starts beside the node.
/kind/README-credence.txt in the image lists its contents and the differences from kindest/node.

Example:
  kind create cluster --image \"$(credence node-image)\" --config my-kind-config.yaml

with networking.disableDefaultCNI: true in the configuration, since the image brings its own network.";

/// Makes or finds the image, and prints its name. Beside it the one for containers that runs put next to the node.
pub(super) async fn node_image(engine: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let console = Console::stderr();
    let engine = Engine::find(engine).await?;
    let report = |line: &str| console.note(line);
    let obtained = async {
        let image = node_image::obtain(&engine, options, &console, &report).await?;
        anyhow::Ok((image, tools::obtain(&engine, options, &report).await))
    };
    let (image, tools) = tokio::select! {
        obtained = obtained => obtained?,
        () = signal() => bail!("interrupted"),
    };
    match image.how {
        How::Found => console.note(&format!("{} {} has it already", engine.name(), engine.version())),
        How::Pulled => console.note(&format!("{} {} has the official one", engine.name(), engine.version())),
        How::Made => console.note(&format!("made with {} {}", engine.name(), engine.version())),
    }
    match tools {
        Ok(tools) => console.note(&format!("for containers beside the node: {}", tools.name)),
        Err(error) => console.note(&format!("no image for containers beside the node: {}", chain(&error))),
    }
    let stale = node_image::stale(&engine, options).await?;
    if !stale.is_empty() {
        console.note(&format!("`credence node-image --prune` removes older images: {}", stale.join(", ")));
    }
    writeln!(std::io::stdout(), "{}", image.name)?;
    Ok(ExitCode::Held)
}

/// Removes the images that were made of other inputs than those of today, and prints their names.
pub(super) async fn prune(engine: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let engine = Engine::find(engine).await?;
    let mut kept = Vec::new();
    for name in node_image::stale(&engine, options).await? {
        match node_image::remove(&engine, &name).await {
            Ok(()) => writeln!(std::io::stdout(), "{name}")?,
            Err(error) => kept.push(error.to_string()),
        }
    }
    if !kept.is_empty() {
        bail!("{}", kept.join("\n"));
    }
    Ok(ExitCode::Held)
}
