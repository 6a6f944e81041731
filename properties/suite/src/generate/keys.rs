//! Private keys and certificates, which depend on nothing but what is drawn: Ed25519 needs no chance but the key itself.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use credence_core::credential::Credential;
use credence_model::model::{Alphabet, Password, ValueKind};
use credence_model::values::Values;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use zeroize::Zeroizing;

use super::pkcs12;

/// Bytes of an Ed25519 key, and of its public half.
const KEY: usize = 32;

/// A private key, and certificates of it.
#[derive(Clone)]
pub(super) struct Identity {
    /// The certificate and that of the authority that signed it, in PEM.
    pub(super) certificates: Credential,
    /// The private key, in PEM.
    pub(super) private_key: Credential,
    /// The key and its certificates in a PKCS#12 file without a password.
    pub(super) pkcs12: Credential,
    /// The certificates and the private key in DER, of which files with a password are made.
    ders: ([Vec<u8>; 2], Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("private_key", &self.private_key).finish_non_exhaustive()
    }
}

impl Identity {
    /// Key and certificate in one text, the key first.
    pub(super) fn bundle(&self) -> Credential {
        Credential::new([self.private_key.expose(), self.certificates.expose()].concat())
    }

    /// The part of it that is of this kind; a file's password is in the template that reads it, or among the `values` beside it.
    pub(super) fn half(&self, kind: &ValueKind, values: &Values) -> Credential {
        match kind {
            ValueKind::Certificates => self.certificates.clone(),
            ValueKind::PrivateKey => self.private_key.clone(),
            ValueKind::Pkcs12(Some(Password::Text(password))) => self.locked(password),
            ValueKind::Pkcs12(Some(Password::Key(key))) => {
                values.get(key).map_or_else(|| self.pkcs12.clone(), |password| self.locked(password))
            }
            ValueKind::Pkcs12(_) => self.pkcs12.clone(),
            ValueKind::Base64(alphabet, of) => in_base64(*alphabet, &self.half(of, values)),
            _ => self.bundle(),
        }
    }

    /// The key and its certificates in a PKCS#12 file with a password.
    fn locked(&self, password: &Credential) -> Credential {
        let (certificates, private_key) = &self.ders;
        Credential::new(pkcs12::locked(&certificates.each_ref().map(Vec::as_slice), private_key, password))
    }

    fn new(own: [u8; KEY], authority: [u8; KEY]) -> Self {
        let (own_key, authority_key) = (key_pair(&own), key_pair(&authority));
        let [own_certificate, authority_certificate] = certificates(&own_key, authority_key);
        let ders = [own_certificate.der().as_ref(), authority_certificate.der().as_ref()];
        let written = ders.map(|certificate| pem("CERTIFICATE", certificate));
        let private_key = pkcs8(&own, own_key.der_bytes());
        Self {
            certificates: Credential::new([written[0].expose(), written[1].expose()].concat()),
            pkcs12: Credential::new(pkcs12::file(&ders, &private_key)),
            ders: (ders.map(<[u8]>::to_vec), Zeroizing::new(private_key.clone())),
            private_key: pem("PRIVATE KEY", &private_key),
        }
    }
}

pub(super) fn in_base64(alphabet: Alphabet, value: &Credential) -> Credential {
    let engine = match alphabet {
        Alphabet::Standard => STANDARD,
        Alphabet::UrlSafe => URL_SAFE,
    };
    Credential::new(engine.encode(value.expose()))
}

pub(super) fn identity() -> BoxedStrategy<Identity> {
    (any::<[u8; KEY]>(), any::<[u8; KEY]>()).prop_map(|(own, authority)| Identity::new(own, authority)).boxed()
}

/// A private key as `ssh-keygen -t ed25519 -N ''` writes it.
pub(super) fn ssh_private_key() -> BoxedStrategy<Credential> {
    (any::<[u8; KEY]>(), any::<u32>(), "[a-z]{1,8}@[a-z]{1,8}")
        .prop_map(|(seed, check, comment)| pem("OPENSSH PRIVATE KEY", &openssh(&seed, check, &comment)))
        .boxed()
}

fn key_pair(seed: &[u8; KEY]) -> KeyPair {
    // Every 32 bytes are a key of Ed25519 (RFC 8032, 5.1.5).
    KeyPair::try_from(pkcs8(seed, &[]).as_slice()).expect("32 bytes are a key")
}

/// The certificate of a key, and that of the authority which signs it. Each says whose key signed it, by which ESO puts a chain
/// in order (pkg/template/v2/pem_chain.go).
fn certificates(key: &KeyPair, authority: KeyPair) -> [Certificate; 2] {
    let named = |name: &str, is_ca| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = is_ca;
        params.use_authority_key_identifier_extension = true;
        params
    };
    let parameters = named("authority.example.org", IsCa::Ca(BasicConstraints::Unconstrained));
    // Nothing of them is in doubt: names are ASCII, and the keys are there.
    let root = parameters.self_signed(&authority).expect("an authority signs its own certificate");
    let issuer = Issuer::new(parameters, authority);
    let own = named("service.example.org", IsCa::ExplicitNoCa);
    [own.signed_by(key, &issuer).expect("an authority signs a certificate"), root]
}

/// A key of Ed25519 in PKCS#8, with its public half if that is given (RFC 8410, 7).
fn pkcs8(seed: &[u8; KEY], public: &[u8]) -> Vec<u8> {
    let with_public = !public.is_empty();
    let mut key = vec![0x30, if with_public { 0x51 } else { 0x2e }, 0x02, 0x01, u8::from(with_public)];
    key.extend([0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]);
    key.extend(seed);
    if with_public {
        key.extend([0x81, 0x21, 0x00]);
        key.extend(public);
    }
    key
}

/// A key of Ed25519 as OpenSSH keeps it, without a passphrase.
///
/// Source: OpenSSH, PROTOCOL.key.
fn openssh(seed: &[u8; KEY], check: u32, comment: &str) -> Vec<u8> {
    let pair = key_pair(seed);
    let public = [text(b"ssh-ed25519"), text(pair.der_bytes())].concat();
    let check = check.to_be_bytes();
    let own = text(&[seed.as_slice(), pair.der_bytes()].concat());
    let mut private = [&check, &check, public.as_slice(), &own, &text(comment.as_bytes())].concat();
    let missing = private.len().next_multiple_of(8) - private.len();
    private.extend((1..).take(missing));
    let one_key = 1_u32.to_be_bytes();
    let header = [b"openssh-key-v1\0".as_slice(), &text(b"none"), &text(b"none"), &text(b""), &one_key].concat();
    [header, text(&public), text(&private)].concat()
}

/// Bytes with their length before them.
fn text(bytes: &[u8]) -> Vec<u8> {
    // What is written here is a few hundred bytes.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn pem(label: &str, der: &[u8]) -> Credential {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text += line;
        text.push('\n');
        rest = after;
    }
    Credential::new(text + &format!("-----END {label}-----\n"))
}

#[cfg(test)]
mod tests {
    use credence_core::leak_scan::is_searchable;
    use proptest::strategy::ValueTree;

    use super::super::runner;
    use super::*;

    fn sample<T: std::fmt::Debug>(strategy: BoxedStrategy<T>, index: u32) -> T {
        strategy.new_tree(&mut runner(7, "keys", index)).unwrap().current()
    }

    #[test]
    fn keys_and_certificates_depend_on_the_seed_alone() {
        let [one, same, other] = [3, 3, 4].map(|index| sample(identity(), index));
        assert_eq!((&one.certificates, &one.private_key), (&same.certificates, &same.private_key));
        assert_eq!(one.pkcs12, same.pkcs12);
        assert_ne!(one.private_key, other.private_key);
        assert_eq!(sample(ssh_private_key(), 3), sample(ssh_private_key(), 3));
    }

    #[test]
    fn a_file_with_a_password_has_that_which_is_beside_it() {
        let identity = sample(identity(), 1);
        let locked = |password: &str, kind: &ValueKind| {
            identity.half(kind, &Values::from([("password".to_owned(), Credential::new(password))]))
        };
        let by_key = ValueKind::Pkcs12(Some(Password::Key("password".to_owned())));
        let by_text = ValueKind::Pkcs12(Some(Password::Text(Credential::new("one"))));
        assert_ne!(locked("one", &by_key), locked("other", &by_key));
        assert_eq!(locked("one", &by_key), locked("other", &by_text));
        let encoded = ValueKind::Base64(Alphabet::Standard, Box::new(by_text.clone()));
        assert_eq!(locked("", &encoded).expose(), STANDARD.encode(locked("", &by_text).expose()).as_bytes());
    }

    #[test]
    fn a_certificate_is_of_its_key() {
        let identity = sample(identity(), 1);
        let key = KeyPair::from_pem(identity.private_key.expose_str().unwrap()).unwrap();
        let certificates = identity.certificates.expose_str().unwrap();
        let (first, rest) = certificates.split_once("-----END").unwrap();
        let der = STANDARD.decode(first.lines().skip(1).collect::<String>()).unwrap();
        assert!(der.windows(KEY).any(|window| window == key.der_bytes()), "the certificate does not hold its key");
        assert_eq!(rest.matches("BEGIN CERTIFICATE").count(), 1, "there is an authority");
    }

    #[test]
    fn an_ssh_key_is_laid_out_as_openssh_keeps_it() {
        let seed = [7; KEY];
        let key = openssh(&seed, 1, "a@b");
        let rest = key.strip_prefix(b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01").unwrap();
        let length = |bytes: &[u8]| usize::from(bytes[3]) + 256 * usize::from(bytes[2]);
        let (public, private) = rest[4..].split_at(length(rest));
        assert!(public.starts_with(b"\0\0\0\x0bssh-ed25519\0\0\0\x20"));
        assert_eq!(length(private), private.len() - 4);
        let private = &private[4..];
        assert_eq!(private.len() % 8, 0);
        let own = private.strip_prefix(b"\0\0\0\x01\0\0\0\x01").and_then(|rest| rest.strip_prefix(public)).unwrap();
        assert!(
            own.starts_with(b"\0\0\0\x40") && own[4..].starts_with(&seed),
            "both halves of the key, the private one first"
        );
        assert!(own.ends_with(b"\0\0\0\x03a@b\x01\x02"), "what is missing to a block is counted");
    }

    #[test]
    fn private_keys_can_be_searched_for() {
        assert!(is_searchable(&sample(identity(), 1).private_key));
        assert!(is_searchable(&sample(ssh_private_key(), 1)));
    }
}
