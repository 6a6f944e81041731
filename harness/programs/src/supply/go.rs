//! The Go toolchain of the machine.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use super::module::Module;
use super::{ComponentError, PATIENCE};
use crate::process::priority::Priority;

/// The first Go that can replace itself by the version that it is told (<https://go.dev/doc/toolchain>).
const FIRST_WITH_TOOLCHAINS: (u32, u32, u32) = (1, 21, 0);

/// Percent by which the compiler's memory may grow before it collects garbage: collecting at each doubling, as Go does if it
/// is told nothing, takes a fifth of the processor time of a build, and the compiler needs half a gigabyte at most with this.
const COLLECT_LATER: (&str, &str) = ("GOGC", "400");

/// A Go that builds what is pinned.
#[derive(Debug, Clone)]
pub(super) struct Go {
    command: PathBuf,
    /// Version in Go's own notation: `go1.26.8`.
    pub(super) version: String,
    /// Toolchain that the user lets it replace itself by, as in `local` or `auto`.
    toolchain: String,
    /// The C compiler that it calls, which may have arguments, as in `ccache gcc`.
    pub(super) c_compiler: String,
    /// Directory of compiled packages (`GOCACHE`).
    pub(super) build_cache: PathBuf,
    /// Directory of the modules' sources (`GOMODCACHE`).
    pub(super) module_cache: PathBuf,
    /// Share of the processors that it may take.
    priority: Priority,
    /// Time for which it may say nothing while it downloads.
    patience: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Environment {
    #[serde(default)]
    goversion: String,
    #[serde(default)]
    gotoolchain: String,
    #[serde(default)]
    cc: String,
    gocache: PathBuf,
    #[serde(default)]
    gomodcache: PathBuf,
}

impl Go {
    /// Asks `command` what it is, and refuses one that cannot build `module`.
    pub(super) async fn find(command: &Path, module: Module) -> Result<Self, ComponentError> {
        let output = Command::new(command)
            .args(["env", "-json", "GOVERSION", "GOTOOLCHAIN", "GOCACHE", "GOMODCACHE", "CC"])
            // A go.mod around the current directory could choose another toolchain.
            .current_dir("/")
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| ComponentError::NoGo {
                command: command.to_owned(),
                needed: module.go_version().to_owned(),
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
        let go = Self {
            command: command.to_owned(),
            version: found.goversion,
            toolchain: found.gotoolchain,
            c_compiler: found.cc,
            build_cache: found.gocache,
            module_cache: found.gomodcache,
            priority: Priority::Normal,
            patience: PATIENCE,
        };
        go.check(module)?;
        Ok(go)
    }

    /// The same at another priority.
    #[must_use]
    pub(super) fn at(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// The same with another time for module registries to say something.
    #[must_use]
    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Fails unless this Go, or a toolchain that it may obtain, builds `module`.
    pub(super) fn check(&self, module: Module) -> Result<(), ComponentError> {
        let needed = module.go_version();
        let is_told = module.toolchain().is_some() && numbers(&self.version) >= Some(FIRST_WITH_TOOLCHAINS);
        if is_told || is_enough(&self.version, &self.toolchain, needed) {
            return Ok(());
        }
        Err(ComponentError::OldGo { found: self.version.clone(), needed: needed.to_owned() })
    }

    /// The toolchain that Go is told to use for `module`: the one that the pin names, where Go would not build it by
    /// itself. That the user's setting is `local` does not count then, as the pin's toolchain is an input like its
    /// modules, which Go verifies in the same way.
    pub(super) fn told(&self, module: Module) -> Option<&'static str> {
        module.toolchain().filter(|_| !is_enough(&self.version, &self.toolchain, module.go_version()))
    }

    /// A Go command for `module` in `directory`, kept apart from whatever else the user builds.
    pub(super) fn command(&self, module: Module, directory: &Path) -> Command {
        let mut command = self.priority.command(&self.command);
        if let Some(toolchain) = self.told(module) {
            command.env("GOTOOLCHAIN", toolchain);
        }
        command
            .current_dir(directory)
            .env("CGO_ENABLED", if module.needs_c() { "1" } else { "0" })
            .env("GOFLAGS", "")
            .env("GO111MODULE", "on")
            // A go.work above the cache would hide the pinned module.
            .env("GOWORK", "off")
            .env(COLLECT_LATER.0, std::env::var_os(COLLECT_LATER.0).unwrap_or_else(|| COLLECT_LATER.1.into()))
            // The programs are run here, so variables for cross-compilation must not reach them.
            .env_remove("GOOS")
            .env_remove("GOARCH")
            .kill_on_drop(true);
        command
    }

    /// Runs a Go command that may download modules, and gives what it wrote. It is killed when a registry says nothing
    /// for too long: Go itself would wait for ever.
    ///
    /// # Errors
    /// When it fails, or a registry is silent.
    pub(super) async fn download(
        &self,
        module: Module,
        directory: &Path,
        arguments: &[&str],
    ) -> Result<Vec<u8>, ComponentError> {
        let line = || format!("go {}", arguments.join(" "));
        let failed = |output: String| ComponentError::Go { command: line(), output };
        let broken = |error: io::Error| failed(error.to_string());
        let (verb, rest) = arguments.split_first().unwrap_or((&"", &[]));
        let mut command = self.command(module, directory);
        // `go mod` takes flags behind its second word.
        let (verbs, rest) = rest.split_at(usize::from(*verb == "mod"));
        command.arg(verb).args(verbs).arg("-x").args(rest);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(broken)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read = async { read_whole(stdout).await.map_err(broken) };
        let (written, said) = tokio::try_join!(read, self.listen(stderr, line()))?;
        let status = child.wait().await.map_err(broken)?;
        if !status.success() {
            let said = [said, String::from_utf8_lossy(&written).into_owned()];
            return Err(failed(said.join("\n").trim().to_owned()));
        }
        Ok(written)
    }

    /// Takes what a command says until it ends, and gives it without its requests, each of which Go prints as
    /// `# get URL` when it is made and again when it is answered.
    async fn listen(&self, stderr: Option<ChildStderr>, command: String) -> Result<String, ComponentError> {
        let Some(stderr) = stderr else { return Ok(String::new()) };
        let mut lines = BufReader::new(stderr).split(b'\n');
        let (mut said, mut asked) = (Vec::new(), String::new());
        loop {
            let Ok(next) = timeout(self.patience, lines.next_segment()).await else {
                return Err(ComponentError::SilentRegistry { command, silence: self.patience, asked });
            };
            let next = next.map_err(|error| ComponentError::Go { command: command.clone(), output: error.to_string() });
            let Some(next) = next? else { return Ok(said.join("\n")) };
            let line = String::from_utf8_lossy(&next).into_owned();
            match line.strip_prefix("# get ") {
                Some(request) => {
                    let url = request.split_whitespace().next().unwrap_or_default();
                    asked = format!(" after {} was asked for", url.trim_end_matches(':'));
                }
                None => said.push(line),
            }
        }
    }
}

async fn read_whole(stdout: Option<ChildStdout>) -> io::Result<Vec<u8>> {
    let mut written = Vec::new();
    if let Some(mut stdout) = stdout {
        stdout.read_to_end(&mut written).await?;
    }
    Ok(written)
}

/// True if this Go builds a module that needs `needed`, by itself or with a newer toolchain that it may fetch.
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

    fn go(version: &str, toolchain: &str) -> Go {
        Go {
            command: "go".into(),
            version: version.to_owned(),
            toolchain: toolchain.to_owned(),
            c_compiler: "cc".to_owned(),
            build_cache: "/cache".into(),
            module_cache: "/modules".into(),
            priority: Priority::Normal,
            patience: PATIENCE,
        }
    }

    /// Value that `command` sets `variable` to, if it does.
    fn setting(command: &Command, variable: &str) -> Option<String> {
        let mut settings = command.as_std().get_envs();
        let (_, value) = settings.find(|(name, _)| *name == variable)?;
        value?.to_str().map(str::to_owned)
    }

    #[rstest]
    #[case::old_and_fixed("go1.26.8", "local", Module::ArgoCd, Some("go1.27.3"))]
    #[case::old_and_chosen("go1.26.8", "go1.26.8", Module::ArgoCd, Some("go1.27.3"))]
    #[case::old_but_fetches_by_itself("go1.26.8", "auto", Module::ArgoCd, None)]
    #[case::new("go1.27.0", "local", Module::ArgoCd, None)]
    #[case::pin_names_none("go1.26.8", "local", Module::Etcd, None)]
    fn go_is_told_the_toolchain_of_the_pin_where_it_would_not_do(
        #[case] version: &str,
        #[case] toolchain: &str,
        #[case] module: Module,
        #[case] told: Option<&str>,
    ) {
        let go = go(version, toolchain);
        go.check(module).unwrap();
        assert_eq!(setting(&go.command(module, Path::new("/")), "GOTOOLCHAIN").as_deref(), told);
    }

    #[rstest]
    #[case::too_old_for_the_pin("go1.26.0", Module::Containerd, "1.26.6")]
    #[case::too_old_to_be_told("go1.20.14", Module::ArgoCd, "1.27.0")]
    fn a_go_that_does_not_build_the_module_is_an_error(
        #[case] version: &str,
        #[case] module: Module,
        #[case] needed: &str,
    ) {
        let error = go(version, "local").check(module).unwrap_err().to_string();
        assert!(error.starts_with(&format!("too old a Go: {version} found, {needed} or newer needed")), "{error}");
    }

    #[rstest]
    #[case(Module::Gitea, "1")]
    #[case(Module::Containerd, "0")]
    fn c_is_compiled_only_where_it_is_needed(#[case] module: Module, #[case] enabled: &str) {
        let command = go("go1.26.8", "local").command(module, Path::new("/"));
        assert_eq!(setting(&command, "CGO_ENABLED").as_deref(), Some(enabled));
    }

    #[tokio::test]
    async fn no_go_is_an_error_that_says_what_is_needed() {
        let error = Go::find(Path::new("/nowhere/go"), Module::Etcd).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to run /nowhere/go: Go 1.26.0 or newer is needed; install it from https://go.dev/dl"
        );
    }

    #[tokio::test]
    async fn a_go_that_is_something_else_is_an_error_with_what_it_said() {
        let error = Go::find(Path::new("/bin/echo"), Module::Etcd).await.unwrap_err();
        assert!(error.to_string().starts_with("failed to run /bin/echo env: env -json"), "{error}");
    }
}
