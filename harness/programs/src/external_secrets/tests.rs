use std::fs;
use std::path::Path;

use credence_core::text::chain;
use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::process::test_program;
use crate::supply::PlainProgress;
use crate::supply::testing::write_built_program;

const MODULE: &str = "github.com/external-secrets/external-secrets";

/// A directory with a program of the operator, its chart, and a helm that renders what the test says.
struct World {
    directory: TempDir,
}

impl World {
    /// `modules` is what the program says of how it was built, and `version` what the chart says.
    fn new(modules: &str, version: &str) -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap() };
        write_built_program(&world.path("external-secrets"), &modules.replace("MODULE", MODULE));
        world.write("deploy/charts/external-secrets/Chart.yaml", &metadata("external-secrets", version));
        world.write("deploy/charts/external-secrets/charts/other/Chart.yaml", "name: other\n");
        world.helm("Deployment");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A helm that renders one object of this kind, and counts how often.
    fn helm(&self, kind: &str) {
        let count = self.path("rendered");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = template ] || exit 1\necho >> {}\necho '{{\"apiVersion\":\"v1\",\"kind\":\"{kind}\",\
             \"metadata\":{{\"name\":\"a\"}}}}'\n",
            count.display()
        );
        test_program::write(&self.path("helm"), &script);
    }

    fn rendered(&self) -> usize {
        fs::read_to_string(self.path("rendered")).unwrap_or_default().lines().count()
    }

    fn chart(&self) -> PathBuf {
        self.path("deploy/charts/external-secrets")
    }

    /// Program and chart are given, and helm.
    fn options(&self) -> Options {
        let mut options = Options::new(self.path("cache"));
        options.overrides.insert(Part::Helm, self.path("helm"));
        options.operator_chart = Some(self.chart());
        options.with_operator(&self.path("external-secrets"))
    }

    /// The same with what is taken from it.
    fn options_without(&self, take: impl FnOnce(&mut Options)) -> Options {
        let mut options = self.options();
        take(&mut options);
        options
    }
}

fn metadata(name: &str, version: &str) -> String {
    format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\nappVersion: \"{version}\"\ndependencies:\n- name: other\n")
}

async fn refused(options: &Options) -> String {
    let error = given(options, &PlainProgress::new()).await.unwrap_err();
    assert!(error.is_usage(), "{error}");
    chain(&error)
}

#[rstest]
#[case::that_says_its_version("mod\tMODULE\tv2.9.0+incompatible\t\n", "2.9.0")]
#[case::that_does_not("dep\tMODULE\t(devel)\t\n", "unknown")]
#[tokio::test]
async fn a_program_and_its_chart_are_taken(#[case] modules: &str, #[case] program: &str) {
    let world = World::new(modules, "v2.9.0");
    let operator = given(&world.options(), &PlainProgress::new()).await.unwrap().unwrap();
    let expected = Operator { program: program.into(), chart: "2.9.0".into(), esoctl: "0.20.4".into() };
    assert_eq!(operator, expected);
}

#[tokio::test]
async fn the_tool_beside_the_program_is_used_with_it() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    write_built_program(&world.path("esoctl"), &format!("mod\t{MODULE}\tv2.9.0+incompatible\t\n"));
    let operator = given(&world.options(), &PlainProgress::new()).await.unwrap().unwrap();
    assert_eq!(operator.esoctl, "2.9.0");
}

#[tokio::test]
async fn the_pinned_version_needs_no_chart_and_its_chart_no_program() {
    let world = World::new("mod\tx\t(devel)\t\ndep\tMODULE\tv0.20.4\t\n", "v0.20.4");
    let without_chart = world.options_without(|options| options.operator_chart = None);
    assert_eq!(given(&without_chart, &PlainProgress::new()).await.unwrap(), None);
    let without_program = world.options_without(|options| options.overrides.clear());
    assert_eq!(given(&without_program, &PlainProgress::new()).await.unwrap(), None);
    assert_eq!(given(&Options::new(world.path("cache")), &PlainProgress::new()).await.unwrap(), None);
}

#[tokio::test]
async fn a_program_of_another_version_than_its_chart_is_refused_with_both() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.8.0");
    let said = refused(&world.options()).await;
    assert!(said.contains("external-secrets is 2.9.0, and its chart") && said.contains("is of 2.8.0"), "{said}");
    assert!(said.contains("give both of one version"), "{said}");
}

#[rstest]
#[case::of_another_version("mod\tMODULE\tv2.9.0+incompatible\t\n", "is of version 2.9.0")]
#[case::of_an_unknown_version("dep\tMODULE\t(devel)\t\n", "is of version unknown")]
#[tokio::test]
async fn a_program_without_its_chart_is_refused_with_the_next_step(#[case] modules: &str, #[case] expected: &str) {
    let world = World::new(modules, "v2.9.0");
    let said = refused(&world.options_without(|options| options.operator_chart = None)).await;
    assert!(said.contains(expected) && said.contains("add --external-secrets-chart"), "{said}");
}

#[tokio::test]
async fn an_image_without_a_chart_is_refused_before_it_is_asked_for() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    let options = world.options_without(|options| {
        options.overrides.remove(&Part::ExternalSecrets);
        options.operator_chart = None;
        options.operator_image = Some("127.0.0.1:1/eso:v2.9.0".to_owned());
    });
    let said = refused(&options).await;
    assert!(said.contains("127.0.0.1:1/eso:v2.9.0") && said.contains("add --external-secrets-chart"), "{said}");
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_refused_with_the_next_step() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    for image in ["127.0.0.1:1/eso:v2.9.0", "no image"] {
        let options = world.options_without(|options| {
            options.overrides.remove(&Part::ExternalSecrets);
            options.operator_image = Some(image.to_owned());
        });
        let said = refused(&options).await;
        assert!(said.contains(image) && said.contains("--external-secrets"), "{said}");
    }
}

#[tokio::test]
async fn a_chart_of_another_version_without_a_program_is_refused_with_the_next_step() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    let said = refused(&world.options_without(|options| options.overrides.clear())).await;
    assert!(said.contains("is of version 2.9.0") && said.contains("add --external-secrets with"), "{said}");
}

#[rstest]
#[case::script("#!/bin/sh\n", "it says nothing of how it was built")]
#[case::of_another_language("\x7fELF", "it says nothing of how it was built")]
#[tokio::test]
async fn what_is_no_program_of_the_operator_is_refused(#[case] content: &str, #[case] expected: &str) {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    test_program::write(&world.path("external-secrets"), content);
    let said = refused(&world.options()).await;
    assert!(said.contains(expected) && said.contains("give the program of its controller"), "{said}");
}

#[tokio::test]
async fn another_program_of_go_is_refused() {
    let world = World::new("mod\texample.org/other\tv1.0.0\t\n", "v2.9.0");
    let said = refused(&world.options()).await;
    assert!(said.contains("it was built from other modules"), "{said}");
}

#[rstest]
#[case::of_another_chart("name: kargo\nappVersion: v1\n", "it is chart \"kargo\"")]
#[case::without_a_version("name: external-secrets\n", "has no appVersion")]
#[case::that_is_no_yaml("name: [", "failed to read External Secrets Operator's chart")]
#[tokio::test]
async fn what_is_no_chart_of_the_operator_is_refused(#[case] metadata: &str, #[case] expected: &str) {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    world.write("deploy/charts/external-secrets/Chart.yaml", metadata);
    let said = refused(&world.options()).await;
    assert!(said.contains(expected), "{said}");
}

#[tokio::test]
async fn a_path_without_a_chart_is_refused_with_the_next_step() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    for path in ["nothing", "cache", "helm"] {
        let said = refused(&world.options_without(|options| options.operator_chart = Some(world.path(path)))).await;
        assert!(said.contains("has no Chart.yaml") && said.contains("`helm pull`"), "{said}");
    }
}

#[tokio::test]
async fn assets_have_the_chart_alone_and_the_definitions_that_it_renders_once_for_each_content() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    world.helm("CustomResourceDefinition");
    let (options, progress) = (world.options(), PlainProgress::new());
    let place = assets(&options, &progress).await.unwrap();
    let chart = place.join("deploy/charts/external-secrets");
    assert!(!fs::read_to_string(chart.join("Chart.yaml")).unwrap().contains("dependencies"));
    assert!(!chart.join("charts").exists());
    assert!(fs::read_to_string(place.join(DEFINITIONS)).unwrap().contains("CustomResourceDefinition"));
    assert_eq!(app_version(&place).unwrap(), "2.9.0");
    assert_eq!((assets(&options, &progress).await.unwrap(), world.rendered()), (place.clone(), 1));
    world.write("deploy/charts/external-secrets/values.yaml", "a: b\n");
    assert_ne!(assets(&options, &progress).await.unwrap(), place);
    assert_eq!(world.rendered(), 2);
}

#[tokio::test]
async fn a_chart_of_a_checkout_has_its_definitions_beside_it() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    let error = assets(&world.options(), &PlainProgress::new()).await.unwrap_err();
    assert!(matches!(error, OperatorError::NoDefinitions { .. }) && error.is_usage(), "{error}");
    world.write("deploy/crds/bundle.yaml", "kind: CustomResourceDefinition\n");
    let place = assets(&world.options(), &PlainProgress::new()).await.unwrap();
    assert_eq!(fs::read_to_string(place.join(DEFINITIONS)).unwrap(), "kind: CustomResourceDefinition\n");
}

#[tokio::test]
async fn a_packaged_chart_is_unpacked() {
    let world = World::new("mod\tMODULE\tv2.9.0+incompatible\t\n", "v2.9.0");
    world.helm("CustomResourceDefinition");
    let package = world.path("external-secrets-2.9.0.tgz");
    let mut archive = tar::Builder::new(GzEncoder::new(fs::File::create(&package).unwrap(), Compression::fast()));
    let text = metadata("external-secrets", "v2.9.0");
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "external-secrets/Chart.yaml", text.as_bytes()).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    let options = world.options_without(|options| options.operator_chart = Some(package));
    assert_eq!(given(&options, &PlainProgress::new()).await.unwrap().unwrap().chart, "2.9.0");
    let place = assets(&options, &PlainProgress::new()).await.unwrap();
    assert_eq!(app_version(Path::new(&place)).unwrap(), "2.9.0");
}
