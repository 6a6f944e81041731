//! Containers of a run, as the engine knows them.

use std::str::FromStr;
use std::time::Duration;

use credence_watch::wait;

use crate::engine::{Engine, EngineError};

/// Pause when the engine has trouble.
const PAUSE: Duration = Duration::from_millis(100);

/// One thing that the engine knows of a container, by a template of its `inspect`.
pub async fn inspect<T: FromStr>(
    engine: &Engine,
    container: &str,
    what: &'static str,
    template: &str,
) -> Result<T, EngineError> {
    let answer = engine.output("look at the node", &["inspect", "--format", template, container]).await?;
    let answer = String::from_utf8_lossy(&answer).trim().to_owned();
    answer.parse().map_err(|_| EngineError::Answer { what, answer })
}

/// Resolves when a container ends, with what the engine says of its end.
pub async fn ended(engine: &Engine, container: &str) -> String {
    loop {
        let status = match engine.output("wait for a container", &["wait", container]).await {
            Ok(status) => format!("status {}", String::from_utf8_lossy(&status).trim()),
            Err(error) => error.to_string(),
        };
        let state = ["inspect", "--format", "{{.State.Running}}", container];
        match engine.output("look at a container", &state).await {
            // It was the engine that had trouble.
            Ok(running) if running.trim_ascii() == b"true" => wait::pass(PAUSE).await,
            _ => return status,
        }
    }
}
