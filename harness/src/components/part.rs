//! The parts, and for each the pinned module and package it is built from.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::ComponentError;
use super::cache::hex;

/// An upstream program that credence runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The store behind kube-apiserver.
    Etcd,
    /// The Kubernetes API.
    KubeApiserver,
    /// The controllers of Kubernetes, among them namespaces and ServiceAccounts.
    KubeControllerManager,
    /// External Secrets Operator.
    ExternalSecrets,
    /// ESO's own tool, which renders a template as the operator does.
    Esoctl,
    /// Renders charts.
    Helm,
    /// Renders configuration directories that have a `kustomization.yaml`.
    Kustomize,
}

impl Part {
    /// All parts, in the order in which they are listed and built.
    pub const ALL: [Self; 7] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::ExternalSecrets,
        Self::Esoctl,
        Self::Helm,
        Self::Kustomize,
    ];

    /// The name of the program, also on the command line.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The pinned version, without a leading `v`.
    pub fn version(self) -> &'static str {
        self.module().version()
    }

    /// Upper bound of the program's size in MB, measured on linux/amd64.
    pub(super) fn megabytes(self) -> u64 {
        self.row().megabytes
    }

    /// The Go module whose pin it is built from.
    pub(super) fn module(self) -> Module {
        self.row().module
    }

    /// The package that `go build` is given.
    pub(super) fn package(self) -> &'static str {
        self.row().package
    }

    /// The file that `go build` names after the package: its last element that is not a major version.
    pub(super) fn built_name(self) -> &'static str {
        match self {
            Self::Etcd => "server",
            _ => self.name(),
        }
    }

    fn row(self) -> Row {
        let row = |name, module, package, megabytes| Row { name, module, package, megabytes };
        match self {
            Self::Etcd => row("etcd", Module::Etcd, "go.etcd.io/etcd/server/v3", 30),
            Self::KubeApiserver => {
                row("kube-apiserver", Module::Kubernetes, "k8s.io/kubernetes/cmd/kube-apiserver", 110)
            }
            Self::KubeControllerManager => {
                row("kube-controller-manager", Module::Kubernetes, "k8s.io/kubernetes/cmd/kube-controller-manager", 100)
            }
            Self::ExternalSecrets => {
                row("external-secrets", Module::ExternalSecrets, "github.com/external-secrets/external-secrets", 200)
            }
            Self::Esoctl => {
                row("esoctl", Module::ExternalSecrets, "github.com/external-secrets/external-secrets/cmd/esoctl", 45)
            }
            Self::Helm => row("helm", Module::Helm, "helm.sh/helm/v4/cmd/helm", 70),
            Self::Kustomize => row("kustomize", Module::Kustomize, "sigs.k8s.io/kustomize/kustomize/v5", 15),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Part {
    type Err = ComponentError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|part| part.name() == name).ok_or_else(|| ComponentError::UnknownPart {
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

struct Row {
    name: &'static str,
    module: Module,
    package: &'static str,
    megabytes: u64,
}

/// A pinned Go module: parts of one module are built together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Module {
    Etcd,
    Kubernetes,
    ExternalSecrets,
    Helm,
    Kustomize,
}

/// What a cold `go build` of a module costs: rounded up from measurements with Go 1.26 on two cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BuildCost {
    /// Compiled packages, in MB. Go writes them twice: to its build cache, and to its work directory until it ends.
    pub(super) compiled: u64,
    /// Sources in Go's module cache, packed and unpacked, in MB.
    pub(super) sources: u64,
    /// Time, without downloads, in minutes.
    pub(super) minutes: u64,
}

impl Module {
    pub(super) const ALL: [Self; 5] =
        [Self::Etcd, Self::Kubernetes, Self::ExternalSecrets, Self::Helm, Self::Kustomize];

    /// Name of its directory below `components`, of its lock and of its work directory.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Kubernetes => "kubernetes",
            Self::ExternalSecrets => "external-secrets",
            Self::Helm => "helm",
            Self::Kustomize => "kustomize",
        }
    }

    /// The upstream module path.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Kubernetes => "k8s.io/kubernetes",
            Self::ExternalSecrets => "github.com/external-secrets/external-secrets",
            Self::Helm => "helm.sh/helm/v4",
            Self::Kustomize => "sigs.k8s.io/kustomize/kustomize/v5",
        }
    }

    /// The pin, embedded so that credence works without its source tree.
    pub(super) fn go_mod(self) -> &'static str {
        match self {
            Self::Etcd => include_str!("../../components/etcd/go.mod"),
            Self::Kubernetes => include_str!("../../components/kubernetes/go.mod"),
            Self::ExternalSecrets => include_str!("../../components/external-secrets/go.mod"),
            Self::Helm => include_str!("../../components/helm/go.mod"),
            Self::Kustomize => include_str!("../../components/kustomize/go.mod"),
        }
    }

    /// The checksums of everything the pin leads to.
    pub(super) fn go_sum(self) -> &'static str {
        match self {
            Self::Etcd => include_str!("../../components/etcd/go.sum"),
            Self::Kubernetes => include_str!("../../components/kubernetes/go.sum"),
            Self::ExternalSecrets => include_str!("../../components/external-secrets/go.sum"),
            Self::Helm => include_str!("../../components/helm/go.sum"),
            Self::Kustomize => include_str!("../../components/kustomize/go.sum"),
        }
    }

    /// The version that the pin requires, without the leading `v`.
    pub(super) fn version(self) -> &'static str {
        self.words_after(self.path())
            .and_then(|version| version.strip_prefix('v'))
            .expect("the embedded pin requires its own module, as a test proves for each")
    }

    /// The oldest Go that builds it, as in `1.26.0`.
    pub(super) fn go_version(self) -> &'static str {
        self.words_after("go").expect("the embedded pin has a go line, as a test proves for each")
    }

    /// The second word of the first line of the pin that starts with `word`.
    fn words_after(self, word: &str) -> Option<&'static str> {
        self.go_mod().lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(word)).then(|| words.next()).flatten()
        })
    }

    /// Names this very pin: the first 8 hexadecimal digits of the SHA-256 of `go.mod` and `go.sum`.
    pub(super) fn digest(self) -> String {
        let digest = Sha256::new().chain_update(self.go_mod()).chain_update(self.go_sum()).finalize();
        hex(&digest[..4])
    }

    pub(super) fn cost(self) -> BuildCost {
        let cost = |compiled, sources, minutes| BuildCost { compiled, sources, minutes };
        match self {
            Self::Etcd => cost(350, 300, 3),
            Self::Kubernetes => cost(2900, 600, 10),
            Self::ExternalSecrets => cost(2600, 2900, 8),
            Self::Helm => cost(1250, 600, 5),
            Self::Kustomize => cost(180, 110, 1),
        }
    }

    /// Flags for Go's linker.
    pub(super) fn ldflags(self) -> String {
        match self {
            // Without it kube-apiserver reports version v0.0.0-master, which clients refuse to compare with.
            Self::Kubernetes => {
                format!("-s -w -X k8s.io/component-base/version.gitVersion=v{}", self.version())
            }
            _ => "-s -w".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Part::Etcd, "3.6.8")]
    #[case(Part::KubeApiserver, "1.36.3")]
    #[case(Part::KubeControllerManager, "1.36.3")]
    #[case(Part::ExternalSecrets, "0.20.4")]
    #[case(Part::Esoctl, "0.20.4")]
    #[case(Part::Helm, "4.3.1")]
    #[case(Part::Kustomize, "5.8.2")]
    fn version_is_read_from_the_pin(#[case] part: Part, #[case] version: &str) {
        assert_eq!(part.version(), version);
    }

    #[test]
    fn every_package_is_a_tool_of_its_pin() {
        for part in Part::ALL {
            let mut lines = part.module().go_mod().lines();
            let found = lines.any(|line| line.trim().trim_start_matches("tool ") == part.package());
            assert!(found, "{part}");
        }
    }

    #[test]
    fn every_pin_names_the_oldest_go() {
        for module in Module::ALL {
            assert_eq!(module.go_version(), "1.26.0", "{module:?}");
        }
    }

    #[test]
    fn every_name_parses_to_its_part() {
        for part in Part::ALL {
            assert_eq!(part.name().parse::<Part>().unwrap(), part);
        }
    }

    #[test]
    fn unknown_part_lists_the_known() {
        let error = "kubelet".parse::<Part>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown part kubelet; known are etcd, kube-apiserver, kube-controller-manager, external-secrets, \
             esoctl, helm, kustomize"
        );
    }

    #[test]
    fn kubernetes_is_linked_with_its_version() {
        assert!(Module::Kubernetes.ldflags().ends_with("version.gitVersion=v1.36.3"));
    }
}
