//! The official image of kind's nodes, by the digest that the repository's configuration for kind has.

use std::time::Duration;

use serde_json::Value;

use super::NodeImageError;
use crate::kind::CONFIG;
use crate::kind::engine::{Engine, EngineError};

/// How long a pull may take: the image has about 400 MB.
const PULLED: Duration = Duration::from_secs(600);

/// Its name, with tag and digest.
pub(super) fn name() -> Result<String, NodeImageError> {
    let changed = || NodeImageError::Changed { what: "kind-config.yaml names no image".to_owned() };
    let config: Value = serde_yaml::from_str(CONFIG).map_err(|_| changed())?;
    let name = config.pointer("/nodes/0/image").and_then(Value::as_str);
    name.map(str::to_owned).ok_or_else(changed)
}

/// Whether the engine has it under its digest.
pub(super) async fn is_there(engine: &Engine, name: &str) -> bool {
    // An image that is not there is an error of the command as any other.
    engine.output("look for the official image", &["image", "inspect", "--format", "{{.Id}}", name]).await.is_ok()
}

/// Pulls it. Says why where that cannot be done, which is no failure: the image can also be made.
pub(super) async fn pull(engine: &Engine, name: &str) -> Result<(), String> {
    match engine.output_within(PULLED, "pull the official image", &["pull", "--quiet", name]).await {
        Ok(_) => Ok(()),
        Err(EngineError::Command { tail, .. }) => Err(tail.lines().last().unwrap_or_default().to_owned()),
        Err(EngineError::Hangs { seconds, .. }) => Err(format!("it takes more than {seconds} s")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_official_image_is_named_by_its_digest() {
        let name = super::name().unwrap();
        assert!(name.starts_with("kindest/node:v1.36.") && name.contains("@sha256:"), "{name}");
    }
}
