//! PKCS#12 files that depend on nothing but what is in them: nothing is encrypted, and the salt follows from what it salts. A password
//! only signs the file, which is what a reader of one checks.

use credence_core::credential::Credential;
use sha2::{Digest as _, Sha256};
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag, construct_der};
use zeroize::Zeroizing;

/// Content type `data` of PKCS#7.
const DATA: [u64; 7] = [1, 2, 840, 113_549, 1, 7, 1];
/// Bags of a private key in PKCS#8, and of a certificate.
const KEY_BAG: [u64; 9] = [1, 2, 840, 113_549, 1, 12, 10, 1, 1];
const CERTIFICATE_BAG: [u64; 9] = [1, 2, 840, 113_549, 1, 12, 10, 1, 3];
/// Digest algorithm `id-sha256` of NIST.
const SHA256: [u64; 9] = [2, 16, 840, 1, 101, 3, 4, 2, 1];
/// Certificate type `x509Certificate` of PKCS#9.
const X509: [u64; 8] = [1, 2, 840, 113_549, 1, 9, 22, 1];

/// A file with certificates, that of the key first, and a private key in PKCS#8: neither is encrypted and nothing is signed, as
/// `openssl pkcs12 -export -keypbe NONE -certpbe NONE -nomac` writes it.
///
/// Source: RFC 7292, section 4.
pub(super) fn file(certificates: &[&[u8]], private_key: &[u8]) -> Vec<u8> {
    signed(&contents(certificates, private_key), None)
}

/// The same with a password, as `openssl pkcs12 -export -keypbe NONE -certpbe NONE -macalg sha256 -iter 1` writes it.
///
/// Source: RFC 7292, sections 4 and 5.1.
pub(super) fn locked(certificates: &[&[u8]], private_key: &[u8], password: &Credential) -> Vec<u8> {
    signed(&contents(certificates, private_key), Some(password))
}

/// The contents of a file: what a signature is of.
fn contents(certificates: &[&[u8]], private_key: &[u8]) -> Vec<u8> {
    let certificates = construct_der(|writer| {
        writer.write_sequence_of(|bags| {
            for certificate in certificates {
                bag(bags.next(), &CERTIFICATE_BAG, |value| {
                    value.write_sequence(|fields| {
                        fields.next().write_oid(&oid(&X509));
                        fields.next().write_tagged(Tag::context(0), |value| value.write_bytes(certificate));
                    });
                });
            }
        });
    });
    let key = construct_der(|writer| {
        writer.write_sequence_of(|bags| bag(bags.next(), &KEY_BAG, |value| value.write_der(private_key)));
    });
    construct_der(|writer| {
        writer.write_sequence_of(|contents| {
            content(contents.next(), &certificates);
            content(contents.next(), &key);
        });
    })
}

/// A file with these contents.
fn signed(safe: &[u8], password: Option<&Credential>) -> Vec<u8> {
    construct_der(|writer| {
        writer.write_sequence(|fields| {
            // The version.
            fields.next().write_u8(3);
            content(fields.next(), safe);
            let Some(password) = password else { return };
            let salt = &Sha256::digest(safe)[..8];
            let code = hmac(&signing_key(password, salt), safe);
            fields.next().write_sequence(|mac| {
                mac.next().write_sequence(|digest| {
                    digest.next().write_sequence(|algorithm| {
                        algorithm.next().write_oid(&oid(&SHA256));
                        algorithm.next().write_null();
                    });
                    digest.next().write_bytes(&code);
                });
                mac.next().write_bytes(salt);
            });
        });
    })
}

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The key that a password gives for signing, after one iteration.
///
/// Source: RFC 7292, appendix B.2, where one block of SHA-256 is all that is needed.
fn signing_key(password: &Credential, salt: &[u8]) -> Zeroizing<[u8; 32]> {
    /// Identifier of keys for integrity (appendix B.3).
    const INTEGRITY: u8 = 3;
    let text = password.expose_str().unwrap_or_default();
    let units = text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes);
    let password: Zeroizing<Vec<u8>> = Zeroizing::new(units.collect());
    let filled = |bytes: &[u8]| -> Zeroizing<Vec<u8>> {
        Zeroizing::new(bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(BLOCK)).collect())
    };
    let mut hash = Sha256::new();
    hash.update([INTEGRITY; BLOCK]);
    hash.update(filled(salt).as_slice());
    hash.update(filled(&password).as_slice());
    Zeroizing::new(hash.finalize().into())
}

/// The code of a message by HMAC with SHA-256 (RFC 2104), under a key that is shorter than a block.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let mut block = Zeroizing::new([with; BLOCK]);
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36).as_slice()).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c).as_slice()).chain_update(inner).finalize().into()
}

fn content(writer: DERWriter<'_>, bytes: &[u8]) {
    writer.write_sequence(|fields| {
        fields.next().write_oid(&oid(&DATA));
        fields.next().write_tagged(Tag::context(0), |value| value.write_bytes(bytes));
    });
}

fn bag(writer: DERWriter<'_>, kind: &[u64], value: impl FnOnce(DERWriter<'_>)) {
    writer.write_sequence(|fields| {
        fields.next().write_oid(&oid(kind));
        fields.next().write_tagged(Tag::context(0), value);
    });
}

fn oid(numbers: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_its_key_and_its_certificates_as_they_are() {
        let file = file(&[b"one certificate", b"another"], &[0x30, 0x03, 0x02, 0x01, 0x07]);
        let has = |needle: &[u8]| file.windows(needle.len()).any(|window| window == needle);
        assert!(has(b"one certificate") && has(b"another") && has(&[0x30, 0x03, 0x02, 0x01, 0x07]));
        // The version, and the type of what follows.
        assert!(
            has(&[0x02, 0x01, 0x03, 0x30]) && has(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01])
        );
        assert!(has(&[0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x01]));
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        // RFC 4231, test case 2.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let code = hmac(&key, b"what do ya want for nothing?");
        assert_eq!(hex(&code), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let key = signing_key(&Credential::new("changeit"), &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(hex(&*key), "f7ea7b9cd285e44017548a6c42aac13d8feb1620584dd94c325e5fbf12daa713");
    }

    #[test]
    fn a_password_signs_a_file_and_changes_nothing_else() {
        let (certificates, key): (&[&[u8]], &[u8]) = (&[b"certificate"], &[0x30, 0x03, 0x02, 0x01, 0x07]);
        let [one, other] = ["one", "other"].map(|text| locked(certificates, key, &Credential::new(text)));
        let inside = contents(certificates, key);
        assert!(one != other && one.len() == other.len());
        for file in [one, other, file(certificates, key)] {
            assert!(file.windows(inside.len()).any(|window| window == inside), "the contents are the same");
        }
    }
}
