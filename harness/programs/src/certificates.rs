//! The certificates of one run: its authority, and what it signs.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use credence_core::credential::Credential;
use credence_core::file_error::FileError;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum CertificateError {
    #[error("failed to make the certificate of {subject}")]
    Make {
        subject: String,
        #[source]
        source: rcgen::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An authority that signs certificates for one run, and is trusted by nobody else.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A signed certificate with its private key, both PEM.
pub struct Identity {
    /// Certificate, signed by the authority.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// When the key or the certificate cannot be made.
    pub fn new(name: &str) -> Result<Self, CertificateError> {
        let failed = |source| CertificateError::Make { subject: name.to_owned(), source };
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.distinguished_name = subject(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(failed)?;
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, key).map_err(failed)? })
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Its private key, PKCS #8 PEM, for a control plane that signs with it by itself.
    pub fn key(&self) -> Credential {
        Credential::new(self.issuer.key().serialize_pem())
    }

    /// A certificate for a server that answers at `names` (host names or IP addresses); it also serves as a client
    /// certificate, because etcd's gateway calls itself with it.
    ///
    /// # Errors
    /// When a name is not valid or signing fails.
    pub fn server(&self, common_name: &str, names: &[&str]) -> Result<Identity, CertificateError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(common_name, None, names, usages, None)
    }

    /// Same as [`server`](Self::server), but valid only for a day that is long past.
    ///
    /// # Errors
    /// When a name is not valid or signing fails.
    pub fn expired_server(&self, common_name: &str, names: &[&str]) -> Result<Identity, CertificateError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let day = Some([(2001, 1, 1), (2001, 1, 2)]);
        self.sign(common_name, None, names, vec![ExtendedKeyUsagePurpose::ServerAuth], day)
    }

    /// A client certificate. Kubernetes reads the user from the common name and one group from the organisation
    /// (documentation, "X.509 client certificates").
    ///
    /// # Errors
    /// When signing fails.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Identity, CertificateError> {
        self.sign(user, group, Vec::new(), vec![ExtendedKeyUsagePurpose::ClientAuth], None)
    }

    fn sign(
        &self,
        common_name: &str,
        organisation: Option<&str>,
        names: Vec<String>,
        usages: Vec<ExtendedKeyUsagePurpose>,
        days: Option<[(i32, u8, u8); 2]>,
    ) -> Result<Identity, CertificateError> {
        let failed = |source| CertificateError::Make { subject: common_name.to_owned(), source };
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name = subject(common_name, organisation);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        if let Some([from, until]) = days.map(|days| days.map(|(year, month, day)| date_time_ymd(year, month, day))) {
            (params.not_before, params.not_after) = (from, until);
        }
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Identity {
    /// Writes `DIRECTORY/NAME.crt` and `DIRECTORY/NAME.key` (readable by the owner alone) and gives both paths.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> Result<(PathBuf, PathBuf), CertificateError> {
        let certificate = directory.join(format!("{name}.crt"));
        let key = directory.join(format!("{name}.key"));
        write_private(&certificate, self.certificate.as_bytes())?;
        write_private(&key, self.key.as_bytes())?;
        Ok((certificate, key))
    }
}

/// A new key for signing ServiceAccount tokens, PKCS #8 PEM, and its public half, which is what the API server verifies
/// with: it does not read that half out of PKCS #8.
///
/// # Errors
/// When the key cannot be generated.
pub fn signing_key() -> Result<(String, String), CertificateError> {
    let failed = |source| CertificateError::Make { subject: "service account signing key".to_owned(), source };
    let key = KeyPair::generate().map_err(failed)?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// When the file cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CertificateError> {
    fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, bytes))
        .map_err(FileError::of("write", path))
}

fn subject(common_name: &str, organisation: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation);
    }
    name
}
