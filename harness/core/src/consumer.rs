//! The consumers of copies, each a handle on its entry in the registry of [`formats`](crate::formats).

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::endpoints::Endpoints;
use crate::formats::{FORMATS, Format};
use crate::id::Requirement;
use crate::labels::Labels;

/// The shape of a copy, by which its consumer is told.
#[derive(Debug, Clone, Copy)]
pub struct CopyShape<'a> {
    /// Name of the Secret, the same in each namespace.
    pub name: &'a str,
    /// Labels of the Secret, as far as they can be known.
    pub labels: &'a Labels,
    /// Type of the Secret, such as `kubernetes.io/tls`.
    pub secret_type: &'a str,
    /// Its keys, if they can be known before it is there.
    pub keys: Option<&'a BTreeSet<String>>,
}

/// Sign by which a copy belongs to a consumer, the weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// The names of its keys.
    Keys,
    /// The type of the Secret.
    Type,
    /// A label: consumers that look for one ignore the type.
    Label,
}

/// A login that must be denied although the credential is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedLogin {
    /// Without the copy.
    WithoutSecret,
    /// From a namespace that does not hold the copy.
    FromOtherNamespace,
    /// In a project that the copy is not for.
    InOtherProject,
    /// At an owner whose name begins with that of the right one, on the same host.
    AtLookAlikeOwner,
    /// At a host whose name begins with that of the right one.
    AtLookAlikeHost,
    /// As another OAuth client, with the secret of this one.
    AsOtherClient,
    /// By a client that expects a server of another name.
    UnderOtherName,
}

impl fmt::Display for DeniedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithoutSecret => "without the copy",
            Self::FromOtherNamespace => "from another namespace",
            Self::InOtherProject => "in another project",
            Self::AtLookAlikeOwner => "at a look-alike owner",
            Self::AtLookAlikeHost => "at a look-alike host",
            Self::AsOtherClient => "as another client",
            Self::UnderOtherName => "under another name",
        })
    }
}

/// Facts that are known of a consumer without running it.
#[derive(Debug)]
pub struct ConsumerMeta {
    /// A unique word for it.
    pub id: &'static str,
    /// Name in reports and messages.
    pub title: &'static str,
    /// Its act with a copy, as the report counts it.
    pub operation: &'static str,
    /// The requirement that it is evidence for.
    pub requirement: Requirement,
    /// Consumer that is used in its place where it is absent.
    pub fallback: Option<Consumer>,
    /// Object that a manifest must name before it can log in anywhere; none if it needs no manifest.
    pub endpoint: Option<&'static str>,
    /// The one namespace in which it looks for credentials, unless its manifests tell another; none if it looks in that of
    /// whatever uses them.
    pub namespace: Option<&'static str>,
    /// The logins that it must be denied.
    pub denied_logins: &'static [DeniedLogin],
    /// True if it has a credential for all owners on a host, so that a look-alike of the right one is sent it too, to
    /// refuse it.
    pub offers_to_whole_host: bool,
}

/// A user of a copy. Consumers are in the order of their registry.
#[derive(Clone, Copy)]
pub struct Consumer(&'static dyn Format);

impl Consumer {
    /// Every consumer, in the order of reports.
    pub const ALL: &'static [Self] = FORMATS;

    /// The consumer that reads copies in this format.
    pub(crate) const fn new(format: &'static dyn Format) -> Self {
        Self(format)
    }

    /// Its reading of a copy.
    pub fn format(self) -> &'static dyn Format {
        self.0
    }

    /// The consumer that copies of this shape are for, told by labels, type and keys alone: whether it gets in with what
    /// they hold is for itself to find out.
    pub fn of(shape: &CopyShape<'_>) -> Option<Self> {
        Self::claimants(shape).into_iter().next()
    }

    /// The consumers of copies of this shape: the one that they are for, and those whose manifests name them.
    pub(crate) fn users_of(shape: &CopyShape<'_>, endpoints: &Endpoints) -> Vec<Self> {
        let by_shape = Self::of(shape);
        // What stands in for another is used in its place alone.
        let stands_in = |consumer: &Self| Self::ALL.iter().any(|other| other.meta().fallback == Some(*consumer));
        let named = Self::ALL.iter().copied().filter(|consumer| endpoints.names(*consumer, shape.name));
        let named = named.filter(|consumer| !stands_in(consumer));
        by_shape.into_iter().chain(named.filter(|consumer| Some(*consumer) != by_shape)).collect()
    }

    /// The keys that any consumer reads which copies of this shape are for by label or type; none if there is no such consumer,
    /// or one of them does not say.
    pub fn keys_read(shape: &CopyShape<'_>) -> Option<BTreeSet<&'static str>> {
        let readers =
            Self::ALL.iter().filter(|consumer| consumer.0.claim(shape).is_some_and(|claim| claim > Claim::Keys));
        let read: Option<Vec<&[&str]>> = readers.map(|consumer| consumer.0.reads(shape)).collect();
        let read: BTreeSet<&str> = read?.into_iter().flatten().copied().collect();
        (!read.is_empty()).then_some(read)
    }

    /// The consumers that copies of this shape could be for, the likelier first.
    pub(crate) fn claimants(shape: &CopyShape<'_>) -> Vec<Self> {
        let mut claims: Vec<(Claim, Self)> =
            Self::ALL.iter().filter_map(|consumer| Some((consumer.0.claim(shape)?, *consumer))).collect();
        claims.sort_by_key(|(claim, _)| Reverse(*claim));
        claims.into_iter().map(|(_, consumer)| consumer).collect()
    }

    /// This consumer or its fallback, whichever can run; none if both are absent.
    #[must_use]
    pub fn available(self, absent: &BTreeMap<Self, String>) -> Option<Self> {
        [Some(self), self.meta().fallback].into_iter().flatten().find(|consumer| !absent.contains_key(consumer))
    }

    /// Facts that are known of it.
    pub fn meta(self) -> &'static ConsumerMeta {
        self.0.meta()
    }

    /// Name in reports and messages.
    pub fn title(self) -> &'static str {
        self.meta().title
    }

    /// The requirement that it is evidence for.
    pub fn requirement(self) -> Requirement {
        self.meta().requirement
    }

    /// Its act with a copy, as the report counts it.
    pub fn operation(self) -> &'static str {
        self.meta().operation
    }

    fn position(self) -> Option<usize> {
        Self::ALL.iter().position(|consumer| *consumer == self)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meta().id)
    }
}

impl PartialEq for Consumer {
    fn eq(&self, other: &Self) -> bool {
        self.meta().id == other.meta().id
    }
}

impl Eq for Consumer {}

impl Ord for Consumer {
    fn cmp(&self, other: &Self) -> Ordering {
        self.position().cmp(&other.position())
    }
}

impl PartialOrd for Consumer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::formats::{ARGO_CD, KARGO_GIT, KARGO_GIT_RULES, KUBELET, OAUTH_CLIENT};

    #[rstest]
    #[case::given(&[], Some(KARGO_GIT))]
    #[case::not_given(&[KARGO_GIT], Some(KARGO_GIT_RULES))]
    #[case::neither(&[KARGO_GIT, KARGO_GIT_RULES], None)]
    fn the_rules_stand_in_for_the_controller_alone(#[case] absent: &[Consumer], #[case] expected: Option<Consumer>) {
        let absent: BTreeMap<Consumer, String> = absent.iter().map(|consumer| (*consumer, String::new())).collect();
        assert_eq!(KARGO_GIT.available(&absent), expected);
        let absent = BTreeMap::from([(ARGO_CD, String::new())]);
        assert_eq!(ARGO_CD.available(&absent), None);
    }

    #[test]
    fn consumers_differ_in_id_and_operation_and_keep_the_order_of_the_registry() {
        let operations: BTreeSet<&str> = Consumer::ALL.iter().map(|consumer| consumer.operation()).collect();
        assert_eq!(operations.len(), Consumer::ALL.len());
        let sorted: BTreeSet<Consumer> = Consumer::ALL.iter().copied().collect();
        assert_eq!(Vec::from_iter(sorted), Consumer::ALL);
    }

    #[rstest]
    #[case::pull_secret("kubernetes.io/dockerconfigjson", &[], Some(&[".dockerconfigjson"][..]))]
    #[case::certificate("kubernetes.io/tls", &[], Some(&["ca.crt", "tls.crt", "tls.key"][..]))]
    #[case::unlabelled("Opaque", &[], None)]
    #[case::generic("Opaque", &[("kargo.akuity.io/cred-type", "generic")], None)]
    #[case::cluster("Opaque", &[("argocd.argoproj.io/secret-type", "cluster")], None)]
    fn the_keys_that_are_read_are_known_of_typed_copies_alone(
        #[case] secret_type: &str,
        #[case] labels: &[(&str, &str)],
        #[case] expected: Option<&[&str]>,
    ) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let keys = BTreeSet::from(["client-id".to_owned(), "client-secret".to_owned()]);
        let shape = CopyShape { name: "", labels: &labels, secret_type, keys: Some(&keys) };
        assert_eq!(Consumer::keys_read(&shape), expected.map(|keys| keys.iter().copied().collect()));
    }

    #[test]
    fn a_copy_of_two_kinds_is_read_by_both() {
        let labels = Labels::from([("kargo.akuity.io/cred-type".to_owned(), "image".to_owned())]);
        let shape = CopyShape { name: "", labels: &labels, secret_type: "kubernetes.io/dockerconfigjson", keys: None };
        let read = Consumer::keys_read(&shape).unwrap();
        assert!(read.contains(".dockerconfigjson") && read.contains("repoURL"), "{read:?}");
    }

    #[test]
    fn what_stands_in_is_evidence_for_the_same_requirement() {
        for consumer in Consumer::ALL {
            let fallback = consumer.meta().fallback;
            assert!(fallback.is_none_or(|other| other.requirement() == consumer.requirement()), "{consumer:?}");
        }
    }

    #[rstest]
    #[case::by_shape(&[], &[KUBELET], &[])]
    #[case::by_shape_and_by_name(&[KUBELET, KARGO_GIT], &[KUBELET, KARGO_GIT], &[KUBELET, KARGO_GIT])]
    #[case::what_stands_in_for_another(&[KARGO_GIT_RULES], &[KUBELET], &[])]
    fn a_copy_is_used_by_whom_it_is_for_and_by_those_that_name_it(
        #[case] named: &[Consumer],
        #[case] expected: &[Consumer],
        #[case] by_name: &[Consumer],
    ) {
        let mut endpoints = Endpoints::default();
        named.iter().for_each(|consumer| endpoints.intend(*consumer, "pull"));
        endpoints.intend(ARGO_CD, "another");
        let labels = Labels::new();
        let shape =
            CopyShape { name: "pull", labels: &labels, secret_type: "kubernetes.io/dockerconfigjson", keys: None };
        assert_eq!(Consumer::users_of(&shape, &endpoints), expected);
        let of_nobody = CopyShape { secret_type: "Opaque", ..shape };
        assert_eq!(Consumer::users_of(&of_nobody, &endpoints), by_name);
    }

    #[test]
    fn consumers_are_compared_by_the_order_of_the_registry() {
        assert!(KUBELET < ARGO_CD && ARGO_CD < KARGO_GIT && KUBELET <= KUBELET);
    }

    #[rstest]
    #[case::both_parts(&["client-id", "client-secret"], Some(OAUTH_CLIENT))]
    #[case::the_name_alone(&["client-id"], None)]
    #[case::the_secret_alone(&["client-secret"], None)]
    fn a_client_has_an_id_and_a_secret(#[case] keys: &[&str], #[case] expected: Option<Consumer>) {
        let (labels, keys) = (Labels::new(), keys.iter().map(|key| (*key).to_owned()).collect());
        let shape = CopyShape { name: "", labels: &labels, secret_type: "Opaque", keys: Some(&keys) };
        assert_eq!(Consumer::of(&shape), expected);
    }

    #[test]
    fn logins_that_must_be_denied_are_told_in_words() {
        let told = [DeniedLogin::WithoutSecret, DeniedLogin::AtLookAlikeHost].map(|login| login.to_string());
        assert_eq!(told, ["without the copy", "at a look-alike host"]);
    }
}
