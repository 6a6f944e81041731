//! The pinned Go modules: what each is, what builds it, and what that costs.

use sha2::{Digest, Sha256};

use super::Providers;
use crate::supply::digest::hex;

/// A pinned Go module: parts of one module are built together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Module {
    Etcd,
    Kubernetes,
    ExternalSecrets,
    Helm,
    Kustomize,
    Containerd,
    CniPlugins,
    Gitea,
    ArgoCd,
    Flux,
    Kind,
    Coredns,
    CriTools,
    Vault,
}

/// Cost of a cold `go build` of all parts of a module: rounded up from measurements on two cores with Go 1.26, for
/// Argo CD with the toolchain of its pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BuildCost {
    /// Compiled packages, in MB. Go writes them twice: to its build cache, and to its work directory until it ends.
    pub(super) compiled: u64,
    /// Sources in Go's module cache, packed and unpacked, in MB, with those of the toolchain that the pin names.
    pub(super) sources: u64,
    /// Time, without downloads, in minutes. Where other things run as well it may be twice that.
    pub(super) minutes: u64,
}

impl Module {
    pub(super) const ALL: [Self; 14] = [
        Self::Etcd,
        Self::Kubernetes,
        Self::ExternalSecrets,
        Self::Helm,
        Self::Kustomize,
        Self::Containerd,
        Self::CniPlugins,
        Self::Gitea,
        Self::ArgoCd,
        Self::Flux,
        Self::Kind,
        Self::Coredns,
        Self::CriTools,
        Self::Vault,
    ];

    /// Name of its directory below `components`, of its lock and of its work directory.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Kubernetes => "kubernetes",
            Self::ExternalSecrets => "external-secrets",
            Self::Helm => "helm",
            Self::Kustomize => "kustomize",
            Self::Containerd => "containerd",
            Self::CniPlugins => "cni-plugins",
            Self::Gitea => "gitea",
            Self::ArgoCd => "argo-cd",
            Self::Flux => "flux",
            Self::Kind => "kind",
            Self::Coredns => "coredns",
            Self::CriTools => "cri-tools",
            Self::Vault => "vault",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Kubernetes => "k8s.io/kubernetes",
            Self::ExternalSecrets => "github.com/external-secrets/external-secrets",
            Self::Helm => "helm.sh/helm/v4",
            Self::Kustomize => "sigs.k8s.io/kustomize/kustomize/v5",
            Self::Containerd => "github.com/containerd/containerd/v2",
            Self::CniPlugins => "github.com/containernetworking/plugins",
            Self::Gitea => "code.gitea.io/gitea",
            Self::ArgoCd => "github.com/argoproj/argo-cd/v3",
            Self::Flux => "github.com/fluxcd/source-controller",
            Self::Kind => "sigs.k8s.io/kind",
            Self::Coredns => "github.com/coredns/coredns",
            Self::CriTools => "sigs.k8s.io/cri-tools",
            Self::Vault => "github.com/hashicorp/vault",
        }
    }

    /// The pin, embedded so that credence works without its source tree.
    pub(super) fn go_mod(self) -> &'static str {
        match self {
            Self::Etcd => include_str!("../../../components/etcd/go.mod"),
            Self::Kubernetes => include_str!("../../../components/kubernetes/go.mod"),
            Self::ExternalSecrets => include_str!("../../../components/external-secrets/go.mod"),
            Self::Helm => include_str!("../../../components/helm/go.mod"),
            Self::Kustomize => include_str!("../../../components/kustomize/go.mod"),
            Self::Containerd => include_str!("../../../components/containerd/go.mod"),
            Self::CniPlugins => include_str!("../../../components/cni-plugins/go.mod"),
            Self::Gitea => include_str!("../../../components/gitea/go.mod"),
            Self::ArgoCd => include_str!("../../../components/argo-cd/go.mod"),
            Self::Flux => include_str!("../../../components/flux/go.mod"),
            Self::Kind => include_str!("../../../components/kind/go.mod"),
            Self::Coredns => include_str!("../../../components/coredns/go.mod"),
            Self::CriTools => include_str!("../../../components/cri-tools/go.mod"),
            Self::Vault => include_str!("../../../components/vault/go.mod"),
        }
    }

    /// The checksums of everything the pin leads to.
    pub(super) fn go_sum(self) -> &'static str {
        match self {
            Self::Etcd => include_str!("../../../components/etcd/go.sum"),
            Self::Kubernetes => include_str!("../../../components/kubernetes/go.sum"),
            Self::ExternalSecrets => include_str!("../../../components/external-secrets/go.sum"),
            Self::Helm => include_str!("../../../components/helm/go.sum"),
            Self::Kustomize => include_str!("../../../components/kustomize/go.sum"),
            Self::Containerd => include_str!("../../../components/containerd/go.sum"),
            Self::CniPlugins => include_str!("../../../components/cni-plugins/go.sum"),
            Self::Gitea => include_str!("../../../components/gitea/go.sum"),
            Self::ArgoCd => include_str!("../../../components/argo-cd/go.sum"),
            Self::Flux => include_str!("../../../components/flux/go.sum"),
            Self::Kind => include_str!("../../../components/kind/go.sum"),
            Self::Coredns => include_str!("../../../components/coredns/go.sum"),
            Self::CriTools => include_str!("../../../components/cri-tools/go.sum"),
            Self::Vault => include_str!("../../../components/vault/go.sum"),
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

    /// The toolchain that builds it where Go itself is too old, as in `go1.27.3`; Go obtains it as it does a module.
    pub(super) fn toolchain(self) -> Option<&'static str> {
        self.words_after("toolchain")
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

    /// True if it has sources in C that are needed: in Gitea, SQLite.
    pub(super) fn needs_c(self) -> bool {
        self == Self::Gitea
    }

    /// Go's build tags, separated by commas.
    pub(super) fn tags(self) -> &'static str {
        match self {
            // As upstream's releases are built, but for `bindata`, which needs the web pages to be built before.
            Self::Gitea => "sqlite,sqlite_unlock_notify",
            _ => "",
        }
    }

    pub(super) fn cost(self, providers: Providers) -> BuildCost {
        let cost = |compiled, sources, minutes| BuildCost { compiled, sources, minutes };
        match self {
            Self::Etcd => cost(350, 300, 3),
            Self::Kubernetes => cost(3100, 650, 11),
            Self::ExternalSecrets if providers.is_reduced(self) => cost(1100, 1000, 4),
            Self::ExternalSecrets => cost(2600, 2900, 8),
            Self::Helm => cost(1250, 600, 5),
            Self::Kustomize => cost(180, 110, 1),
            Self::Containerd => cost(650, 650, 2),
            Self::CniPlugins => cost(100, 25, 1),
            Self::Gitea => cost(1300, 1300, 6),
            Self::ArgoCd => cost(2600, 2200, 7),
            Self::Flux => cost(1900, 2200, 5),
            Self::Kind => cost(60, 60, 1),
            Self::Coredns => cost(1500, 1500, 6),
            Self::CriTools => cost(500, 400, 2),
            Self::Vault => cost(1100, 900, 4),
        }
    }

    /// Flags for Go's linker: no debug information, and the version that a program reports, which without them is
    /// a placeholder. The variables are those that upstream's own builds set.
    pub(super) fn ldflags(self) -> String {
        let version = self.version();
        let variable = match self {
            // kube-apiserver would report v0.0.0-master, which clients refuse to compare with.
            Self::Kubernetes => format!("k8s.io/component-base/version.gitVersion=v{version}"),
            Self::Containerd => format!("github.com/containerd/containerd/v2/version.Version=v{version}"),
            Self::CniPlugins => {
                format!("github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=v{version}")
            }
            Self::Gitea => format!("main.Version={version}"),
            Self::ArgoCd => format!("github.com/argoproj/argo-cd/v3/common.version={version}"),
            Self::CriTools => format!("sigs.k8s.io/cri-tools/pkg/version.Version=v{version}"),
            Self::Etcd
            | Self::ExternalSecrets
            | Self::Helm
            | Self::Kustomize
            | Self::Flux
            | Self::Kind
            | Self::Coredns
            | Self::Vault => {
                return "-s -w".to_owned();
            }
        };
        format!("-s -w -X {variable}")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_credence("1.26.0", &[
        Module::Etcd,
        Module::Kubernetes,
        Module::ExternalSecrets,
        Module::Helm,
        Module::Kustomize,
        Module::CniPlugins,
        Module::Flux,
        Module::Kind,
        Module::Coredns,
        Module::Vault,
    ])]
    #[case::of_upstream("1.26.6", &[Module::Containerd])]
    #[case::of_upstream("1.26.2", &[Module::Gitea, Module::CriTools])]
    #[case::of_upstream("1.27.0", &[Module::ArgoCd])]
    fn every_pin_names_the_oldest_go(#[case] go: &str, #[case] modules: &[Module]) {
        let named: Vec<_> = Module::ALL.into_iter().filter(|module| module.go_version() == go).collect();
        assert_eq!(named, modules);
    }

    #[test]
    fn only_a_pin_beyond_the_go_of_the_others_names_a_toolchain() {
        for module in Module::ALL {
            let expected = (module == Module::ArgoCd).then_some("go1.27.3");
            assert_eq!(module.toolchain(), expected, "{module:?}");
        }
    }

    #[rstest]
    #[case(Module::Kubernetes, "version.gitVersion=v1.36.3")]
    #[case(Module::Containerd, "version.Version=v2.4.2")]
    #[case(Module::CniPlugins, "buildversion.BuildVersion=v1.9.1")]
    #[case(Module::Gitea, "main.Version=1.26.0")]
    #[case(Module::ArgoCd, "common.version=3.6.1")]
    #[case(Module::CriTools, "version.Version=v1.36.0")]
    fn programs_are_linked_with_their_version(#[case] module: Module, #[case] variable: &str) {
        assert!(module.ldflags().ends_with(variable), "{}", module.ldflags());
    }
}
