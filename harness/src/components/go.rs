//! The Go toolchain of the machine.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::process::Command;

use super::ComponentError;

/// The first Go that can replace itself by the version that a `go.mod` asks for (<https://go.dev/doc/toolchain>).
const FIRST_WITH_TOOLCHAINS: (u32, u32, u32) = (1, 21, 0);

/// A Go that builds what is pinned.
#[derive(Debug, Clone)]
pub(super) struct Go {
    command: PathBuf,
    /// As Go names it: `go1.26.8`.
    pub(super) version: String,
    /// Where compiled packages go.
    pub(super) build_cache: PathBuf,
    /// Where sources go.
    pub(super) module_cache: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Environment {
    #[serde(default)]
    goversion: String,
    #[serde(default)]
    gotoolchain: String,
    gocache: PathBuf,
    #[serde(default)]
    gomodcache: PathBuf,
}

impl Go {
    /// Asks `command` what it is, and refuses one that is older than `needed`, as in `1.26.0`.
    pub(super) async fn find(command: &Path, needed: &str) -> Result<Self, ComponentError> {
        let output = Command::new(command)
            .args(["env", "-json", "GOVERSION", "GOTOOLCHAIN", "GOCACHE", "GOMODCACHE"])
            // A go.mod around the current directory could choose another toolchain.
            .current_dir("/")
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| ComponentError::NoGo {
                command: command.to_owned(),
                needed: needed.to_owned(),
                source,
            })?;
        let broken = |said: &[u8]| ComponentError::Go {
            command: format!("{} env", command.display()),
            output: String::from_utf8_lossy(said).trim().to_owned(),
        };
        if !output.status.success() {
            return Err(broken(&output.stderr));
        }
        let found: Environment = serde_json::from_slice(&output.stdout).map_err(|_| broken(&output.stdout))?;
        if !is_enough(&found.goversion, &found.gotoolchain, needed) {
            return Err(ComponentError::OldGo { found: found.goversion, needed: needed.to_owned() });
        }
        Ok(Self {
            command: command.to_owned(),
            version: found.goversion,
            build_cache: found.gocache,
            module_cache: found.gomodcache,
        })
    }

    /// A Go command in `module`, kept apart from whatever else the user builds.
    pub(super) fn command(&self, module: &Path) -> Command {
        let mut command = Command::new(&self.command);
        command
            .current_dir(module)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "")
            .env("GO111MODULE", "on")
            // A go.work above the cache would hide the pinned module.
            .env("GOWORK", "off")
            // The programs are run here, so variables for cross-compilation must not reach them.
            .env_remove("GOOS")
            .env_remove("GOARCH")
            .kill_on_drop(true);
        command
    }

    /// Runs a short Go command and gives what it wrote.
    pub(super) async fn output(&self, module: &Path, arguments: &[&str]) -> Result<Vec<u8>, ComponentError> {
        let failed = |output| ComponentError::Go { command: format!("go {}", arguments.join(" ")), output };
        let output = self.command(module).args(arguments).output().await;
        let output = output.map_err(|error: io::Error| failed(error.to_string()))?;
        if !output.status.success() {
            let said = [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
            return Err(failed(said.join("\n").trim().to_owned()));
        }
        Ok(output.stdout)
    }
}

/// Whether this Go builds a module that needs `needed`, by itself or with a newer toolchain that it may fetch.
fn is_enough(version: &str, toolchain: &str, needed: &str) -> bool {
    let (Some(found), Some(needed)) = (numbers(version), numbers(needed)) else { return false };
    let may_replace_itself = found >= FIRST_WITH_TOOLCHAINS
        && (matches!(toolchain, "auto" | "path") || toolchain.ends_with("+auto") || toolchain.ends_with("+path"));
    found >= needed || may_replace_itself
}

/// The numbers in `go1.26.8`, `1.26.0`, `go1.27rc1`, `go1.26.1 X:nodwarf5` or `devel go1.28-abc`.
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let word = version.split_whitespace().find(|word| word.starts_with("go1.") || word.starts_with("1."))?;
    let mut numbers = word.trim_start_matches("go").split('.').map_while(|number| {
        let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    Some((numbers.next()?, numbers.next()?, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::newer("go1.26.8", "local", true)]
    #[case::the_same("go1.26.0", "local", true)]
    #[case::next_minor("go1.27.0", "local", true)]
    #[case::candidate("go1.27rc1", "local", true)]
    #[case::with_experiment("go1.26.1 X:nodwarf5", "local", true)]
    #[case::development("devel go1.28-0a1b2c3", "local", true)]
    #[case::old_and_fixed("go1.24.4", "local", false)]
    #[case::old_and_chosen("go1.24.4", "go1.24.4", false)]
    #[case::old_but_may_fetch("go1.24.4", "auto", true)]
    #[case::old_but_may_fetch_from_a_base("go1.24.4", "go1.24.4+auto", true)]
    #[case::too_old_to_know_toolchains("go1.19.8", "", false)]
    #[case::says_nothing("", "", false)]
    fn go_is_enough_when_it_or_its_toolchain_is_new(
        #[case] version: &str,
        #[case] toolchain: &str,
        #[case] enough: bool,
    ) {
        assert_eq!(is_enough(version, toolchain, "1.26.0"), enough);
    }

    #[tokio::test]
    async fn no_go_is_an_error_that_says_what_is_needed() {
        let error = Go::find(Path::new("/nowhere/go"), "1.26.0").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to run /nowhere/go: Go 1.26.0 or newer is needed; install it from https://go.dev/dl"
        );
    }

    #[tokio::test]
    async fn a_go_that_is_something_else_is_an_error_with_what_it_said() {
        let error = Go::find(Path::new("/bin/echo"), "1.26.0").await.unwrap_err();
        assert!(error.to_string().starts_with("failed to run /bin/echo env: env -json"), "{error}");
    }
}
