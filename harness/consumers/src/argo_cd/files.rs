//! Files that Argo CD's programs read, and how each is started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use credence_core::file_error::FileError;
use credence_programs::process::Program;

use super::{ArgoCdError, settings};
use crate::forge::Network;

/// The most bytes of a socket's path, without the final zero: see unix(7).
const SOCKET_PATH: usize = 107;
/// The script by which repo-server looks at the signature of a commit.
pub(super) const VERIFY_WRAPPER: &str = "git-verify-wrapper.sh";

/// The ports of the programs.
pub(super) struct Ports {
    pub(super) redis: u16,
    pub(super) repo_server: u16,
    pub(super) repo_server_metrics: u16,
    pub(super) controller_metrics: u16,
}

/// A directory that belongs to one Argo CD.
pub(super) struct Files {
    directory: PathBuf,
    kubeconfig: PathBuf,
    https_proxy: String,
    namespace: String,
}

impl Files {
    /// Prepares `directory`, which may exist, for an Argo CD in `namespace`.
    pub(super) fn write(
        directory: &Path,
        assets: &Path,
        network: &Network,
        namespace: &str,
        program: &Path,
        kubeconfig: &Path,
    ) -> Result<Self, ArgoCdError> {
        let files = Self {
            directory: directory.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            https_proxy: network.https_proxy.clone(),
            namespace: namespace.to_owned(),
        };
        let socket = files.path("ask-pass.sock");
        if socket.as_os_str().len() > SOCKET_PATH {
            return Err(ArgoCdError::SocketPath { path: socket, limit: SOCKET_PATH });
        }
        for name in ["bin", "empty", "home", "redis", "temporary"] {
            let path = files.path(name);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(FileError::of::<ArgoCdError>("create", &path))?;
        }
        let authorities = files.path("authorities.pem");
        fs::write(&authorities, &network.authorities).map_err(FileError::of::<ArgoCdError>("write", &authorities))?;
        // It runs for every revision, whether or not signatures count; without it nothing is deployed.
        let (from, to) = (assets.join("hack").join(VERIFY_WRAPPER), files.path("bin").join(VERIFY_WRAPPER));
        let script = fs::read(&from).map_err(FileError::of::<ArgoCdError>("read", &from))?;
        fs::write(&to, script)
            .and_then(|()| fs::set_permissions(&to, fs::Permissions::from_mode(0o700)))
            .map_err(FileError::of::<ArgoCdError>("write", &to))?;
        // Git is told to ask a program of this name for the credential.
        let link = files.path("bin/argocd");
        match symlink(program, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(FileError::of::<ArgoCdError>("create", &link)(error))
            }
            _ => Ok(files),
        }
    }

    /// Everything that redis-server keeps is a cache, so nothing is saved.
    pub(super) fn redis(&self, ports: &Ports) -> Program {
        let mut arguments = Arguments::default();
        arguments.add("--bind", "127.0.0.1");
        arguments.add("--port", ports.redis.to_string());
        arguments.add("--save", "");
        arguments.add("--appendonly", "no");
        arguments.add("--dir", self.path("redis"));
        self.program("redis-server", find("redis-server"), arguments, [])
    }

    pub(super) fn repo_server(&self, ports: &Ports) -> Program {
        let mut arguments = Arguments::default();
        arguments.add("--address", "127.0.0.1");
        arguments.add("--port", ports.repo_server.to_string());
        arguments.add("--metrics-address", "127.0.0.1");
        arguments.add("--metrics-port", ports.repo_server_metrics.to_string());
        arguments.add("--redis", format!("127.0.0.1:{}", ports.redis));
        arguments.flag("--disable-tls");
        // Its default is a file that only a pod has, and is refused together with the flag before.
        arguments.add("--client-ca-path", "");
        let authorities = self.path("authorities.pem");
        let environment: [(&str, OsString); 9] = [
            ("PATH", self.search_path()),
            ("TMPDIR", self.path("temporary").into()),
            // The clients of git and of Go each have their own variable, for all hosts; the empty directories keep
            // what this machine has installed for single hosts out.
            ("SSL_CERT_FILE", authorities.clone().into()),
            ("SSL_CERT_DIR", self.path("empty").into()),
            ("GIT_SSL_CAINFO", authorities.into()),
            ("ARGOCD_TLS_DATA_PATH", self.path("empty").into()),
            ("ARGOCD_SSH_DATA_PATH", self.path("empty").into()),
            ("HTTPS_PROXY", self.https_proxy.clone().into()),
            ("ARGOCD_ASK_PASS_SOCK", self.path("ask-pass.sock").into()),
        ];
        self.component("argocd-repo-server", arguments, environment, &settings::REPO_SERVER_VARIABLES)
    }

    pub(super) fn controller(&self, ports: &Ports) -> Program {
        let mut arguments = Arguments::default();
        arguments.add("--kubeconfig", &self.kubeconfig);
        arguments.add("--namespace", &self.namespace);
        arguments.add("--redis", format!("127.0.0.1:{}", ports.redis));
        arguments.add("--repo-server", format!("127.0.0.1:{}", ports.repo_server));
        arguments.flag("--repo-server-plaintext");
        // It listens on all interfaces, which no flag can change; what it tells are names and numbers.
        arguments.add("--metrics-port", ports.controller_metrics.to_string());
        settings::CONTROLLER_FLAGS.iter().for_each(|(name, value)| arguments.add(name, value));
        let environment: [(&str, OsString); 3] = [
            ("TMPDIR", self.path("temporary").into()),
            ("KUBECONFIG", self.kubeconfig.clone().into()),
            // The cluster https://kubernetes.default.svc is then the one of the kubeconfig.
            ("ARGOCD_FAKE_IN_CLUSTER", "true".into()),
        ];
        self.component("argocd-application-controller", arguments, environment, &settings::CONTROLLER_VARIABLES)
    }

    /// Gives back the rights to its own clones that repo-server has taken from everybody while it does not use them, so
    /// that any user can remove them.
    pub(super) fn unlock(&self) {
        let clones = self.path("temporary/_argocd-repo");
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        // What cannot be opened is gone, or shows when the directory is removed.
        open(&clones).ok();
        for clone in fs::read_dir(&clones).into_iter().flatten().flatten() {
            open(&clone.path()).ok();
        }
    }

    /// A program of the multi-call binary, which an environment variable selects.
    fn component<const N: usize>(
        &self,
        name: &str,
        arguments: Arguments,
        environment: [(&str, OsString); N],
        variables: &[(&str, &str)],
    ) -> Program {
        let mut program = self.program(name, self.path("bin/argocd"), arguments, environment);
        program.environment.extend(variables.iter().map(|(key, value)| ((*key).to_owned(), value.into())));
        program.environment.insert("ARGOCD_BINARY_NAME".to_owned(), name.into());
        program.environment.insert("ARGOCD_APP_CONF_PATH".to_owned(), self.path("empty").into());
        program
    }

    fn program<const N: usize>(
        &self,
        name: &str,
        executable: PathBuf,
        Arguments(arguments): Arguments,
        environment: [(&str, OsString); N],
    ) -> Program {
        let mut environment: BTreeMap<String, OsString> =
            environment.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        environment.insert("HOME".to_owned(), self.path("home").into());
        Program { name: name.to_owned(), executable, arguments, environment, log: self.path(&format!("{name}.log")) }
    }

    /// Our own directory of programs before those of this process.
    fn search_path(&self) -> OsString {
        let mut path = self.path("bin").into_os_string();
        if let Some(rest) = env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.push(name.into());
        self.0.push(value.as_ref().to_owned());
    }

    fn flag(&mut self, name: &str) {
        self.0.push(name.into());
    }
}

/// The program as the `PATH` has it; the bare name where it has not, which then cannot be started.
fn find(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file()).unwrap_or(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assets() -> tempfile::TempDir {
        let assets = tempfile::tempdir().unwrap();
        fs::create_dir(assets.path().join("hack")).unwrap();
        fs::write(assets.path().join("hack").join(VERIFY_WRAPPER), "#!/bin/sh\n").unwrap();
        assets
    }

    fn write(directory: &Path) -> Result<Files, ArgoCdError> {
        let network = Network { https_proxy: "http://127.0.0.1:1".to_owned(), authorities: String::new() };
        let (program, kubeconfig) = (Path::new("/bin/true"), Path::new("/kubeconfig"));
        Files::write(directory, assets().path(), &network, "argocd", program, kubeconfig)
    }

    #[test]
    fn a_socket_path_that_the_kernel_refuses_is_an_error_of_its_own() {
        let outcome = write(&Path::new("/").join("a".repeat(100)));
        assert!(matches!(outcome, Err(ArgoCdError::SocketPath { limit: 107, .. })));
    }

    #[test]
    fn clones_that_nobody_may_read_can_be_removed_after_unlocking() {
        let directory = tempfile::tempdir().unwrap();
        let files = write(directory.path()).unwrap();
        let clone = directory.path().join("temporary/_argocd-repo/a");
        fs::create_dir_all(&clone).unwrap();
        fs::set_permissions(&clone, fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(clone.parent().unwrap(), fs::Permissions::from_mode(0o300)).unwrap();
        files.unlock();
        assert_eq!(fs::metadata(&clone).unwrap().permissions().mode() & 0o777, 0o700);
        fs::read_dir(clone.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_directory_can_be_prepared_twice() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        write(directory.path()).unwrap();
    }

    #[test]
    fn the_programs_that_git_and_repo_server_run_can_be_run() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        for name in ["argocd", VERIFY_WRAPPER] {
            let mode = fs::metadata(directory.path().join("bin").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o100, 0o100, "{name}");
        }
    }
}
