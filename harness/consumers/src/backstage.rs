//! Backstage as a consumer of distributed credentials: a real backend, installed from a pinned lock file.
//!
//! ```text
//!  fixtures/consumers/backstage ──▶ obtain ──▶ Installation ──▶ image ──▶ a pod ──▶ Client
//!  package-lock.json, index.js      npm        in the cache     files               sign-in, catalog
//! ```
//!
//! Installed like this, Backstage does not know which values of its configuration are secret, as it says itself when it
//! starts, so it masks none in its log. No line of that log may be shown.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use credence_core::file_error::FileError;
use credence_programs::supply::ComponentError;
use sha2::{Digest, Sha256};

mod answer;
mod client;
mod frame;
mod image;
mod install;
pub mod login;
mod prune;
mod settings;
mod tools;

pub use answer::{AuthError, SignedIn};
pub use client::{Client, ClientError};
pub use image::{COMMAND, ImageFile};
pub(crate) use image::{ENVIRONMENT, WORKING_DIRECTORY};
pub use install::{obtain, unsupported};
pub use reqwest::Url;
pub use settings::Settings;
pub use tools::{Commands, Unsupported};

/// The fixture, carried inside the program so that it works outside a checkout.
const FIXTURE: [(&str, &str); 4] = [
    ("package.json", include_str!("../../../fixtures/consumers/backstage/package.json")),
    ("package-lock.json", include_str!("../../../fixtures/consumers/backstage/package-lock.json")),
    ("index.js", include_str!("../../../fixtures/consumers/backstage/index.js")),
    ("app-config.yaml", include_str!("../../../fixtures/consumers/backstage/app-config.yaml")),
];

/// Backstage could not be obtained.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum BackstageError {
    #[error("failed to obtain Backstage")]
    Unsupported(#[from] Unsupported),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] ComponentError),
    /// A command could not be run.
    #[error("failed to run {command}")]
    Run {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("failed to {act}, {status}:\n{tail}")]
    Failed {
        act: &'static str,
        status: ExitStatus,
        /// The end of what it said.
        tail: String,
    },
    /// A program needs a shared library that is not there.
    #[error("failed to find the shared library {library} that {program} needs")]
    Library {
        /// The program or library that needs it.
        program: PathBuf,
        library: String,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Backstage with all its packages, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    directory: PathBuf,
    node: PathBuf,
}

impl Installation {
    /// The directory with `index.js`, `app-config.yaml` and `node_modules`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The Node.js executable that the native package was built for.
    pub fn node(&self) -> &Path {
        &self.node
    }
}

/// Version of Backstage's backend, as `package.json` pins it.
///
/// # Panics
/// When the embedded `package.json` pins none, which a test excludes.
pub fn version() -> String {
    let [(_, package), ..] = FIXTURE;
    let package: serde_json::Value = serde_json::from_str(package).expect("the embedded package.json is JSON");
    let version = package["dependencies"]["@backstage/backend-defaults"].as_str();
    version.expect("the embedded package.json pins the backend").to_owned()
}

/// Names what is installed: the first 8 hexadecimal digits of the SHA-256 of the fixture and of what is left out of it.
fn digest() -> String {
    let mut hasher = Sha256::new();
    for (name, text) in FIXTURE {
        hasher.update(name);
        hasher.update(text);
    }
    for rule in prune::rules() {
        hasher.update(rule);
    }
    hasher.finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn lock() -> Value {
        serde_json::from_str(FIXTURE[1].1).unwrap()
    }

    #[test]
    fn every_dependency_is_pinned_to_the_version_that_the_lock_file_has() {
        let package: Value = serde_json::from_str(FIXTURE[0].1).unwrap();
        let lock = lock();
        for (name, version) in package["dependencies"].as_object().unwrap() {
            assert_eq!(version, &lock["packages"][format!("node_modules/{name}")]["version"], "{name}");
        }
        assert_eq!(version(), package["dependencies"]["@backstage/backend-defaults"].as_str().unwrap());
    }

    #[test]
    fn the_lock_file_names_no_registry_and_has_a_digest_for_every_package() {
        for (path, package) in lock()["packages"].as_object().unwrap() {
            assert_eq!(package.get("resolved"), None, "{path}");
            assert_eq!(package["integrity"].is_string(), !path.is_empty(), "{path}");
        }
    }

    #[test]
    fn every_variable_of_the_configuration_is_documented() {
        let readme = include_str!("../../../fixtures/consumers/backstage/README.md");
        let configuration = FIXTURE[3].1;
        let names = configuration.split("${").skip(1).filter_map(|rest| rest.split('}').next());
        for name in names {
            assert!(readme.contains(&format!("`{name}`")), "{name}");
        }
    }
}
