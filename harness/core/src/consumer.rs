//! The consumers of copies.

use std::collections::{BTreeMap, BTreeSet};

use crate::formats::{ARGO_CD_LABEL, DOCKER_CONFIG, KARGO_LABEL, Role, source_roles};
use crate::id::Requirement;
use crate::labels::Labels;

/// The shape of a copy, by which its consumer is told.
#[derive(Debug, Clone, Copy)]
pub struct CopyShape<'a> {
    /// The Secret's labels.
    pub labels: &'a Labels,
    /// The Secret's type.
    pub secret_type: &'a str,
    /// Its keys, if they can be known before it is there.
    pub keys: Option<&'a BTreeSet<String>>,
}

/// What uses a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consumer {
    /// The kubelet, which pulls images with it.
    Kubelet,
    /// Argo CD, which syncs repositories with it.
    ArgoCd,
    /// Kargo's controller, which looks for commits with it.
    KargoGit,
    /// Kargo's controller, which looks for images with it.
    KargoImage,
    /// Kargo's lookup rules for Git, where its controller does not run.
    KargoGitRules,
    /// Kargo's lookup rules for images, where its controller does not run.
    KargoImageRules,
    /// An application that signs people in by OAuth.
    OAuthClient,
    /// An HTTPS server.
    TlsServer,
    /// Backstage, which needs three copies: to be pulled, to sign people in, and to read files.
    Backstage,
}

impl Consumer {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Kubelet,
        Self::ArgoCd,
        Self::KargoGit,
        Self::KargoImage,
        Self::KargoGitRules,
        Self::KargoImageRules,
        Self::OAuthClient,
        Self::TlsServer,
        Self::Backstage,
    ];

    /// The consumer that copies of this shape are for, told by type, labels and keys alone: whether it gets in with what
    /// they hold is for itself to find out.
    pub fn of(shape: &CopyShape<'_>) -> Option<Self> {
        if shape.labels.contains_key(ARGO_CD_LABEL) {
            return Some(Self::ArgoCd);
        }
        if let Some(cred_type) = shape.labels.get(KARGO_LABEL) {
            return Some(if cred_type == "image" { Self::KargoImage } else { Self::KargoGit });
        }
        match shape.secret_type {
            DOCKER_CONFIG => Some(Self::Kubelet),
            "kubernetes.io/tls" => Some(Self::TlsServer),
            _ => {
                let roles = source_roles(shape.keys?.iter().map(String::as_str));
                let is_client = roles.contains_key(&Role::ClientId) && roles.contains_key(&Role::ClientSecret);
                is_client.then_some(Self::OAuthClient)
            }
        }
    }

    /// What is used in its place where it is absent.
    pub fn stand_in(self) -> Option<Self> {
        match self {
            Self::KargoGit => Some(Self::KargoGitRules),
            Self::KargoImage => Some(Self::KargoImageRules),
            _ => None,
        }
    }

    /// It, or what stands in for it; none if both are absent.
    #[must_use]
    pub fn among(self, absent: &BTreeMap<Self, String>) -> Option<Self> {
        [Some(self), self.stand_in()].into_iter().flatten().find(|consumer| !absent.contains_key(consumer))
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Kubelet => "kubelet",
            Self::ArgoCd => "Argo CD",
            Self::KargoGit => "Kargo's controller for Git",
            Self::KargoImage => "Kargo's controller for images",
            Self::KargoGitRules => "Kargo's rules for Git",
            Self::KargoImageRules => "Kargo's rules for images",
            Self::OAuthClient => "OAuth client",
            Self::TlsServer => "TLS server",
            Self::Backstage => "Backstage",
        }
    }

    /// The requirement that it is evidence for.
    pub fn requirement(self) -> Requirement {
        match self {
            Self::Kubelet => Requirement::new(4, 1),
            Self::ArgoCd | Self::KargoGit | Self::KargoImage | Self::KargoGitRules | Self::KargoImageRules => {
                Requirement::new(4, 2)
            }
            Self::OAuthClient | Self::Backstage => Requirement::new(4, 3),
            Self::TlsServer => Requirement::new(4, 4),
        }
    }

    /// What it does with a copy, as the report counts it.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Kubelet => "image pull by the kubelet",
            Self::ArgoCd => "sync by Argo CD",
            Self::KargoGit => "Git discovery by Kargo's controller",
            Self::KargoImage => "image discovery by Kargo's controller",
            Self::KargoGitRules => "Git login by Kargo's rules, controller not run",
            Self::KargoImageRules => "registry login by Kargo's rules, controller not run",
            Self::OAuthClient => "OAuth code exchange",
            Self::TlsServer => "TLS handshake",
            Self::Backstage => "pull, sign-in and catalog read by Backstage",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::given(&[], Some(Consumer::KargoGit))]
    #[case::not_given(&[Consumer::KargoGit], Some(Consumer::KargoGitRules))]
    #[case::neither(&[Consumer::KargoGit, Consumer::KargoGitRules], None)]
    fn the_rules_stand_in_for_the_controller_alone(#[case] absent: &[Consumer], #[case] expected: Option<Consumer>) {
        let absent: BTreeMap<Consumer, String> = absent.iter().map(|consumer| (*consumer, String::new())).collect();
        assert_eq!(Consumer::KargoGit.among(&absent), expected);
        let absent = BTreeMap::from([(Consumer::ArgoCd, String::new())]);
        assert_eq!(Consumer::ArgoCd.among(&absent), None);
    }
}
