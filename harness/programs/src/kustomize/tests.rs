use std::path::Path;

use credence_core::manifest::{self, Manifest};
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
    assert!(shown.contains("a.yaml:4") && shown.contains("b.yaml:4"), "{shown}");
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

#[rstest]
#[case::cycle(
    &[("kustomization.yaml", "resources:\n- a.yaml\n- base\n"), ("a.yaml", POD), ("base/kustomization.yaml", "resources:\n  - ../../DIR\n")],
    "DIR/base/kustomization.yaml:2:5: ../../DIR leads back to"
)]
#[case::itself(&[("kustomization.yaml", "components: [.]\n")], "DIR/kustomization.yaml:1:14: . leads back to")]
#[case::above(&[("kustomization.yaml", "resources: [..]\n")], "DIR/kustomization.yaml:1:13: .. leads back to")]
#[case::missing(
    &[("kustomization.yaml", "resources:\n- gone.yaml\n")],
    "DIR/kustomization.yaml:2:3: gone.yaml is not there; correct the path, or remove the entry"
)]
#[case::missing_patch(
    &[("kustomization.yaml", "resources: [a.yaml]\npatches:\n- path: gone.yaml\n"), ("a.yaml", POD)],
    "DIR/kustomization.yaml:3:3: gone.yaml is not there"
)]
#[case::no_kustomization(
    &[("kustomization.yaml", "resources:\n- base\n"), ("base/a.yaml", POD)],
    "DIR/kustomization.yaml:2:3: directory base has no kustomization.yaml; add one there, or name its files one by one"
)]
#[case::remote(
    &[("kustomization.yaml", "resources:\n- https://user:hunter2@git.example.org/a//b?ref=main\n")],
    "DIR/kustomization.yaml:2:3: https://git.example.org/a//b would be fetched from elsewhere; put a copy into the tree, and name"
)]
#[case::repository(&[("kustomization.yaml", "resources:\n- github.com/a/b\n")], "github.com/a/b would be fetched from elsewhere")]
#[case::remote_component(
    &[("kustomization.yaml", "components:\n- git@github.com:a/b.git\n")],
    "DIR/kustomization.yaml:2:3: github.com:a/b.git would be fetched from elsewhere"
)]
#[case::remote_patch(
    &[("kustomization.yaml", "patchesStrategicMerge:\n- https://example.org/p.yaml\n")],
    "DIR/kustomization.yaml:2:3: https://example.org/p.yaml would be fetched from elsewhere"
)]
#[case::remote_replacement(
    &[("kustomization.yaml", "replacements:\n- path: https://example.org/r.yaml\n")],
    "DIR/kustomization.yaml:2:3: https://example.org/r.yaml would be fetched from elsewhere"
)]
#[case::remote_file_of_a_generator(
    &[("kustomization.yaml", "configMapGenerator:\n- name: a\n  files: [b=https://example.org/f]\n")],
    "DIR/kustomization.yaml:2:3: https://example.org/f would be fetched from elsewhere"
)]
#[case::chart(
    &[("kustomization.yaml", "helmCharts:\n- name: nginx\n  repo: https://example.org\n")],
    "DIR/kustomization.yaml:2:3: chart nginx would be fetched from elsewhere"
)]
#[case::chart_of_before(
    &[("kustomization.yaml", "helmChartInflationGenerator:\n- chartName: nginx\n")],
    "DIR/kustomization.yaml:2:3: a chart of helmChartInflationGenerator would be fetched from elsewhere"
)]
#[case::values_of_a_chart(
    &[
        ("kustomization.yaml", "helmCharts:\n- name: a\n  valuesFile: https://example.org/values.yaml\n"),
        ("charts/a/Chart.yaml", "name: a\n"),
    ],
    "DIR/kustomization.yaml:2:3: https://example.org/values.yaml would be fetched from elsewhere"
)]
#[case::generator_beside_charts(
    &[
        ("kustomization.yaml", "helmCharts: [{name: a}]\ngenerators:\n- g.yaml\n"),
        ("charts/a/Chart.yaml", "name: a\n"),
    ],
    "DIR/kustomization.yaml:3:3: a chart of a generator would be fetched from elsewhere"
)]
#[case::misspelt(
    &[("kustomization.yaml", "namespace: a\nresource:\n- a.yaml\n")],
    "DIR/kustomization.yaml:2:1: resource is no field of a kustomization; did you mean resources?"
)]
#[case::no_yaml(&[("kustomization.yaml", "resources: [a\n")], "failed to parse YAML at DIR/kustomization.yaml:2:1")]
#[tokio::test]
async fn a_bad_kustomization_is_refused_with_its_place(#[case] files: &[(&str, &str)], #[case] refusal: &str) {
    let dir = directory(&[]);
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    for (file, text) in files {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("DIR", name)).unwrap();
    }
    // Never started.
    let shown = load_directory(dir.path(), Some(Path::new("/nowhere/kustomize"))).await.unwrap_err().to_string();
    let refusal = refusal.replace("../../DIR", &format!("../../{name}")).replace("DIR", dir.path().to_str().unwrap());
    assert!(shown.contains(&refusal), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_chart_of_helm_is_refused_where_only_manifests_are_read() {
    let dir = directory(&[("chart/Chart.yaml", "name: a\n"), ("chart/templates/a.yaml", "{{ .Values.a }}\n")]);
    let expected = format!(
        "failed to read {}: it is a chart of Helm, not manifests; give the chart itself as the configuration, or a directory with \
         an Application of Argo CD that points at it",
        dir.path().join("chart").display()
    );
    for given in [dir.path(), &dir.path().join("chart")] {
        assert_eq!(load_directory(given, None).await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn the_faults_of_all_files_are_told_at_once() {
    let labelled = |word: &str| POD.replace("name: a", &format!("name: a\n  labels: {{a: {word}}}"));
    let dir = directory(&[("a.yaml", &labelled("yes")), ("b.yaml", &labelled("off")), ("c.yaml", &pod("c"))]);
    let shown = load_directory(dir.path(), None).await.unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(
        lines[0].contains("a.yaml as kubectl does: line 5") && lines[1].contains("b.yaml as kubectl does: line 5"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_file_may_be_given_if_it_is_a_manifest() {
    let dir = directory(&[("a.yaml", POD), ("b.txt", POD)]);
    assert_eq!(load_directory(&dir.path().join("a.yaml"), None).await.unwrap().len(), 1);
    let shown = load_directory(&dir.path().join("b.txt"), None).await.unwrap_err().to_string();
    assert!(
        shown.ends_with("b.txt is a file that ends in none of .yaml, .yml and .json; give a directory of manifests"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_binary_file_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), b"a: b\n\0\x01").unwrap();
    let error = load_directory(dir.path(), None).await.unwrap_err();
    let shown = credence_core::text::chain(&error);
    assert!(shown.contains("a.yaml as text: line 2 holds a null byte"), "{shown}");
}

#[test]
fn what_kustomize_quotes_of_a_file_is_not_shown() {
    let quoted =
        "Error: trouble with config: `\npatch: hunter2\n`: unable to parse SM or JSON patch from [token: hunter2\n]";
    assert_eq!(
        super::without_quotations(quoted),
        "Error: trouble with config: …: unable to parse SM or JSON patch from […]"
    );
    assert_eq!(super::last_lines("a\nb\nc\nd\ne\nf\n"), "b\nc\nd\ne\nf");
}

#[test]
fn a_rendered_object_is_traced_to_the_files_that_name_it() {
    let read = |file: &str, text: &str| manifest::parse_part(Path::new(file), text).unwrap();
    let mut written = read("a.yaml", &format!("# A.\n{POD}"));
    written.extend(read("patch.yaml", &format!("{POD}spec: {{a: 1}}\n")));
    written.extend(read("b.yaml", &POD.replace("name: a", "name: a\n  namespace: other")));
    let mut rendered = read("dir", &format!("{POD}spec: {{a: 1}}\n---\n{}", pod("prefix-a")));
    super::trace(&mut rendered, &written);
    assert_eq!(rendered[0].location("/metadata/name").file, Path::new("a.yaml"));
    assert_eq!(rendered[0].location("/spec/a").to_string(), "patch.yaml:5:8");
    assert_eq!(rendered[1].location("/metadata/name").file, Path::new("dir"));
}
