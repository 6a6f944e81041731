//! Files of the controller, in place of its pod's own file system.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_programs::process::Program;

use super::FluxError;
use crate::forge::Network;

/// A directory that belongs to one controller.
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// Prepares `directory`, which may exist.
    pub(super) fn write(directory: &Path, network: &Network) -> Result<Self, FluxError> {
        let files = Self { directory: directory.to_owned() };
        for name in ["artifacts", "empty", "home", "temporary"] {
            let path = files.path(name);
            let mut private = fs::DirBuilder::new();
            private.recursive(true).mode(0o700).create(&path).map_err(FileError::of::<FluxError>("create", &path))?;
        }
        let authorities = files.path("authorities.pem");
        fs::write(&authorities, &network.authorities).map_err(FileError::of::<FluxError>("write", &authorities))?;
        Ok(files)
    }

    /// Path of the controller's kubeconfig.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// Start of the controller.
    pub(super) fn controller(&self, program: &Path, network: &Network) -> Program {
        let arguments = [
            "--watch-all-namespaces",
            // Nobody asks for metrics or health.
            "--metrics-addr=0",
            "--health-addr=0",
            // Nor for artifacts: the kernel chooses the port that they would be served at.
            "--storage-addr=127.0.0.1:0",
            "--storage-adv-addr=127.0.0.1",
            "--concurrent=10",
            // The second look at a new source comes after this time, see the head of `flux.rs`.
            "--min-retry-delay=50ms",
        ];
        let mut storage = OsString::from("--storage-path=");
        storage.push(self.path("artifacts"));
        let environment: [(&str, OsString); 6] = [
            ("KUBECONFIG", self.kubeconfig().into()),
            ("HOME", self.path("home").into()),
            ("TMPDIR", self.path("temporary").into()),
            ("SSL_CERT_FILE", self.path("authorities.pem").into()),
            ("SSL_CERT_DIR", self.path("empty").into()),
            ("HTTPS_PROXY", network.https_proxy.clone().into()),
        ];
        Program {
            name: "source-controller".to_owned(),
            executable: program.to_owned(),
            arguments: arguments.into_iter().map(OsString::from).chain([storage]).collect(),
            environment: environment.map(|(key, value)| (key.to_owned(), value)).into(),
            log: self.path("source-controller.log"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}
