//! Files of the controller, in place of its image's own file system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::{fs, io};

use credence_core::file_error::FileError;
use credence_programs::process::Program;
use credence_programs::process::path::find_program;
use credence_programs::supply::UserKargo;

use super::KargoError;
use super::release::Release;
use crate::forge::Network;

/// The program that tells git the password, beside the controller in Kargo's image.
const HELPER: &str = "credential-helper";
/// Script of that program, for a controller that was given without it (cmd/credential-helper/main.go).
const OWN_HELPER: &str = "#!/bin/sh\nprintf '%s\\n' \"$GIT_PASSWORD\"\n";

/// A directory that belongs to one controller.
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// Prepares `directory`, which may exist.
    pub(super) fn write(directory: &Path, supplied: &UserKargo, network: &Network) -> Result<Self, KargoError> {
        let files = Self { directory: directory.to_owned() };
        for name in ["bin", "empty", "home", "temporary"] {
            let path = files.path(name);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(FileError::of::<KargoError>("create", &path))?;
        }
        let authorities = files.path("authorities.pem");
        fs::write(&authorities, &network.authorities).map_err(FileError::of::<KargoError>("write", &authorities))?;
        let helper = files.path("bin").join(HELPER);
        let beside = supplied.program.with_file_name(HELPER);
        if beside.is_file() {
            match symlink(&beside, &helper) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(FileError::of::<KargoError>("create", &helper)(error));
                }
                _ => {}
            }
        } else {
            write_program(&helper, OWN_HELPER)?;
        }
        // Its absence is a reason for not running the controller, and that has been asked for.
        let git = find_program("git").unwrap_or_else(|| "git".into());
        write_program(&files.path("bin/git"), &wrapper(&git, &helper, &authorities))?;
        Ok(files)
    }

    /// Path of the controller's kubeconfig.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// The controller's program with arguments and environment.
    pub(super) fn controller(&self, supplied: &UserKargo, release: &Release, network: &Network) -> Program {
        let mut environment: BTreeMap<String, OsString> =
            release.environment.iter().map(|(key, value)| (key.clone(), value.into())).collect();
        let own: [(&str, OsString); 7] = [
            ("KUBECONFIG", self.kubeconfig().into()),
            ("HOME", self.path("home").into()),
            ("PATH", self.path("bin").into()),
            ("TMPDIR", self.path("temporary").into()),
            // The registry client reads these; git has its own, in the wrapper.
            ("SSL_CERT_FILE", self.path("authorities.pem").into()),
            ("SSL_CERT_DIR", self.path("empty").into()),
            // In lower case it is passed on to git (pkg/controller/git/base_repo.go).
            ("https_proxy", network.https_proxy.clone().into()),
        ];
        environment.extend(own.map(|(key, value)| (key.to_owned(), value)));
        Program {
            name: "kargo-controller".to_owned(),
            executable: supplied.program.clone(),
            arguments: release.arguments.iter().map(Into::into).collect(),
            environment,
            log: self.path("kargo-controller.log"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn write_program(path: &Path, text: &str) -> Result<(), KargoError> {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .map_err(FileError::of::<KargoError>("write", path))
}

/// The `git` that the controller runs. Kargo gives git an environment of its own (pkg/controller/git/base_repo.go), in
/// which the helper has the fixed place that it has in the image, and trust is that of the image's file system. Neither
/// may be changed on this machine, so both are told to git here; what the helper answers stays as Kargo passes it on.
fn wrapper(git: &Path, helper: &Path, authorities: &Path) -> String {
    let [git, helper, authorities] = [git, helper, authorities].map(quoted);
    format!(
        "#!/bin/sh\n\
         [ -z \"$GIT_ASKPASS\" ] || GIT_ASKPASS={helper}\n\
         export GIT_ASKPASS GIT_SSL_CAINFO={authorities} GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 LC_ALL=C\n\
         exec {git} \"$@\"\n"
    )
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use credence_programs::process::test_program;

    use super::*;

    fn network() -> Network {
        Network { https_proxy: "http://127.0.0.1:1".to_owned(), authorities: "authority".to_owned() }
    }

    fn supplied(directory: &Path) -> UserKargo {
        UserKargo { program: directory.join("kargo"), chart: directory.join("chart") }
    }

    #[test]
    fn a_directory_can_be_prepared_twice_with_a_helper_of_the_user_s_and_without() {
        for helper in [false, true] {
            let theirs = tempfile::tempdir().unwrap();
            if helper {
                write_program(&theirs.path().join(HELPER), "#!/bin/sh\necho theirs\n").unwrap();
            }
            let directory = tempfile::tempdir().unwrap();
            Files::write(directory.path(), &supplied(theirs.path()), &network()).unwrap();
            Files::write(directory.path(), &supplied(theirs.path()), &network()).unwrap();
            // Not by itself: a test that forks meanwhile may have it open for writing.
            let helper_here = directory.path().join("bin").join(HELPER);
            let said = Command::new("/bin/sh").arg(helper_here).env("GIT_PASSWORD", "a  \\n'").output();
            let expected = if helper { "theirs\n" } else { "a  \\n'\n" };
            assert_eq!(String::from_utf8(said.unwrap().stdout).unwrap(), expected);
        }
    }

    #[test]
    fn git_is_told_of_helper_and_trust_whatever_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("it's here");
        fs::create_dir(&place).unwrap();
        let git = place.join("real git");
        test_program::write(&git, "#!/bin/sh\necho \"${GIT_ASKPASS-none} $GIT_SSL_CAINFO $1\"\n");
        let path = place.join("git");
        write_program(&path, &wrapper(&git, Path::new("/helper"), Path::new("/ca"))).unwrap();
        let said = |asked: Option<&str>| {
            let mut command = Command::new("/bin/sh");
            command.arg(&path).arg("a b").env_clear().envs(asked.map(|asked| ("GIT_ASKPASS", asked)));
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        assert_eq!(said(Some("/usr/local/bin/credential-helper")), "/helper /ca a b\n");
        assert_eq!(said(None), "none /ca a b\n");
    }
}
