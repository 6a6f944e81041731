//! Credential values, redacted from the moment they exist.

use std::fmt;
use std::sync::OnceLock;

use zeroize::Zeroizing;

/// The key under which an SSH key is in the Secrets of Argo CD and of Kargo.
pub(crate) const SSH_KEY: &str = "sshPrivateKey";

/// A secret value: bytes that can be compared and delivered, but never printed.
///
/// `Debug` and `Display` show the length and a [`fingerprint`](Self::fingerprint); there is no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Zeroizing<Vec<u8>>);

impl Credential {
    /// Wraps raw bytes, which are zeroed when it is dropped.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// 32 hexadecimal digits that nobody can guess.
    pub fn random() -> Self {
        let digits: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self::new(digits)
    }

    /// The plain bytes, for the store or the consumer under test only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The plain text, if the bytes are UTF-8; for the store or the consumer under test only.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Eight hexadecimal digits that identify this value within the process and say nothing outside it.
    ///
    /// The hash is keyed with random bytes that live only in memory, so a fingerprint in a report cannot be
    /// used to confirm a guess.
    pub fn fingerprint(&self) -> String {
        static KEY: OnceLock<[u8; 32]> = OnceLock::new();
        let key = KEY.get_or_init(random);
        let hash = blake3::keyed_hash(key, &self.0);
        hash.to_hex()[..8].to_owned()
    }
}

/// Bytes that nobody can guess.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // getrandom(2) fails only on a kernel that lacks it, which Rust's own std does not support.
    getrandom::fill(&mut bytes).expect("the kernel has getrandom(2)");
    bytes
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "‹{} bytes, {}›", self.0.len(), self.fingerprint())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Credential;

    #[test]
    fn neither_debug_nor_display_shows_the_value() {
        let credential = Credential::new("ghp_hunter2");
        let shown = format!("{credential} {credential:?} {credential:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.matches("11 bytes").count() == 3, "{shown}");
    }

    #[test]
    fn equal_values_share_a_fingerprint_and_others_do_not() {
        assert_eq!(Credential::new("a").fingerprint(), Credential::new("a").fingerprint());
        assert_ne!(Credential::new("a").fingerprint(), Credential::new("b").fingerprint());
    }

    #[test]
    fn a_random_value_is_32_digits_that_do_not_come_again() {
        let (one, other) = (Credential::random(), Credential::random());
        let digits = one.expose_str().unwrap();
        assert!(digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit()));
        assert_ne!(one, other);
        assert_eq!(Credential::new(b"\xff".as_slice()).expose_str(), None);
    }

    #[test]
    fn a_fingerprint_has_eight_digits() {
        let fingerprint = Credential::new("a").fingerprint();
        assert!(fingerprint.len() == 8 && fingerprint.chars().all(|digit| digit.is_ascii_hexdigit()), "{fingerprint}");
    }
}
