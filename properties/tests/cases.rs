//! Cases: configurations that people had, in `fixtures/cases`, each with the right answer in its `case.toml`. Here is what lint and
//! explain say, and what is refused before anything is obtained or started; what a run finds is in `right`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use configurations::{Case, all};

#[path = "support/cases.rs"]
mod configurations;

/// A command that has nothing: no programs in its cache, and none that it could obtain with.
fn credence(arguments: &[&str], home: &Path) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_credence"))
        .args(arguments)
        .env("CREDENCE_CACHE", home.join("cache"))
        .env("CREDENCE_STATE", home.join("state"))
        .env("PATH", "")
        .current_dir(home)
        .output();
    output.expect("the command is built")
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The ways in which the answers of a command differ from what the case says.
fn differences(case: &Case, output: &Output) -> Vec<String> {
    let text = shown(output);
    let mut differences = Vec::new();
    if output.status.code() != Some(case.lint.exit) {
        differences.push(format!("exit code {:?} instead of {}", output.status.code(), case.lint.exit));
    }
    let lacking = case.lint.shows.iter().filter(|shows| !text.contains(*shows));
    differences.extend(lacking.map(|shows| format!("it does not say {shows:?}")));
    // A finding that fails would do so by its exit code; one of notes alone would not.
    if case.lint.exit == 0 && text.contains("  help: ") {
        differences.push("it has a finding".to_owned());
    }
    differences.iter().map(|difference| format!("{}: {difference}; it says:\n{text}", case.name)).collect()
}

#[test]
fn lint_answers_each_case_as_its_file_says() {
    let home = tempfile::tempdir().unwrap();
    let wrong: Vec<String> = all()
        .iter()
        .flat_map(|case| differences(case, &credence(&["lint", case.config.to_str().unwrap()], home.path())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_command_refuses_what_lint_refuses_before_anything_is_obtained() {
    let home = tempfile::tempdir().unwrap();
    let refused: Vec<Case> = all().into_iter().filter(|case| case.run.refused).collect();
    assert!(refused.len() >= 2, "{refused:?}");
    for case in &refused {
        for command in ["run", "explain", "monitor"] {
            let output = credence(&[command, "--config", case.config.to_str().unwrap()], home.path());
            assert_eq!(differences(case, &output), Vec::<String>::new(), "{command}");
        }
    }
    let obtained: Vec<PathBuf> =
        std::fs::read_dir(home.path().join("cache")).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(obtained, Vec::<PathBuf>::new());
}

/// Trees that cannot be read or rendered: their files, what is given beside the directory, and what is said.
type Refused = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static str);

const STORE: &str = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: '${TEAM}'}\n";
const CHART: (&str, &str) = ("Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n");
const NEEDY_CHART: (&str, &str) = (
    "Chart.yaml",
    "apiVersion: v2\nname: a\nversion: 1.0.0\ndependencies:\n- name: b\n  repository: https://bot:hunter2@charts.example.org\n",
);

const REFUSED: &[Refused] = &[
    (&[CHART], &["--values", "gone.yaml"], "failed to read the file of values gone.yaml; correct the path"),
    (
        &[NEEDY_CHART],
        &[],
        "Chart.yaml:6:3: b of https://charts.example.org would be fetched; put its unpacked chart into",
    ),
    (&[("a.yaml", STORE)], &["--set", "token=hunter2"], "has no Chart.yaml, and only a chart of Helm takes values"),
    (&[("a.yaml", STORE)], &["--set", "hunter2"], "failed to read --set number 1: it is no KEY=VALUE"),
    (&[("a.yaml", STORE)], &["--substitute", "hunter2"], "failed to read --substitute number 1: it is no NAME=VALUE"),
    (
        &[("a.yaml", STORE)],
        &[],
        "a.yaml:3:12: ClusterSecretStore ${TEAM}: metadata.name has ${TEAM}, which Flux replaces",
    ),
    (
        &[("a.yaml", STORE)],
        &["--substitute", "AREA=hunter2"],
        "a.yaml:3:12: ${TEAM} has no value and no default; pass --substitute TEAM=",
    ),
    (
        &[("a.yaml", STORE)],
        &["--substitute", "TEAM=a", "--substitute", "B=hunter2"],
        "has ${B}; correct the name, or leave it out",
    ),
    (
        &[("kustomization.yaml", "resources:\n- https://bot:hunter2@git.example.org/a?ref=b\n")],
        &[],
        "kustomization.yaml:2:3: https://git.example.org/a would be fetched from elsewhere; put a copy into the tree",
    ),
];

#[test]
fn what_a_tree_lacks_is_refused_with_its_place_and_no_value_before_anything_is_obtained() {
    let home = tempfile::tempdir().unwrap();
    let tree = home.path().join("tree");
    for (files, flags, refusal) in REFUSED {
        std::fs::create_dir(&tree).unwrap();
        for (name, text) in *files {
            std::fs::write(tree.join(name), text).unwrap();
        }
        for command in
            [&["lint"][..], &["explain", "--config"], &["run", "--config"], &["replay", "p01:1:1", "--config"]]
        {
            let output = credence(&[command, &["tree"], flags].concat(), home.path());
            let text = shown(&output);
            assert_eq!(output.status.code(), Some(3), "{command:?} {flags:?}: {text}");
            assert!(text.contains(refusal) && !text.contains("hunter2"), "{command:?} {flags:?}: {text}");
        }
        std::fs::remove_dir_all(&tree).unwrap();
    }
    assert!(!home.path().join("cache").exists());
}

#[test]
fn explain_understands_each_case_that_is_not_refused() {
    let home = tempfile::tempdir().unwrap();
    for case in all().iter().filter(|case| !case.run.refused) {
        let output = credence(&["explain", "--config", case.config.to_str().unwrap()], home.path());
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(0), "{}: {text}", case.name);
        assert!(text.contains("makes    Secret "), "{}: {text}", case.name);
    }
}
