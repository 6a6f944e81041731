//! Inventory for a cluster of kind. None of it is needed for anything else, so what is missing is no fault of the
//! machine.

use std::path::Path;

use credence_cluster::kind::room;
use credence_core::text::chain;
use credence_programs::dirs;
use credence_programs::engine::Engine;
use credence_programs::node_image::{self, How, ImageInventory, NodeImage};
use credence_programs::supply::Options;

/// A line of the doctor's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) subject: String,
    pub(super) state: &'static str,
    /// Its place, or what is missing and the next step.
    pub(super) detail: String,
}

impl Line {
    fn new(subject: &str, state: &'static str, detail: impl Into<String>) -> Self {
        Self { subject: format!("kind: {subject}"), state, detail: detail.into() }
    }

    /// A line on something that keeps `--cluster kind` from running.
    fn skipped(subject: &str, why: &dyn std::error::Error) -> Self {
        Self::new(subject, "SKIPPED", chain(why))
    }
}

/// Looks at the engine, and at what it has for nodes.
pub(super) async fn examine(engine: Option<&Path>, options: &Options) -> Vec<Line> {
    let engine = match Engine::find(engine).await {
        Ok(engine) => engine,
        Err(error) => return vec![Line::skipped("container engine", &error)],
    };
    let name = format!("{} {}", engine.name(), engine.version());
    let mut lines = vec![match engine.apart().await {
        Ok(None) => Line::new(&name, "present", engine.path().display().to_string()),
        Ok(Some(how)) => {
            let next = "use an engine of this machine that runs as root, or --cluster embedded";
            Line::new(&name, "SKIPPED", format!("it is {how}, out of this machine's reach; {next}"))
        }
        Err(error) => Line::skipped(&name, &error),
    }];
    lines.push(match node_image::inventory(&engine, options).await {
        Ok(inventory) => image(inventory),
        Err(error) => Line::skipped("node image", &error),
    });
    if let Ok(state) = dirs::state() {
        lines.push(match room::check(&engine, &state).await {
            Ok(figures) => Line::new("room for a cluster", "present", figures),
            Err(error) => Line::skipped("room for a cluster", &error),
        });
    }
    // An engine that cannot list its images has said so above.
    let stale = node_image::stale(&engine, options).await.unwrap_or_default();
    if !stale.is_empty() {
        let detail = format!("{}; `credence node-image --prune` removes them", stale.join(", "));
        lines.push(Line::new("older images", "unused", detail));
    }
    lines
}

/// The line of the node's image.
fn image(inventory: ImageInventory) -> Line {
    let subject = "node image";
    match inventory {
        ImageInventory::There(NodeImage { name, how: How::Pulled }) => {
            Line::new(subject, "present", format!("{name}, the official one"))
        }
        ImageInventory::There(NodeImage { name, .. }) => Line::new(subject, "present", name),
        ImageInventory::Possible => {
            let detail =
                "pulled, or made in some minutes, by the first run with --cluster kind or `credence node-image`";
            Line::new(subject, "obtainable", detail)
        }
        ImageInventory::Lacking(lack) => {
            Line::new(subject, "MISSING", format!("unless the official one can be pulled: {}", chain(&lack)))
        }
    }
}

#[cfg(test)]
mod tests {
    use credence_programs::node_image::NodeImageError;

    use super::*;

    #[tokio::test]
    async fn without_an_engine_there_is_one_line_that_says_the_next_step() {
        let options = Options::new("/nowhere".into());
        let lines = examine(Some(Path::new("/nowhere/docker")), &options).await;
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].state, lines[0].subject.as_str()), ("SKIPPED", "kind: container engine"));
        assert!(lines[0].detail.contains("name the command of Docker or Podman"), "{}", lines[0].detail);
    }

    #[test]
    fn an_image_that_cannot_be_made_says_what_is_missing() {
        let line = image(ImageInventory::Lacking(NodeImageError::NotRoot));
        assert!(line.state == "MISSING" && line.detail.contains("as root"), "{line:?}");
        assert_eq!(image(ImageInventory::Possible).state, "obtainable");
    }
}
