use std::path::Path;

use credence_core::manifest::Manifest;
use rstest::rstest;

use super::load_directory;

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n";

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn pod(name: &str) -> String {
    POD.replace("name: a", &format!("name: {name}"))
}

#[tokio::test]
async fn plain_directories_are_read_by_path_without_hidden_files() {
    let dir = directory(&[
        ("b.yml", &pod("b")),
        ("a/z.yaml", &pod("z")),
        ("c.json", r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}"#),
        (".hidden.yaml", "no: object"),
        (".git/x.yaml", "no: object"),
        ("README.md", "no: object"),
    ]);
    let manifests = load_directory(dir.path(), None).await.unwrap();
    let names: Vec<&str> = manifests.iter().map(Manifest::name).collect();
    assert_eq!(names, ["z", "b", "c"]);
}

#[tokio::test]
async fn duplicates_are_found_across_files() {
    let dir = directory(&[("a.yaml", POD), ("b.yaml", POD)]);
    let shown = load_directory(dir.path(), None).await.unwrap_err().to_string();
    assert!(shown.contains("a.yaml:1") && shown.contains("b.yaml:1"), "{shown}");
}

#[rstest]
#[case::no_file(&[], "holds no Kubernetes object")]
#[case::only_program_configuration(
    &[("a.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\n")],
    "holds no Kubernetes object"
)]
#[case::kustomization_without_kustomize(&[("kustomization.yaml", "")], "kustomize is not available")]
#[case::kustomization_further_down(&[("base/kustomization.yml", "")], "has no kustomization, but")]
#[tokio::test]
async fn directories_without_one_reading_are_refused(#[case] files: &[(&str, &str)], #[case] reason: &str) {
    let dir = directory(files);
    let shown = load_directory(dir.path(), None).await.unwrap_err().to_string();
    assert!(shown.contains(reason), "{shown}");
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let shown = load_directory(Path::new("/nowhere/at/all"), None).await.unwrap_err().to_string();
    assert!(shown.contains("failed to read /nowhere/at/all"), "{shown}");
}

#[tokio::test]
async fn a_failing_kustomize_shows_its_last_lines() {
    let dir = directory(&[("Kustomization", "")]);
    // Called as `cat build DIR`, which fails and says so.
    let shown = load_directory(dir.path(), Some(Path::new("cat"))).await.unwrap_err().to_string();
    assert!(shown.contains("exit status: 1") && shown.contains("No such file"), "{shown}");
    let missing = load_directory(dir.path(), Some(Path::new("/nowhere/kustomize"))).await;
    assert!(missing.unwrap_err().to_string().starts_with("failed to start /nowhere/kustomize build"));
}
