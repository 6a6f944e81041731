//! Official releases: where they are, what proves them, and how the program is taken out.

use std::env::consts;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use reqwest::Url;

use super::cache::{self, Cache, failed};
use super::download::{Downloads, Failure};
use super::lock::Lock;
use super::{ComponentError, Origin, Part, Step, space};
use crate::supply::digest;

/// The release of one part for this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) part: Part,
    /// The address of the download.
    pub(super) url: Url,
    /// The publisher's list of checksums.
    pub(super) checksums: Url,
    /// SHA-256 of what `url` gives, where we have verified it ourselves; the publisher's list counts otherwise.
    pub(super) sha256: Option<&'static str>,
}

/// A file of a release, and the list that it is checked against.
struct Published {
    file: PublishedFile,
    /// Path of the list, at the same host.
    checksums: String,
}

struct PublishedFile {
    /// Scheme and host, as in `https://dl.k8s.io`.
    host: &'static str,
    path: String,
}

impl Published {
    /// The release of `part` for `architecture`; none when its publisher has none.
    fn of(part: Part, architecture: &str) -> Option<Self> {
        let version = part.version();
        let linux = format!("linux-{architecture}");
        let release = |repository, file| PublishedFile::on_github(repository, &format!("v{version}"), file);
        Some(match part {
            Part::KubeApiserver
            | Part::KubeControllerManager
            | Part::KubeScheduler
            | Part::KubeProxy
            | Part::Kubelet
            | Part::Kubeadm
            | Part::Kubectl => {
                PublishedFile::at("https://dl.k8s.io", format!("release/v{version}/bin/linux/{architecture}/{part}"))
                    .beside(".sha256")
            }
            Part::Etcd => release("etcd-io/etcd", format!("etcd-v{version}-{linux}.tar.gz")).listed_in("SHA256SUMS"),
            Part::Helm => {
                PublishedFile::at("https://get.helm.sh", format!("helm-v{version}-{linux}.tar.gz")).beside(".sha256sum")
            }
            Part::Kustomize => {
                let (tag, file) =
                    (format!("kustomize%2Fv{version}"), format!("kustomize_v{version}_linux_{architecture}.tar.gz"));
                PublishedFile::on_github("kubernetes-sigs/kustomize", &tag, file).listed_in("checksums.txt")
            }
            // containerd's other archive needs the C library that it was linked with.
            Part::Containerd | Part::ContainerdShim | Part::Ctr => {
                release("containerd/containerd", format!("containerd-static-{version}-{linux}.tar.gz"))
                    .beside(".sha256sum")
            }
            Part::CniPtp | Part::CniLoopback | Part::CniHostLocal | Part::CniPortmap => {
                release("containernetworking/plugins", format!("cni-plugins-{linux}-v{version}.tgz")).beside(".sha256")
            }
            Part::Gitea => release("go-gitea/gitea", format!("gitea-{version}-{linux}")).beside(".sha256"),
            Part::ArgoCd => release("argoproj/argo-cd", format!("argocd-{linux}")).listed_in("cli_checksums.txt"),
            Part::Kind => release("kubernetes-sigs/kind", format!("kind-{linux}")).beside(".sha256sum"),
            Part::Coredns => {
                release("coredns/coredns", format!("coredns_{version}_linux_{architecture}.tgz")).beside(".sha256")
            }
            Part::Crictl => {
                release("kubernetes-sigs/cri-tools", format!("crictl-v{version}-{linux}.tar.gz")).beside(".sha256")
            }
            // The operator is published in an image, see `image`; its tool for this version not at all. Flux's controller is
            // published in an image alone, and of Vault no archive is that is read here.
            Part::ExternalSecrets | Part::Esoctl | Part::SourceController | Part::Vault => return None,
        })
    }
}

impl PublishedFile {
    fn at(host: &'static str, path: String) -> Self {
        Self { host, path }
    }

    /// A file of the release that `tag` names.
    fn on_github(repository: &str, tag: &str, file: String) -> Self {
        Self::at("https://github.com", format!("{repository}/releases/download/{tag}/{file}"))
    }

    /// With its checksum in a file beside it, of the same name with a `suffix`.
    fn beside(self, suffix: &str) -> Published {
        Published { checksums: format!("{}{suffix}", self.path), file: self }
    }

    /// With its checksum in a `list` of all files of the release.
    fn listed_in(self, list: &str) -> Published {
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Published { checksums: format!("{folder}/{list}"), file: self }
    }
}

/// The machine's architecture as publishers name it; `None` when they publish nothing for it.
pub(super) fn architecture() -> Option<&'static str> {
    match (consts::OS, consts::ARCH) {
        ("linux", "x86_64") => Some("amd64"),
        ("linux", "aarch64") => Some("arm64"),
        _ => None,
    }
}

impl Release {
    /// The release of `part` for this machine.
    pub(super) fn here(part: Part, mirror: Option<&str>) -> Result<Self, Failure> {
        let none = |reason: &str| Failure::Unavailable(reason.to_owned());
        let architecture = architecture().ok_or_else(|| none("none is published for this machine"))?;
        Self::of(part, architecture, mirror)?.ok_or_else(|| none("its publisher has none"))
    }

    /// The release of `part` for `architecture`; `None` when its publisher has none.
    ///
    /// `mirror` takes the place of scheme and host, with the same paths behind it.
    ///
    /// # Errors
    /// When the mirror is not an address.
    fn of(part: Part, architecture: &str, mirror: Option<&str>) -> Result<Option<Self>, ComponentError> {
        let Some(Published { file, checksums }) = Published::of(part, architecture) else { return Ok(None) };
        let base = mirror.unwrap_or(file.host);
        Ok(Some(Self { part, url: address(base, &file.path)?, checksums: address(base, &checksums)?, sha256: None }))
    }

    /// The host that is asked, for a message.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The last element of the address.
    fn file_name(&self) -> &str {
        self.url.path().rsplit('/').next().unwrap_or_default()
    }

    /// Downloads and verifies the release and takes the program out of it.
    ///
    /// `lock` is that of the part's module.
    pub(super) async fn fetch(
        &self,
        downloads: &Downloads,
        cache: &Cache,
        lock: &Arc<Lock>,
        report: &(dyn Fn(&Step) + Sync),
    ) -> Result<(PathBuf, Origin), Failure> {
        let expected = match self.sha256 {
            Some(known) => known.to_owned(),
            None => {
                let list = downloads.text(&self.checksums).await?;
                listed(&list, self.file_name()).ok_or_else(|| {
                    let (list, name) = (&self.checksums, self.file_name());
                    Failure::Unavailable(format!("{list} gives no SHA-256 of {name}"))
                })?
            }
        };
        // An archive is smaller than the program in it, and both are there for a moment.
        space::check(self.part.name(), &[(cache.root(), 2 * self.part.megabytes())])?;
        let file = cache.download(self.part);
        downloads.file(&self.url, &file, report).await?;
        report(&Step::Verifying);
        let release = self.clone();
        Ok(lock.during(move || release.finish(&file, &expected)).await?)
    }

    /// Verifies the download and takes the program out of it.
    fn finish(&self, file: &Path, expected: &str) -> Result<(PathBuf, Origin), ComponentError> {
        let (found, _) = digest::sha256(file).map_err(failed("read", file))?;
        if found != expected {
            cache::remove(file)?;
            let (url, expected) = (self.url.to_string(), expected.to_owned());
            return Err(ComponentError::Checksum { part: self.part, url, expected, found });
        }
        let origin = Origin::Release { url: self.url.to_string() };
        if ![".tar.gz", ".tgz"].iter().any(|ending| self.file_name().ends_with(ending)) {
            return Ok((file.to_owned(), origin));
        }
        let program = file.with_extension("program");
        unpack(file, self.part.name(), &program).map_err(failed("unpack", file))?;
        cache::remove(file)?;
        Ok((program, origin))
    }
}

fn address(base: &str, path: &str) -> Result<Url, ComponentError> {
    let bad = || ComponentError::Mirror { mirror: base.to_owned() };
    let url = Url::parse(&format!("{}/{path}", base.trim_end_matches('/'))).map_err(|_| bad())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(bad()) }
}

/// The SHA-256 of `name` in a list as `sha256sum` writes it, or in a list that is one checksum and no name.
fn listed(list: &str, name: &str) -> Option<String> {
    list.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let sum = words.next().filter(|sum| sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        // A star marks a file that was read as binary.
        let matches = words.next().is_none_or(|found| found.trim_start_matches('*') == name);
        matches.then(|| sum.to_ascii_lowercase())
    })
}

/// Takes the one file called `name` out of an archive.
pub(super) fn unpack(archive: &Path, name: &str, to: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(archive)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() && entry.path()?.file_name().is_some_and(|found| found == name) {
            io::copy(&mut entry, &mut File::create(to)?)?;
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("the archive holds no file {name}")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[rstest]
    #[case::bare(format!("{SUM}\n"), Some(SUM))]
    #[case::named(format!("{SUM}  etcd.tar.gz\n"), Some(SUM))]
    #[case::binary(format!("{SUM} *etcd.tar.gz\n"), Some(SUM))]
    #[case::upper_case(format!("{}  etcd.tar.gz", SUM.to_uppercase()), Some(SUM))]
    #[case::among_others(format!("{}  other.tar.gz\n{SUM}  etcd.tar.gz\n", "0".repeat(64)), Some(SUM))]
    #[case::only_others(format!("{SUM}  other.tar.gz\n"), None)]
    #[case::longer_name(format!("{SUM}  etcd.tar.gz.asc\n"), None)]
    #[case::no_checksum("<html>not found</html>".to_owned(), None)]
    #[case::too_short("abc\n".to_owned(), None)]
    fn checksum_is_found_by_file_name(#[case] list: String, #[case] expected: Option<&str>) {
        assert_eq!(listed(&list, "etcd.tar.gz").as_deref(), expected);
    }

    #[rstest]
    #[case(
        Part::KubeApiserver,
        "https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kube-apiserver",
        "https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kube-apiserver.sha256"
    )]
    #[case(
        Part::Kubelet,
        "https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet",
        "https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet.sha256"
    )]
    #[case(
        Part::ContainerdShim,
        "https://github.com/containerd/containerd/releases/download/v2.4.2/\
         containerd-static-2.4.2-linux-amd64.tar.gz",
        "https://github.com/containerd/containerd/releases/download/v2.4.2/\
         containerd-static-2.4.2-linux-amd64.tar.gz.sha256sum"
    )]
    #[case(
        Part::CniHostLocal,
        "https://github.com/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz",
        "https://github.com/containernetworking/plugins/releases/download/v1.9.1/\
         cni-plugins-linux-amd64-v1.9.1.tgz.sha256"
    )]
    #[case(
        Part::Gitea,
        "https://github.com/go-gitea/gitea/releases/download/v1.26.0/gitea-1.26.0-linux-amd64",
        "https://github.com/go-gitea/gitea/releases/download/v1.26.0/gitea-1.26.0-linux-amd64.sha256"
    )]
    #[case(
        Part::ArgoCd,
        "https://github.com/argoproj/argo-cd/releases/download/v3.6.1/argocd-linux-amd64",
        "https://github.com/argoproj/argo-cd/releases/download/v3.6.1/cli_checksums.txt"
    )]
    #[case(
        Part::Etcd,
        "https://github.com/etcd-io/etcd/releases/download/v3.6.8/etcd-v3.6.8-linux-amd64.tar.gz",
        "https://github.com/etcd-io/etcd/releases/download/v3.6.8/SHA256SUMS"
    )]
    #[case(
        Part::Helm,
        "https://get.helm.sh/helm-v4.3.1-linux-amd64.tar.gz",
        "https://get.helm.sh/helm-v4.3.1-linux-amd64.tar.gz.sha256sum"
    )]
    #[case(
        Part::Kustomize,
        "https://github.com/kubernetes-sigs/kustomize/releases/download/kustomize%2Fv5.8.2/\
         kustomize_v5.8.2_linux_amd64.tar.gz",
        "https://github.com/kubernetes-sigs/kustomize/releases/download/kustomize%2Fv5.8.2/checksums.txt"
    )]
    #[case(
        Part::Kind,
        "https://github.com/kubernetes-sigs/kind/releases/download/v0.33.0/kind-linux-amd64",
        "https://github.com/kubernetes-sigs/kind/releases/download/v0.33.0/kind-linux-amd64.sha256sum"
    )]
    #[case(
        Part::Coredns,
        "https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_amd64.tgz",
        "https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_amd64.tgz.sha256"
    )]
    #[case(
        Part::Crictl,
        "https://github.com/kubernetes-sigs/cri-tools/releases/download/v1.36.0/crictl-v1.36.0-linux-amd64.tar.gz",
        "https://github.com/kubernetes-sigs/cri-tools/releases/download/v1.36.0/\
         crictl-v1.36.0-linux-amd64.tar.gz.sha256"
    )]
    fn release_is_where_its_publisher_puts_it(#[case] part: Part, #[case] url: &str, #[case] checksums: &str) {
        let release = Release::of(part, "amd64", None).unwrap().unwrap();
        assert_eq!((release.url.as_str(), release.checksums.as_str()), (url, checksums));
    }

    #[test]
    fn mirror_takes_the_place_of_scheme_and_host() {
        let release = Release::of(Part::Helm, "arm64", Some("http://mirror.test/upstream/")).unwrap().unwrap();
        assert_eq!(release.url.as_str(), "http://mirror.test/upstream/helm-v4.3.1-linux-arm64.tar.gz");
    }

    #[rstest]
    #[case("mirror.test")]
    #[case("file:///srv/mirror")]
    #[case("")]
    fn mirror_that_is_no_address_is_an_error(#[case] mirror: &str) {
        let error = Release::of(Part::Helm, "amd64", Some(mirror)).unwrap_err();
        assert_eq!(error.to_string(), format!("failed to use the mirror {mirror}: not an http or https URL"));
    }
}
