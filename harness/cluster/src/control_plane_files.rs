//! The part of a configuration that is no object of the API: files that kube-apiserver is started with.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credence_core::file_error::FileError;

/// The files of the reference configuration: the same that the kind cluster mounts.
const AUDIT_POLICY: &str = include_str!("../../../fixtures/central-secret-store/control-plane/audit-policy.yaml");
const ENCRYPTION: &str = include_str!("../../../fixtures/central-secret-store/control-plane/encryption-config.yaml");

/// Bytes of an encryption key: what `secretbox` and the strongest `aescbc` and `aesgcm` take (documentation, "Encrypting
/// Confidential Data at Rest").
pub(super) const KEY_LENGTH: usize = 32;

/// Audit policy and encryption at rest of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlaneFiles {
    /// Text of the audit policy (`--audit-policy-file`); without one nothing is logged.
    pub audit_policy: Option<String>,
    /// Text of the encryption configuration (`--encryption-provider-config`); without one nothing is encrypted. Each
    /// placeholder `${NAME}` stands for a key that is generated for the cluster.
    pub encryption: Option<String>,
}

impl ControlPlaneFiles {
    /// File name of the audit policy.
    pub const AUDIT_POLICY: &str = "audit-policy.yaml";
    /// File name of the encryption configuration.
    pub const ENCRYPTION: &str = "encryption-config.yaml";

    /// The files of the reference configuration.
    pub fn reference() -> Self {
        Self { audit_policy: Some(AUDIT_POLICY.to_owned()), encryption: Some(ENCRYPTION.to_owned()) }
    }

    /// The files in `directory`, each of which may be absent.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be read.
    pub fn read(directory: &Path) -> Result<Self, FileError> {
        fs::read_dir(directory).map_err(FileError::of::<FileError>("read", directory))?;
        let text = |name: &str| {
            let path = directory.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(FileError::new("read", path, error)),
            }
        };
        Ok(Self { audit_policy: text(Self::AUDIT_POLICY)?, encryption: text(Self::ENCRYPTION)? })
    }

    /// Digest by which two clusters are told apart that were started with different files.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for text in [&self.audit_policy, &self.encryption] {
            // The length keeps an absent file apart from an empty one, and one file from the other.
            hasher.update(format!("{:?}", text.as_ref().map(String::len)).as_bytes());
            hasher.update(text.as_deref().unwrap_or_default().as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Puts a new random key in the place of each placeholder; the same name stands for the same key.
pub(crate) fn with_keys(text: &str) -> io::Result<String> {
    let mut keys = BTreeMap::new();
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else { break };
        filled.push_str(before);
        if !keys.contains_key(name) {
            keys.insert(name, random_key()?);
        }
        filled.push_str(&keys[name]);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A new encryption key, base64.
pub(super) fn random_key() -> io::Result<String> {
    let mut key = [0; KEY_LENGTH];
    // getrandom(2) gives up to 256 bytes whole, see its manual page.
    rustix::rand::getrandom(&mut key[..], rustix::rand::GetRandomFlags::empty())?;
    Ok(STANDARD.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_placeholder_becomes_a_key_and_one_name_stands_for_one_key() {
        let filled = with_keys("a: ${ONE}\nb: ${TWO}\nc: ${ONE}\nd: $plain\n").unwrap();
        let values: Vec<&str> = filled.lines().map(|line| &line[3..]).collect();
        assert_eq!(STANDARD.decode(values[0]).unwrap().len(), KEY_LENGTH);
        assert_eq!(values[0], values[2]);
        assert_ne!(values[0], values[1]);
        assert_eq!(values[3], "$plain");
    }

    #[test]
    fn a_file_that_is_absent_is_no_file_and_a_directory_that_is_absent_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(ControlPlaneFiles::AUDIT_POLICY), "policy").unwrap();
        let files = ControlPlaneFiles::read(directory.path()).unwrap();
        assert_eq!(files, ControlPlaneFiles { audit_policy: Some("policy".into()), encryption: None });
        assert!(ControlPlaneFiles::read(&directory.path().join("nowhere")).is_err());
    }

    #[test]
    fn clusters_with_different_files_have_different_digests() {
        let file = |text: &str| Some(text.to_owned());
        let all = [(file("a"), None), (None, file("a")), (file("a"), file("")), (file(""), file("a")), (None, None)];
        let digests: std::collections::BTreeSet<String> = all
            .into_iter()
            .map(|(audit_policy, encryption)| ControlPlaneFiles { audit_policy, encryption }.digest())
            .collect();
        assert_eq!(digests.len(), 5);
    }
}
