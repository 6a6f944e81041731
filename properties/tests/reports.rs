//! Reports of runs that end before anything was tested: never those of a success before.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use credence_report::report::testing::{property, record, report};
use credence_report::report::{State, Unfinished};
use credence_report::verdict::{ExitCode, Outcome};
use credence_suite::reports;
use tempfile::TempDir;

/// A directory for all that a run keeps, with the reports of a run that held.
struct Place(TempDir);

impl Place {
    fn after_a_success() -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary directory"));
        let green = report(false, vec![property(&[record(0, Outcome::Held)])]);
        reports::write(&place.out(), &green).expect("reports can be written");
        place
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    /// `credence run` with nothing in its cache.
    fn run(&self, out: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credence"));
        command.arg("run").args(["--cluster", "embedded", "--seed", "7", "--out"]).arg(out);
        command.env("CREDENCE_CACHE", self.0.path().join("cache"));
        command.env("CREDENCE_STATE", self.0.path().join("state"));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Asserts that no format of the report shows the success before.
    fn says(&self, state: State) -> Unfinished {
        for name in ["report.json", "junit.xml", "report.html"] {
            let text = fs::read_to_string(self.out().join(name)).expect("it is there");
            assert!(!text.contains("label distribution"), "{name}: {text}");
        }
        let junit = fs::read_to_string(self.out().join("junit.xml")).expect("it is there");
        assert!(junit.contains(r#"tests="1" errors="1" failures="0""#), "{junit}");
        let run: Unfinished = serde_json::from_str(&read(&self.out().join("report.json"))).expect("it decodes");
        assert_eq!((run.state, run.seed), (state, 7));
        run
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A run in the middle of its set-up: it waits for an answer of a mirror that gives none.
struct Hanging {
    place: Place,
    child: Child,
    _mirror: TcpListener,
}

impl Hanging {
    fn start() -> Self {
        let place = Place::after_a_success();
        let mirror = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", mirror.local_addr().expect("an address"));
        let mut child =
            place.run(&place.out()).args(["--source", "release", "--mirror", &url]).spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut lines = stderr.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("] configuration")), "the set-up did not begin");
        // Whoever writes into a pipe that nobody reads any more is ended by that.
        std::thread::spawn(move || lines.for_each(drop));
        Self { place, child, _mirror: mirror }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // It has ended already unless a test failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_run_that_is_killed_leaves_unfinished_reports() {
    let mut run = Hanging::start();
    run.child.kill().expect("it runs");
    run.child.wait().expect("it was ours");
    run.place.says(State::Unfinished);
}

#[test]
fn a_run_that_is_interrupted_in_its_set_up_says_so_in_its_reports() {
    let mut run = Hanging::start();
    let sent = Command::new("kill").args(["-INT", &run.child.id().to_string()]).status();
    assert!(sent.expect("there is kill").success());
    let status = run.child.wait().expect("it was ours");
    assert_eq!(status.code(), Some(ExitCode::Unknown.code().into()));
    assert_eq!(run.place.says(State::Failed).reason, "interrupted before anything was tested");
}

#[test]
fn a_run_that_is_refused_says_why_in_its_reports() {
    let place = Place::after_a_success();
    let image = format!("argo-cd=registry.test/argo-cd@sha256:{}", "0".repeat(64));
    let output = place.run(&place.out()).args(["--image", &image]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(ExitCode::Usage.code().into()), "{said}");
    let run = place.says(State::Failed);
    assert!(run.reason.contains("add --cluster kind") && said.contains(&run.reason), "{said}");
}

/// Charts and programs that are none of the operator's, or not of one version, are in the tests of credence-programs.
#[test]
fn an_operator_that_cannot_be_used_is_refused_before_anything_is_obtained() {
    let place = Place::after_a_success();
    let chart = place.0.path().join("chart");
    fs::create_dir(&chart).expect("a directory can be made");
    fs::write(chart.join("Chart.yaml"), "name: external-secrets\nappVersion: v7.8.9\n").expect("it can be written");
    let of_the_chart = ["--external-secrets-chart".as_ref(), chart.as_os_str()];
    let with_a_shell = [of_the_chart.as_slice(), &["--external-secrets".as_ref(), "/bin/sh".as_ref()]].concat();
    for (given, expected) in [
        (of_the_chart.to_vec(), "is of version 7.8.9, and the operator that runs by default is"),
        (with_a_shell, "give the program of its controller"),
        (vec!["--external-secrets".as_ref(), "/nowhere/external-secrets".as_ref()], "not an executable file"),
    ] {
        // Plain manifests, which nothing has to be obtained for to read them.
        let plain = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/right/labels-with-values");
        let mut run = place.run(&place.out());
        let output = run.args(["--config", plain]).args(given).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(ExitCode::Usage.code().into()), "{said}");
        let run = place.says(State::Failed);
        assert!(run.reason.contains(expected) && said.contains(&run.reason), "{said}");
        assert!(!place.0.path().join("cache/programs").exists(), "{said}");
    }
}

#[test]
fn a_run_that_cannot_write_its_reports_is_refused() {
    let place = Place::after_a_success();
    let file = place.out().join("report.json");
    let output = place.run(&file).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(ExitCode::Usage.code().into()), "{said}");
    assert!(said.contains("report.json") && said.contains("--out"), "{said}");
}
