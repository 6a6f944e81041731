//! The parts, and for each the pinned module and package it is built from.

use std::fmt;
use std::str::FromStr;

use super::module::Module;

/// An upstream program that credence runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The store behind kube-apiserver.
    Etcd,
    /// The Kubernetes API.
    KubeApiserver,
    /// The controllers of Kubernetes, among them namespaces and ServiceAccounts.
    KubeControllerManager,
    /// External Secrets Operator, built with the chosen [`Providers`](super::Providers) where it is built.
    ExternalSecrets,
    /// ESO's own tool, which renders a template as the operator does.
    Esoctl,
    /// Renders charts.
    Helm,
    /// Renders configuration directories that have a `kustomization.yaml`.
    Kustomize,
    /// The node's agent, which pulls images with the pull secrets of a pod.
    Kubelet,
    /// The container runtime under the kubelet.
    Containerd,
    /// The shim that containerd starts for each pod; it looks for it by this name on its `PATH`.
    ContainerdShim,
    /// containerd's own client, which imports images.
    Ctr,
    /// The CNI plugin that joins a pod to the node by a pair of devices.
    CniPtp,
    /// The CNI plugin that brings up a pod's loopback device.
    CniLoopback,
    /// The CNI plugin that gives out addresses.
    CniHostLocal,
    /// Git forge, OAuth provider and container registry in one.
    Gitea,
    /// All components of Argo CD in one program, which chooses by `ARGOCD_BINARY_NAME` (upstream's `cmd/main.go`).
    ArgoCd,
    /// The controller of Flux that fetches Git repositories and artifacts of registries.
    SourceController,
    /// Makes a cluster whose nodes are containers.
    Kind,
    /// Sets up the control plane inside a node of kind.
    Kubeadm,
    /// The program that kind applies manifests with inside a node.
    Kubectl,
    /// Gives pods to nodes.
    KubeScheduler,
    /// Leads the addresses of Services to pods.
    KubeProxy,
    /// Resolves the names of Services.
    Coredns,
    /// The CNI plugin that leads ports of a node to its pods.
    CniPortmap,
    /// Shows the containers of a node as its kubelet sees them.
    Crictl,
    /// The store of those who keep their credentials in HashiCorp Vault.
    Vault,
}

impl Part {
    /// All parts, in the order in which they are listed: those of [`CONTROL_PLANE`](Self::CONTROL_PLANE), then
    /// [`TEMPLATES`](Self::TEMPLATES), [`CONSUMERS`](Self::CONSUMERS), [`KIND`](Self::KIND) and [`STORES`](Self::STORES).
    pub const ALL: [Self; 26] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::ExternalSecrets,
        Self::Helm,
        Self::Kustomize,
        Self::Esoctl,
        Self::Kubelet,
        Self::Containerd,
        Self::ContainerdShim,
        Self::Ctr,
        Self::CniPtp,
        Self::CniLoopback,
        Self::CniHostLocal,
        Self::Gitea,
        Self::ArgoCd,
        Self::SourceController,
        Self::Kind,
        Self::Kubeadm,
        Self::Kubectl,
        Self::KubeScheduler,
        Self::KubeProxy,
        Self::Coredns,
        Self::CniPortmap,
        Self::Crictl,
        Self::Vault,
    ];

    /// Programs that every run on a cluster of its own needs: the control plane, ESO, and what renders configurations.
    pub const CONTROL_PLANE: [Self; 6] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::ExternalSecrets,
        Self::Helm,
        Self::Kustomize,
    ];

    /// The program that only the comparison of what templates compose needs: ESO's template engine.
    pub const TEMPLATES: [Self; 1] = [Self::Esoctl];

    /// Programs that only properties with real consumers of the copies need: a node, the forge, Argo CD, and Flux.
    pub const CONSUMERS: [Self; 10] = [
        Self::Kubelet,
        Self::Containerd,
        Self::ContainerdShim,
        Self::Ctr,
        Self::CniPtp,
        Self::CniLoopback,
        Self::CniHostLocal,
        Self::Gitea,
        Self::ArgoCd,
        Self::SourceController,
    ];

    /// Programs that only a cluster of kind needs beside the others: kind itself, and what its nodes are made of.
    pub const KIND: [Self; 8] = [
        Self::Kind,
        Self::Kubeadm,
        Self::Kubectl,
        Self::KubeScheduler,
        Self::KubeProxy,
        Self::Coredns,
        Self::CniPortmap,
        Self::Crictl,
    ];

    /// Program that only configurations need whose stores name it.
    pub const STORES: [Self; 1] = [Self::Vault];

    /// The name of the program, also on the command line.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The pinned version, without a leading `v`.
    pub fn version(self) -> &'static str {
        self.module().version()
    }

    /// The version, with digits that stand for the whole pin: the module and all that it leads to.
    pub fn pin(self) -> String {
        format!("{}-{}", self.version(), self.module().digest())
    }

    /// Upper bound of the program's size in MB, measured on linux/amd64 as built here.
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
            Self::ArgoCd => "cmd",
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
            Self::Kubelet => row("kubelet", Module::Kubernetes, "k8s.io/kubernetes/cmd/kubelet", 85),
            Self::Containerd => {
                row("containerd", Module::Containerd, "github.com/containerd/containerd/v2/cmd/containerd", 40)
            }
            Self::ContainerdShim => row(
                "containerd-shim-runc-v2",
                Module::Containerd,
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
                15,
            ),
            Self::Ctr => row("ctr", Module::Containerd, "github.com/containerd/containerd/v2/cmd/ctr", 24),
            Self::CniPtp => {
                row("ptp", Module::CniPlugins, "github.com/containernetworking/plugins/plugins/main/ptp", 4)
            }
            Self::CniLoopback => {
                row("loopback", Module::CniPlugins, "github.com/containernetworking/plugins/plugins/main/loopback", 4)
            }
            Self::CniHostLocal => row(
                "host-local",
                Module::CniPlugins,
                "github.com/containernetworking/plugins/plugins/ipam/host-local",
                4,
            ),
            Self::Gitea => row("gitea", Module::Gitea, "code.gitea.io/gitea", 110),
            Self::ArgoCd => row("argocd", Module::ArgoCd, "github.com/argoproj/argo-cd/v3/cmd", 165),
            Self::SourceController => {
                row("source-controller", Module::Flux, "github.com/fluxcd/source-controller", 105)
            }
            Self::Kind => row("kind", Module::Kind, "sigs.k8s.io/kind", 12),
            Self::Kubeadm => row("kubeadm", Module::Kubernetes, "k8s.io/kubernetes/cmd/kubeadm", 75),
            Self::Kubectl => row("kubectl", Module::Kubernetes, "k8s.io/kubernetes/cmd/kubectl", 65),
            Self::KubeScheduler => {
                row("kube-scheduler", Module::Kubernetes, "k8s.io/kubernetes/cmd/kube-scheduler", 75)
            }
            Self::KubeProxy => row("kube-proxy", Module::Kubernetes, "k8s.io/kubernetes/cmd/kube-proxy", 75),
            Self::Coredns => row("coredns", Module::Coredns, "github.com/coredns/coredns", 110),
            Self::CniPortmap => {
                row("portmap", Module::CniPlugins, "github.com/containernetworking/plugins/plugins/meta/portmap", 4)
            }
            Self::Crictl => row("crictl", Module::CriTools, "sigs.k8s.io/cri-tools/cmd/crictl", 45),
            Self::Vault => row("vault", Module::Vault, "github.com/hashicorp/vault", 75),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no part has, and those that there are.
#[derive(Debug, thiserror::Error)]
#[error("unknown part {name}; known are {known}")]
pub struct UnknownPart {
    name: String,
    known: String,
}

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|part| part.name() == name)
            .ok_or_else(|| UnknownPart { name: name.to_owned(), known: Self::ALL.map(Self::name).join(", ") })
    }
}

struct Row {
    name: &'static str,
    module: Module,
    package: &'static str,
    megabytes: u64,
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
    #[case(Part::Kubelet, "1.36.3")]
    #[case(Part::Containerd, "2.4.2")]
    #[case(Part::ContainerdShim, "2.4.2")]
    #[case(Part::Ctr, "2.4.2")]
    #[case(Part::CniPtp, "1.9.1")]
    #[case(Part::CniLoopback, "1.9.1")]
    #[case(Part::CniHostLocal, "1.9.1")]
    #[case(Part::Gitea, "1.26.0")]
    #[case(Part::ArgoCd, "3.6.1")]
    #[case(Part::SourceController, "1.9.3")]
    #[case(Part::Kind, "0.33.0")]
    #[case(Part::Kubeadm, "1.36.3")]
    #[case(Part::Kubectl, "1.36.3")]
    #[case(Part::KubeScheduler, "1.36.3")]
    #[case(Part::KubeProxy, "1.36.3")]
    #[case(Part::Coredns, "1.15.0")]
    #[case(Part::CniPortmap, "1.9.1")]
    #[case(Part::Crictl, "1.36.0")]
    #[case(Part::Vault, "1.14.2")]
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
    fn every_part_is_of_the_control_plane_or_templates_or_a_consumer_or_kind_or_a_store() {
        let all = [&Part::CONTROL_PLANE[..], &Part::TEMPLATES, &Part::CONSUMERS, &Part::KIND, &Part::STORES].concat();
        assert_eq!(Part::ALL.to_vec(), all);
    }

    #[test]
    fn every_name_parses_to_its_part() {
        for part in Part::ALL {
            assert_eq!(part.name().parse::<Part>().unwrap(), part);
        }
    }

    #[test]
    fn unknown_part_lists_the_known() {
        let error = "kube-dns".parse::<Part>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown part kube-dns; known are etcd, kube-apiserver, kube-controller-manager, external-secrets, \
             helm, kustomize, esoctl, kubelet, containerd, containerd-shim-runc-v2, ctr, ptp, loopback, host-local, \
             gitea, argocd, source-controller, kind, kubeadm, kubectl, kube-scheduler, kube-proxy, coredns, portmap, crictl, vault"
        );
    }
}
