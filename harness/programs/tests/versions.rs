//! `fixtures/versions.toml` and the pins of the components agree.

use credence_programs::supply::Part;

#[test]
fn the_listed_versions_are_the_pinned_ones() {
    let listed: toml::Table = include_str!("../../../fixtures/versions.toml").parse().unwrap();
    for (part, name) in [
        (Part::Etcd, "etcd"),
        (Part::KubeApiserver, "kubernetes"),
        (Part::KubeControllerManager, "kubernetes"),
        (Part::ExternalSecrets, "external-secrets"),
        (Part::Esoctl, "external-secrets"),
        (Part::Helm, "helm"),
        (Part::Kustomize, "kustomize"),
        (Part::Kubelet, "kubernetes"),
        (Part::Containerd, "containerd"),
        (Part::ContainerdShim, "containerd"),
        (Part::Ctr, "containerd"),
        (Part::CniPtp, "cni-plugins"),
        (Part::CniLoopback, "cni-plugins"),
        (Part::CniHostLocal, "cni-plugins"),
        (Part::Gitea, "gitea"),
        (Part::ArgoCd, "argo-cd"),
        (Part::SourceController, "source-controller"),
        (Part::Kind, "kind"),
        (Part::Kubeadm, "kubernetes"),
        (Part::Kubectl, "kubernetes"),
        (Part::KubeScheduler, "kubernetes"),
        (Part::KubeProxy, "kubernetes"),
        (Part::Coredns, "coredns"),
        (Part::CniPortmap, "cni-plugins"),
        (Part::Crictl, "cri-tools"),
        (Part::Vault, "vault"),
    ] {
        assert_eq!(listed[name]["version"].as_str(), Some(part.version()), "{}", part.name());
    }
}
