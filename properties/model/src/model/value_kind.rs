//! The shape that a value of a source must have, so that the API server takes the source and its copies.

use super::Model;
use crate::config::SourceRef;

/// The key of the Docker configuration in a Secret of type `kubernetes.io/dockerconfigjson`.
const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";

/// The shape of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// A Docker configuration: a JSON document with logins, which the API server parses.
    ///
    /// Source: Kubernetes, `ValidateSecret` (pkg/apis/core/validation/validation.go).
    DockerConfig,
}

impl Model {
    /// The shape of the value of `key` in `source`: told by the key itself, and by the copies that take the value over as
    /// it is, under whatever key.
    pub fn value_kind(&self, source: &SourceRef, key: &str) -> ValueKind {
        let origin = (source.clone(), key.to_owned());
        let copied = || self.targets.iter().any(|target| target.verbatim.get(DOCKER_CONFIG_KEY) == Some(&origin));
        if key == DOCKER_CONFIG_KEY || copied() { ValueKind::DockerConfig } else { ValueKind::Text }
    }
}
