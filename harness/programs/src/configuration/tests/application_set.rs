//! Directories of the same tree that ApplicationSets of Argo CD deploy.

use super::*;

/// Kustomizations, which are read where something points at them, and an ApplicationSet beside them.
fn tree(fields: &str) -> Tree {
    let set = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: all, namespace: argocd}}\nspec: {fields}\n"
    );
    let mut files = vec![("set.yaml".to_owned(), set)];
    for name in ["a", "b", "c"] {
        files.push((format!("apps/{name}/kustomization.yaml"), format!("resources: [{name}.yaml]\n")));
        files.push((format!("apps/{name}/{name}.yaml"), store(name)));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Tree::new(&files)
}

/// A template whose Applications have this path and are for this cluster.
fn template(path: &str, cluster: &str) -> String {
    format!(
        "template: {{metadata: {{name: of}}, spec: {{source: {{repoURL: https://git.example.org/platform.git, path: '{path}'}}, \
         destination: {{namespace: central, name: '{cluster}'}}}}}}"
    )
}

#[rstest]
#[case::list("generators: [{list: {elements: [{app: a}, {app: b}]}}]", "apps/{{app}}", &["a", "b"])]
#[case::list_of_go("goTemplate: true, generators: [{list: {elements: [{app: {name: b}}]}}]", "apps/{{ .app.name }}", &["b"])]
#[case::directories(
    "generators: [{git: {repoURL: x, directories: [{path: apps/*}, {path: apps/c, exclude: true}]}}]",
    "{{path}}",
    &["a", "b"]
)]
#[case::directories_of_go("goTemplate: true, generators: [{git: {directories: [{path: apps/c*}]}}]", "{{.path.path}}", &["c"])]
#[tokio::test]
async fn an_application_set_deploys_what_its_generators_name(
    #[case] generators: &str,
    #[case] path: &str,
    #[case] stores: &[&str],
) {
    let tree = tree(&format!("{{{generators}, {}}}", template(path, "here")));
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    let stores: Vec<String> = stores.iter().map(|name| format!("ClusterSecretStore {name}")).collect();
    assert_eq!(names(&loaded)[1..], stores, "{:?}", loaded.notes);
    assert!(loaded.notes.iter().all(|note| note.contains("at which nothing in the tree points")), "{:?}", loaded.notes);
}

#[rstest]
#[case::several_clusters(
    "generators: [{list: {elements: [{app: a, cluster: x}, {app: b, cluster: y}]}}]",
    "apps/{{app}}",
    "its Applications are for several clusters; give the directory of one of them"
)]
#[case::another_generator("generators: [{clusters: {}}]", "apps/a", "the generator clusters is not followed")]
#[case::files("generators: [{git: {files: [{path: '*.json'}]}}]", "apps/a", "only the directories of a git generator")]
#[case::function(
    "goTemplate: true, generators: [{list: {elements: [{app: a, cluster: x}]}}]",
    "apps/{{.app | lower}}",
    "its template has {{.app | lower}}, which is no name of a parameter that is known here"
)]
#[case::patch(
    "templatePatch: 'spec: {}', generators: [{list: {elements: [{app: a, cluster: x}]}}]",
    "apps/a",
    "templatePatch changes what is made of the template"
)]
#[case::selector(
    "generators: [{list: {elements: [{app: a, cluster: x}]}, selector: {matchLabels: {app: b}}}]",
    "apps/a",
    "selector changes what the generator makes"
)]
#[tokio::test]
async fn an_application_set_that_is_not_understood_is_named_with_its_place(
    #[case] generators: &str,
    #[case] path: &str,
    #[case] why: &str,
) {
    let cluster = if generators.contains("goTemplate") { "{{.cluster}}" } else { "{{cluster}}" };
    let tree = tree(&format!("{{{generators}, {}}}", template(path, cluster)));
    // Something else points at one of the kustomizations, without which all are refused.
    fs::write(tree.path("one.yaml"), application("one", "    path: apps/a\n")).unwrap();
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    assert_eq!(names(&loaded)[2..], ["ClusterSecretStore a"]);
    let note = &loaded.notes[0];
    assert!(note.starts_with("not followed: ApplicationSet argocd/all at ") && note.contains("set.yaml:4:"), "{note}");
    assert!(note.contains(why), "{note}");
}
