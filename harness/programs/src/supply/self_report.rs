//! Facts that a program that the user gives tells of itself: its version, and of External Secrets Operator also its providers.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::build_info::BuildInfo;
use super::module::Module;
use super::{ComponentError, Part};

/// Time that a program may take to say its version.
const WITHIN: Duration = Duration::from_secs(10);
/// Words that programs that serve as Vault print before their version.
const VAULTS: [&str; 2] = ["Vault v", "OpenBao v"];
/// Upstream's build tag of all store providers, and the provider that has no tag (`pkg/register` from 1.0 on).
const ALL_PROVIDERS: &str = "all_providers";
const UNTAGGED: &str = "kubernetes";

/// Facts that a program tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SelfReport {
    /// Its version, without a leading `v`.
    pub(super) version: Option<String>,
    /// The store providers that it is built with, of External Secrets Operator.
    pub(super) providers: Option<String>,
}

impl SelfReport {
    /// Asks a program: what Go wrote into it, and else itself.
    ///
    /// # Errors
    /// When it is given as External Secrets Operator or as Vault and is something else.
    pub(super) async fn by(part: Part, program: &Path) -> Result<Self, ComponentError> {
        let module = part.module();
        let path = program.to_owned();
        let read = tokio::task::spawn_blocking(move || BuildInfo::read(&path));
        // Nothing aborts it, so an error is a panic, which goes on here.
        let info = read.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let operator = (part == Part::ExternalSecrets).then_some(Module::ExternalSecrets.path());
        if let Some(operator) = operator {
            let other = |source| ComponentError::NotExternalSecrets { path: program.to_owned(), source };
            let info = info.map_err(|error| other(Some(error)))?;
            if !info.has(operator) {
                return Err(other(None));
            }
            let version = info.release_of(operator).map(str::to_owned);
            return Ok(Self { version, providers: info.setting("-tags").and_then(providers) });
        }
        if part == Part::Vault {
            let printed = printed(program, question(part).unwrap_or_default()).await.unwrap_or_default();
            if !VAULTS.iter().any(|name| printed.starts_with(name)) {
                return Err(ComponentError::NotVault { path: program.to_owned() });
            }
            return Ok(Self { version: version_in(&printed), providers: None });
        }
        let version = info.ok().and_then(|info| info.release_of(module.path()).map(str::to_owned));
        let version = match (version, question(part)) {
            (None, Some(question)) => answer(program, question).await,
            (version, _) => version,
        };
        Ok(Self { version, providers: None })
    }
}

/// The arguments with which a program prints its version and ends; none if it knows none.
fn question(part: Part) -> Option<&'static [&'static str]> {
    Some(match part {
        Part::Helm => &["version", "--short"],
        Part::Kustomize | Part::Vault => &["version"],
        Part::Kubeadm => &["version", "--output", "short"],
        Part::Kubectl => &["version", "--client"],
        Part::Coredns => &["-version"],
        Part::ContainerdShim => &["-v"],
        Part::ArgoCd => &["version", "--client", "--short"],
        Part::ExternalSecrets | Part::Esoctl | Part::SourceController => return None,
        Part::CniPtp | Part::CniLoopback | Part::CniHostLocal | Part::CniPortmap => return None,
        Part::Etcd
        | Part::KubeApiserver
        | Part::KubeControllerManager
        | Part::Kubelet
        | Part::Containerd
        | Part::Ctr
        | Part::Gitea
        | Part::Kind
        | Part::KubeScheduler
        | Part::KubeProxy
        | Part::Crictl => &["--version"],
    })
}

/// The version in what a program prints; none if it fails, prints none or takes too long.
async fn answer(program: &Path, question: &[&str]) -> Option<String> {
    version_in(&printed(program, question).await?)
}

/// Output of a program; none if it fails or takes too long.
async fn printed(program: &Path, question: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(question).env_clear().stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(WITHIN, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first word that is three numbers with dots between them, and may go on behind a hyphen or a plus.
fn version_in(printed: &str) -> Option<String> {
    let is_edge = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '{' | '}' | '"' | ':');
    let words = printed.split(is_edge).map(|word| word.trim_start_matches("kustomize/").trim_start_matches('v'));
    let is_version = |word: &&str| {
        let numbers: Vec<&str> = word.split(['-', '+']).next().unwrap_or_default().split('.').collect();
        numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
    };
    words.into_iter().find(is_version).map(str::to_owned)
}

/// The store providers that build tags add; none if they add none, which says nothing of a version without tags.
fn providers(tags: &str) -> Option<String> {
    let mut names: Vec<&str> = tags.split([',', ' ']).filter(|tag| !tag.is_empty()).collect();
    if names.contains(&ALL_PROVIDERS) {
        return Some(super::Providers::All.describe());
    }
    names.push(UNTAGGED);
    names.sort_unstable();
    (names.len() > 1).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::process::test_program;
    use crate::supply::build_info::testing;

    #[rstest]
    #[case::etcd("etcd Version: 3.6.8\nGit SHA: Not provided\nGo Version: go1.26.8\n", Some("3.6.8"))]
    #[case::kubernetes("Kubernetes v1.36.3\n", Some("1.36.3"))]
    #[case::helm("v4.3.1+gabcdef0\n", Some("4.3.1+gabcdef0"))]
    #[case::containerd("containerd github.com/containerd/containerd/v2 v2.4.2 \n", Some("2.4.2"))]
    #[case::kubectl("Client Version: v1.36.3\nKustomize Version: v5.8.1\n", Some("1.36.3"))]
    #[case::kind("kind version 0.33.0\n", Some("0.33.0"))]
    #[case::development("Kubernetes v0.0.0-master+$Format:%H$\n", Some("0.0.0-master+$Format"))]
    #[case::nothing("usage: etcd\n", None)]
    fn a_version_is_found_in_what_is_printed(#[case] printed: &str, #[case] version: Option<&str>) {
        assert_eq!(version_in(printed).as_deref(), version);
    }

    #[tokio::test]
    async fn a_program_is_asked_and_one_that_fails_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("etcd");
        test_program::write(&program, "#!/bin/sh\n[ \"$1\" = --version ] && echo etcd Version: 3.5.1\n");
        assert_eq!(SelfReport::by(Part::Etcd, &program).await.unwrap().version.as_deref(), Some("3.5.1"));
        // It knows no such argument.
        assert_eq!(SelfReport::by(Part::Helm, &program).await.unwrap(), SelfReport::default());
    }

    #[tokio::test]
    async fn a_program_of_go_says_the_release_of_its_module_and_is_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("kind");
        testing::write(&program, "mod\tsigs.k8s.io/kind\tv0.31.0\th1:a=\n");
        assert_eq!(SelfReport::by(Part::Kind, &program).await.unwrap().version.as_deref(), Some("0.31.0"));
    }

    #[rstest]
    #[case::by_tags(
        "mod\tOPERATOR\tv2.9.0+incompatible\t\nbuild\t-tags=vault,fake\n",
        Some("2.9.0"),
        Some("fake, kubernetes, vault")
    )]
    #[case::of_the_published_image(
        "dep\tOPERATOR\t(devel)\t\nbuild\t-tags=all_providers\n",
        None,
        Some("all of upstream's")
    )]
    #[case::without_tags("mod\tx\t(devel)\t\ndep\tOPERATOR\tv0.20.4\t\n", Some("0.20.4"), None)]
    #[tokio::test]
    async fn an_operator_says_its_release_and_its_providers(
        #[case] text: &str,
        #[case] version: Option<&str>,
        #[case] providers: Option<&str>,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("external-secrets");
        testing::write(&program, &text.replace("OPERATOR", Module::ExternalSecrets.path()));
        let said = SelfReport::by(Part::ExternalSecrets, &program).await.unwrap();
        assert_eq!((said.version.as_deref(), said.providers.as_deref()), (version, providers));
    }

    #[rstest]
    #[case::vault("Vault v1.14.2 (abc), built 2023", Some("1.14.2"))]
    #[case::open_bao("OpenBao v2.1.0 (abc)", Some("2.1.0"))]
    #[case::another_program("Terraform v1.9.0", None)]
    #[tokio::test]
    async fn what_does_not_answer_as_vault_is_refused(#[case] printed: &str, #[case] version: Option<&str>) {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("vault");
        test_program::write(&program, &format!("#!/bin/sh\n[ \"$1\" = version ] && echo '{printed}'\n"));
        match (SelfReport::by(Part::Vault, &program).await, version) {
            (Ok(said), Some(version)) => assert_eq!(said.version.as_deref(), Some(version)),
            (Err(error @ ComponentError::NotVault { .. }), None) => {
                assert!(error.is_usage() && error.to_string().contains(&program.display().to_string()), "{error}");
            }
            (other, _) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_no_operator_is_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("external-secrets");
        test_program::write(&program, "#!/bin/sh\nexit 0\n");
        let error = SelfReport::by(Part::ExternalSecrets, &program).await.unwrap_err();
        assert!(matches!(&error, ComponentError::NotExternalSecrets { source: Some(_), .. }), "{error}");
        assert!(error.to_string().contains(&program.display().to_string()), "{error}");
        testing::write(&program, "mod\texample.org/x\tv1.0.0\t\n");
        let error = SelfReport::by(Part::ExternalSecrets, &program).await.unwrap_err();
        assert!(matches!(error, ComponentError::NotExternalSecrets { source: None, .. }), "{error}");
    }
}
