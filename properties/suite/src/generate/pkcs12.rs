//! PKCS#12 files without a password, which need no salt and so depend on nothing but what is in them.

use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag, construct_der};

/// Of PKCS#7, `data`.
const DATA: [u64; 7] = [1, 2, 840, 113_549, 1, 7, 1];
/// Bags of a private key in PKCS#8, and of a certificate.
const KEY_BAG: [u64; 9] = [1, 2, 840, 113_549, 1, 12, 10, 1, 1];
const CERTIFICATE_BAG: [u64; 9] = [1, 2, 840, 113_549, 1, 12, 10, 1, 3];
/// Of PKCS#9, `x509Certificate`.
const X509: [u64; 8] = [1, 2, 840, 113_549, 1, 9, 22, 1];

/// A file with certificates, that of the key first, and a private key in PKCS#8: neither is encrypted and nothing is signed, as
/// `openssl pkcs12 -export -keypbe NONE -certpbe NONE -nomac` writes it.
///
/// Source: RFC 7292, section 4.
pub(super) fn file(certificates: &[&[u8]], private_key: &[u8]) -> Vec<u8> {
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
    let safe = construct_der(|writer| {
        writer.write_sequence_of(|contents| {
            content(contents.next(), &certificates);
            content(contents.next(), &key);
        });
    });
    construct_der(|writer| {
        writer.write_sequence(|fields| {
            // The version.
            fields.next().write_u8(3);
            content(fields.next(), &safe);
        });
    })
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
}
