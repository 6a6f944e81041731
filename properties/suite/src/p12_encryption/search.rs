//! Search of the raw values of etcd.

use std::collections::BTreeSet;

use credence_cluster::evidence::etcd::Stored;
#[cfg(feature = "faults")]
use credence_core::leak_scan::Form;
use credence_core::leak_scan::{Leak, LeakScan};

use super::envelope::Envelope;
#[cfg(feature = "faults")]
use crate::faults::{self, OwnFault};

/// Keys under which etcd keeps Secrets.
pub(super) const SECRETS: &str = "/registry/secrets/";

/// A search of what etcd holds.
pub(super) struct Search<'a> {
    envelope: &'a Envelope,
    /// The envelope before the key was rotated, which older versions have.
    former: &'a Envelope,
    values: &'a LeakScan,
    /// The keys of the Secrets that were seen.
    pub(super) secrets: BTreeSet<String>,
    /// Raw values that were looked at.
    pub(super) searched: u64,
    /// The first that is not as it should be, in words.
    pub(super) found: Option<String>,
}

impl<'a> Search<'a> {
    /// A search that has looked at nothing yet.
    pub(super) fn new(envelope: &'a Envelope, former: &'a Envelope, values: &'a LeakScan) -> Self {
        Self { envelope, former, values, secrets: BTreeSet::new(), searched: 0, found: None }
    }

    /// Looks for values in what etcd holds of anything, and for the envelope in what it holds of a Secret.
    pub(super) fn look(&mut self, stored: Stored) {
        self.look_for(stored, &[self.envelope], "");
    }

    /// The same for a version that may have been replaced since, and that the former key may have encrypted.
    pub(super) fn look_back(&mut self, stored: Stored) {
        self.look_for(stored, &[self.envelope, self.former], ", in a version that was replaced since");
    }

    fn look_for(&mut self, stored: Stored, envelopes: &[&Envelope], when: &str) {
        self.searched += 1;
        let is_secret = stored.key.starts_with(SECRETS);
        // A key that was deleted has a version without a value.
        if self.found.is_none() && !stored.value.is_empty() {
            if is_secret && !envelopes.iter().any(|envelope| envelope.is_of(&stored.value)) {
                let envelope = self.envelope.as_str();
                self.found = Some(format!("etcd holds {} without the envelope {envelope}{when}", stored.key));
            } else if let Some(leak) = self.leak(&stored.value) {
                self.found = Some(format!("etcd holds {leak} at {}{when}", stored.key));
            }
        }
        if is_secret {
            self.secrets.insert(stored.key);
        }
    }

    fn leak(&self, value: &[u8]) -> Option<Leak<'a>> {
        let leak = self.values.find(value);
        #[cfg(feature = "faults")]
        let leak = leak.filter(|leak| leak.form == Form::Plain || !faults::is_on(OwnFault::WeakLeakScan));
        leak
    }
}

/// True if a value that an Event holds in base64 is found.
#[cfg(feature = "faults")]
pub(crate) fn finds_base64() -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use credence_core::credential::Credential;
    let value = Credential::new("correct-horse-battery-staple");
    let (Ok(envelope), Ok(values)) = (Envelope::of_secrets(None), LeakScan::new([&value])) else { return false };
    let mut search = Search::new(&envelope, &envelope, &values);
    let said = format!("said {}", STANDARD.encode(value.expose()));
    search.look(Stored { key: "/registry/events/a/b".to_owned(), value: said.into_bytes() });
    search.found.is_some()
}

#[cfg(test)]
mod tests {
    use credence_core::credential::Credential;
    use rstest::rstest;

    use super::*;

    const ENCRYPTED: &[u8] = b"k8s:enc:aescbc:v1:key:\x01\x02";

    #[rstest]
    #[case::secret_in_its_envelope("/registry/secrets/a/b", ENCRYPTED, None)]
    #[case::secret_in_plain("/registry/secrets/a/b", b"k8s\0plain", Some("without the envelope"))]
    #[case::version_of_a_deletion("/registry/secrets/a/b", b"", None)]
    #[case::value_in_an_event("/registry/events/a/b", b"said correct-horse-battery", Some("at /registry/events/a/b"))]
    #[case::value_in_a_status(
        "/registry/external-secrets.io/externalsecrets/a/b",
        b"correct-horse-battery",
        Some("at /reg")
    )]
    #[case::anything_else("/registry/configmaps/a/b", b"k8s\0plain", None)]
    fn a_search_finds_values_anywhere_and_plain_text_in_secrets(
        #[case] key: &str,
        #[case] value: &[u8],
        #[case] expected: Option<&str>,
    ) {
        let envelope = Envelope::of_secrets(Some(CONFIGURATION)).unwrap();
        let values = LeakScan::new([&Credential::new("correct-horse-battery")]).unwrap();
        let mut search = Search::new(&envelope, &envelope, &values);
        search.look(Stored { key: key.into(), value: value.to_vec() });
        match expected {
            None => assert_eq!(search.found, None),
            Some(text) => {
                assert!(search.found.as_ref().is_some_and(|found| found.contains(text)), "{:?}", search.found)
            }
        }
    }

    #[test]
    fn the_envelope_of_the_former_key_is_right_for_versions_alone() {
        let [former, now] = ["key", "new"].map(|key| {
            Envelope::of_secrets(Some(&CONFIGURATION.replace("name: key", &format!("name: {key}")))).unwrap()
        });
        let values = LeakScan::new([&Credential::new("correct-horse-battery")]).unwrap();
        let stored = || Stored { key: "/registry/secrets/a/b".into(), value: ENCRYPTED.to_vec() };
        let mut search = Search::new(&now, &former, &values);
        search.look_back(stored());
        assert_eq!(search.found, None);
        search.look(stored());
        assert!(search.found.is_some());
    }

    const CONFIGURATION: &str = "
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers: [{ aescbc: { keys: [{ name: key, secret: c2VjcmV0 }] } }]
";
}
