//! The official image of kind's nodes, by the digest that the repository's configuration for kind has.

use credence_core::text::Reason;
use serde_json::Value;

use super::{CONFIG, NodeImageError};
use crate::engine::{Engine, EngineError};

/// Its name, with tag and digest.
pub(super) fn name() -> Result<String, NodeImageError> {
    let changed = || NodeImageError::Changed { what: "kind-config.yaml names no image".to_owned() };
    let config: Value = serde_yaml::from_str(CONFIG).map_err(|_| changed())?;
    let name = config.pointer("/nodes/0/image").and_then(Value::as_str);
    name.map(str::to_owned).ok_or_else(changed)
}

/// Pulls it. Says why where that cannot be done, which is no failure: the image can also be made.
pub(super) async fn pull(engine: &Engine, name: &str) -> Result<(), Reason> {
    match engine.pull("pull the official image", name).await {
        Ok(()) => Ok(()),
        Err(EngineError::Command { tail, .. }) => Err(tail.lines().last().unwrap_or_default().into()),
        Err(EngineError::Hangs { seconds, .. }) => Err(format!("it takes more than {seconds} s").into()),
        Err(error) => Err(Reason::of(error)),
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
