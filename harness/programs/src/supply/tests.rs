//! `obtain` and `examine` as a whole, with a Go that is a shell script.

use std::fs;
use std::process::Command;

use rstest::rstest;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::process::test_program;
use credence_core::text::chain;

mod releases;
mod server;
mod user_programs;

/// The files of imports of External Secrets Operator.
const REGISTERED: [&str; 2] = ["pkg/provider/register/register.go", "pkg/generator/register/register.go"];
/// Builds every package given, in no time.
const WORKING: &str = r#"build_all "$@""#;
/// Fails as a compiler does.
const BROKEN: &str = "echo internal/abi >&2; echo 'main.go:7: no such thing' >&2; exit 1";

/// A cache and a Go.
struct Bench {
    directory: TempDir,
}

impl Bench {
    /// `build` is what `go build` does, in shell.
    fn new(build: &str) -> Self {
        Self::with_go("go1.26.8", "$here/gocache", build)
    }

    /// `true` is a C compiler that does everything.
    fn with_go(version: &str, build_cache: &str, build: &str) -> Self {
        Self::with_compiler(version, build_cache, "true", build)
    }

    fn with_compiler(version: &str, build_cache: &str, compiler: &str, build: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            r#"#!/bin/sh
here={here}
build_all() {{
    while [ "$1" != -o ]; do shift; done
    out=$2; shift 2
    for package in "$@"; do
        echo "$package" >&2
        case $package in
            */server/v3) name=server ;;
            */v5) name=kustomize ;;
            *) name=${{package##*/}} ;;
        esac
        echo "built $package" > "$out$name"
    done
}}
case "$1" in
env) echo '{{"GOVERSION":"{version}","GOTOOLCHAIN":"local","GOCACHE":"'{build_cache}'","GOMODCACHE":"'$here/mod'",' \
    '"CC":"{compiler}"}}' ;;
list) ;;
mod) echo '{{"Dir":"'$here/module'"}}' ;;
build) echo "$GOTOOLCHAIN $*" >> $here/builds; {build} ;;
esac
"#,
            here = directory.path().display(),
        );
        test_program::write(&directory.path().join("go"), &script);
        // What External Secrets Operator is built from when it has fewer providers.
        for file in ["apis/a.go", "cmd/c.go", "main.go", "go.mod", "go.sum", REGISTERED[0], REGISTERED[1]] {
            let path = directory.path().join("module").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "of upstream").unwrap();
        }
        super::vault::testing::write_all(&directory.path().join("module"));
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn options(&self) -> Options {
        Options { go: self.path("go"), ..Options::new(self.path("cache")) }
    }

    /// Options that contact no host.
    fn build_only(&self) -> Options {
        Options { source: Source::Build, ..self.options() }
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.path("builds")).unwrap_or_default().lines().count()
    }
}

struct Quiet;

impl Progress for Quiet {
    fn note(&self, _text: &str) {}

    fn step(&self, _: Part, _: &Step) {}
}

/// Tells when a step of a kind is first seen.
struct Until {
    wanted: fn(&Step) -> bool,
    seen: Notify,
}

impl Until {
    fn new(wanted: fn(&Step) -> bool) -> Self {
        Self { wanted, seen: Notify::new() }
    }
}

impl Progress for Until {
    fn note(&self, _text: &str) {}

    fn step(&self, _: Part, step: &Step) {
        if (self.wanted)(step) {
            self.seen.notify_one();
        }
    }
}

#[tokio::test]
async fn all_parts_are_built_once_per_module_and_then_cached() {
    let bench = Bench::new(WORKING);
    for _ in 0..2 {
        let programs = obtain(&bench.build_only(), &Part::ALL, &Quiet).await.unwrap();
        for part in Part::ALL {
            let made = fs::read_to_string(programs.path(part)).unwrap();
            assert_eq!(made, format!("built {}\n", part.package()));
            assert_eq!(programs.origin(part), &Origin::Build);
        }
    }
    assert_eq!(bench.builds(), Module::ALL.len());
}

#[tokio::test]
async fn an_operator_with_fewer_providers_and_a_whole_one_are_built_and_kept_apart() {
    let bench = Bench::new(r#"cat go.mod > "$here/pin-$(wc -l < $here/builds)"; build_all "$@""#);
    let used = bench.build_only();
    let all = Options { providers: Providers::All, ..used.clone() };
    let (fewer, whole) = (
        obtain(&used, &[Part::ExternalSecrets], &Quiet).await.unwrap(),
        obtain(&all, &[Part::ExternalSecrets], &Quiet).await.unwrap(),
    );
    assert_ne!(fewer.path(Part::ExternalSecrets), whole.path(Part::ExternalSecrets));
    assert_eq!(
        (fewer.providers(), whole.providers()),
        (Some(Providers::Used.describe()), Some(Providers::All.describe()))
    );
    let is_replaced = |number| fs::read_to_string(bench.path(number)).unwrap().contains("external-secrets => ./source");
    assert_eq!(["pin-1", "pin-2"].map(is_replaced), [true, false]);
    obtain(&used, &[Part::ExternalSecrets], &Quiet).await.unwrap();
    assert_eq!(bench.builds(), 2);
}

#[tokio::test]
async fn a_given_program_is_used_as_it_is() {
    let bench = Bench::new(BROKEN);
    let mut options = bench.build_only();
    options.overrides.insert(Part::Helm, "/bin/sh".into());
    let programs = obtain(&options, &[Part::Helm], &Quiet).await.unwrap();
    assert_eq!((programs.path(Part::Helm), programs.origin(Part::Helm)), (Path::new("/bin/sh"), &Origin::Given));
    assert_eq!(programs.version(Part::Helm), UNKNOWN, "it is no helm of the pinned version");
    assert!(!options.cache.exists());
}

#[rstest]
#[case::missing("/nowhere/helm", "No such file or directory")]
#[case::directory("/bin", "is a directory")]
#[case::not_executable("/etc/passwd", "Permission denied")]
#[tokio::test]
async fn a_given_path_that_is_no_program_is_an_error(#[case] path: &str, #[case] cause: &str) {
    let bench = Bench::new(WORKING);
    let mut options = bench.build_only();
    options.overrides.insert(Part::Helm, path.into());
    let error = chain(&obtain(&options, &[Part::Helm], &Quiet).await.unwrap_err());
    assert!(error.starts_with(&format!("failed to use {path} as helm: not an executable file: {cause}")), "{error}");
}

#[tokio::test]
async fn a_failed_build_says_what_the_compiler_said() {
    let error = obtain(&Bench::new(BROKEN).build_only(), &[Part::Etcd], &Quiet).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(text, "failed to build etcd with go, exit status: 1:\nmain.go:7: no such thing");
}

#[tokio::test]
async fn a_disk_that_fills_up_in_the_middle_of_a_build_ends_it_and_the_next_one_succeeds() {
    let full = "echo internal/abi >&2; echo 'write /go-build/b001: no space left on device' >&2; exit 1";
    let bench = Bench::new(&format!("test -e $here/room || {{ {full}; }}; {WORKING}"));
    let options = bench.build_only();
    let error = obtain(&options, &[Part::Etcd], &Quiet).await.unwrap_err().to_string();
    assert!(error.ends_with("write /go-build/b001: no space left on device"), "{error}");
    let left = fs::read_dir(options.cache.join("work/etcd")).unwrap().count();
    assert_eq!((left, Cache::of(&options).unwrap().find(Part::Etcd)), (0, None));
    fs::write(bench.path("room"), "").unwrap();
    obtain(&options, &[Part::Etcd], &Quiet).await.unwrap();
}

#[tokio::test]
async fn a_module_registry_that_does_not_answer_ends_the_build_and_the_next_one_goes_on() {
    let bench = Bench::new(WORKING);
    let silent = bench.path("silent");
    fs::write(&silent, "").unwrap();
    let script = fs::read_to_string(bench.path("go")).unwrap();
    let waits = "list) if [ -e $here/silent ]; then echo '# get https://proxy.test/a.zip' >&2; exec sleep 600; fi ;;";
    test_program::write(&bench.path("go"), &script.replace("list) ;;", waits));
    let options = Options { patience: Duration::from_secs(1), ..bench.build_only() };
    let error = obtain(&options, &[Part::Helm], &Quiet).await.unwrap_err();
    let text = chain(&error);
    assert!(text.contains("said nothing for 1 s after https://proxy.test/a.zip was asked for"), "{text}");
    assert!(text.contains("set GOPROXY"), "{text}");
    assert_eq!(bench.builds(), 0);
    fs::remove_file(&silent).unwrap();
    obtain(&options, &[Part::Helm], &Quiet).await.unwrap();
    assert_eq!(bench.builds(), 1);
}

#[tokio::test]
async fn too_old_a_go_is_an_error_with_found_and_needed() {
    let bench = Bench::with_go("go1.24.4", "$here/gocache", WORKING);
    let error = obtain(&bench.build_only(), &[Part::Etcd], &Quiet).await.unwrap_err();
    let expected = "too old a Go: go1.24.4 found, 1.26.0 or newer needed; install it from https://go.dev/dl";
    assert_eq!(error.to_string(), expected);
    assert_eq!(bench.builds(), 0);
}

#[tokio::test]
async fn a_full_disk_is_an_error_before_the_build() {
    // The proc file system always has 0 bytes free.
    let bench = Bench::with_go("go1.26.8", "/proc", WORKING);
    let error = obtain(&bench.build_only(), &[Part::Etcd], &Quiet).await.unwrap_err();
    let expected = "too little disk space for etcd: 0 MB free and 350 MB needed on the file system of /proc";
    assert_eq!(error.to_string(), expected);
    assert_eq!(bench.builds(), 0);
}

#[tokio::test]
async fn a_cache_that_cannot_be_used_is_an_error_before_anything_else() {
    let bench = Bench::new(WORKING);
    let options = Options { cache: bench.path("go"), ..bench.build_only() };
    let error = obtain(&options, &[Part::Etcd], &Quiet).await.unwrap_err();
    assert!(matches!(error, ComponentError::Cache(_)), "{error}");
    assert_eq!(bench.builds(), 0);
}

#[tokio::test]
async fn of_two_at_once_one_builds_and_the_other_waits() {
    // A pipe with no writer stops the build until the test writes into it.
    let bench = Bench::new("read line < $here/gate; build_all \"$@\"");
    assert!(Command::new("mkfifo").arg(bench.path("gate")).status().unwrap().success());
    let options = bench.build_only();
    let building = Until::new(|step| matches!(step, Step::Building { .. }));
    let waiting = Until::new(|step| matches!(step, Step::Waiting { holder: Some(_) }));
    let first = obtain(&options, &[Part::Etcd], &building);
    let second = async {
        building.seen.notified().await;
        obtain(&options, &[Part::Etcd], &waiting).await
    };
    let open = async {
        waiting.seen.notified().await;
        tokio::fs::write(bench.path("gate"), "go on\n").await.unwrap();
    };
    let (first, second, ()) = tokio::join!(first, second, open);
    assert_eq!(first.unwrap().path(Part::Etcd), second.unwrap().path(Part::Etcd));
    assert_eq!(bench.builds(), 1);
}

#[tokio::test]
async fn an_interrupted_build_leaves_nothing_present_and_the_next_one_succeeds() {
    // It has written half of the program when it is interrupted, the first time.
    let half = r#"if [ $(wc -l < $here/builds) = 1 ]; then
        while [ "$1" != -o ]; do shift; done; echo half > "$2server"; echo half >&2; exec sleep 600
    fi; build_all "$@""#;
    let bench = Bench::new(half);
    let options = bench.build_only();
    let wrote = Until::new(|step| matches!(step, Step::Building { what } if what.ends_with("half")));
    tokio::select! {
        result = obtain(&options, &[Part::Etcd], &wrote) => panic!("the build cannot end: {result:?}"),
        () = wrote.seen.notified() => {}
    }
    assert_eq!(Cache::of(&options).unwrap().find(Part::Etcd), None);
    let programs = obtain(&options, &[Part::Etcd], &Quiet).await.unwrap();
    assert!(fs::read_to_string(programs.path(Part::Etcd)).unwrap().starts_with("built"));
}

#[tokio::test]
async fn assets_come_from_their_module_once() {
    let bench = Bench::new(BROKEN);
    // What all three take; the module directory is the same for each.
    let files = [
        "deploy/charts/external-secrets/Chart.yaml",
        "deploy/crds/bundle.yaml",
        "templates/home.tmpl",
        "options/locale/locale_en-US.json",
        "public/assets/img/logo.svg",
        "custom/conf/app.example.ini",
        "manifests/crds/application-crd.yaml",
        "manifests/base/redis/kustomization.yaml",
        "manifests/cluster-rbac/kustomization.yaml",
        "hack/git-verify-wrapper.sh",
    ];
    for file in files {
        let path = bench.path("module").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    let options = bench.options();
    let all = async || {
        let (eso, gitea) = (external_secrets_assets(&options).await, gitea_assets(&options).await);
        [eso.unwrap(), gitea.unwrap(), argo_cd_assets(&options).await.unwrap()]
    };
    let first = all().await;
    let taken = [&files[..2], &files[2..6], &files[6..]];
    for (place, taken) in first.iter().zip(taken) {
        for file in files {
            assert_eq!(place.join(file).is_file(), taken.contains(&file), "{file} in {}", place.display());
        }
    }
    fs::remove_file(bench.path("go")).unwrap();
    assert_eq!(all().await, first);
}

#[tokio::test]
async fn each_module_is_built_with_its_tags_and_its_toolchain() {
    let bench = Bench::new(WORKING);
    obtain(&bench.build_only(), &[Part::Gitea, Part::ArgoCd], &Quiet).await.unwrap();
    let builds = fs::read_to_string(bench.path("builds")).unwrap();
    // The module whose sources are there first is built first.
    let of = |part: Part| builds.lines().find(|line| line.ends_with(part.package())).unwrap_or_default();
    let (gitea, argo_cd) = (of(Part::Gitea), of(Part::ArgoCd));
    assert!(gitea.contains(" -tags sqlite,sqlite_unlock_notify "), "{builds}");
    assert!(argo_cd.starts_with("go1.27.3 build "), "{builds}");
}

#[rstest]
#[case::missing("/nowhere/cc -m64", "No such file or directory")]
#[case::broken("false", "exit status: 1")]
#[tokio::test]
async fn without_a_c_compiler_only_what_needs_one_cannot_be_built(#[case] compiler: &str, #[case] cause: &str) {
    let bench = Bench::with_compiler("go1.26.8", "$here/gocache", compiler, WORKING);
    let options = bench.build_only();
    let error = obtain(&options, &[Part::Gitea], &Quiet).await.unwrap_err().to_string();
    let expected = format!("failed to compile C with {compiler}, which building gitea needs: {cause}");
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(bench.builds(), 0);
    let findings = examine(&options).await;
    let of = |part| findings.iter().find(|finding| finding.subject == Subject::Part(part)).unwrap();
    let gitea = of(Part::Gitea);
    assert!(gitea.state == State::Missing && gitea.detail.contains(&expected), "{}", gitea.detail);
    assert_eq!(of(Part::Containerd).state, State::Obtainable);
}

#[tokio::test]
async fn doctor_tells_present_obtainable_and_missing_apart() {
    let bench = Bench::new(WORKING);
    let mut options = bench.build_only();
    let programs = obtain(&options, &[Part::Etcd, Part::Helm], &Quiet).await.unwrap();
    let helm = programs.path(Part::Helm);
    fs::write(helm, fs::read_to_string(helm).unwrap().to_uppercase()).unwrap();
    options.overrides.insert(Part::Kustomize, "/nowhere/kustomize".into());
    let findings = examine(&options).await;
    let of = |subject| findings.iter().find(|finding| finding.subject == subject).unwrap();
    assert_eq!((of(Subject::Cache).state, of(Subject::Go).state), (State::Present, State::Present));
    assert_eq!(of(Subject::Part(Part::Etcd)).state, State::Present);
    assert_eq!(of(Subject::Part(Part::Kustomize)).state, State::Missing);
    let apiserver = of(Subject::Part(Part::KubeApiserver));
    assert_eq!((apiserver.state, apiserver.detail.as_str()), (State::Obtainable, "by go build"));
    assert_eq!(apiserver.cost, Some(Cost { megabytes: 6960, minutes: 11 }));
    let argo_cd = of(Subject::Part(Part::ArgoCd));
    assert_eq!(argo_cd.detail, "by go build with go1.27.3, which go obtains");
    let helm = of(Subject::Part(Part::Helm));
    assert!(helm.state == State::Missing && helm.detail.contains("has changed"), "{}", helm.detail);
}

#[tokio::test]
async fn doctor_without_go_says_what_go_is_needed() {
    let bench = Bench::new(WORKING);
    let options = Options { go: "/nowhere/go".into(), ..bench.options() };
    let findings = examine(&options).await;
    let of = |subject| findings.iter().find(|finding| finding.subject == subject).unwrap();
    let go = of(Subject::Go);
    assert!(go.state == State::Missing && go.detail.contains("1.26.0 or newer"), "{}", go.detail);
    assert_eq!(of(Subject::Part(Part::Esoctl)).state, State::Missing);
    assert_eq!(of(Subject::Part(Part::ExternalSecrets)).state, State::Obtainable);
    assert_eq!(of(Subject::Part(Part::Helm)).state, State::Obtainable);
}
