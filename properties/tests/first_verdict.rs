//! The time to a first verdict on a machine that has no programs yet and reaches their releases: a publishers' mirror on the
//! loopback interface stands for the network, and an empty cache for the machine.
//!
//! It needs all of the control plane's programs once, to publish them, and runs at night:
//! `cargo test --test first_verdict -- --ignored`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use credence_core::text::chain;
use credence_programs::supply::{self, Part, PlainProgress, Source};
use credence_report::verdict::Verdict;
use credence_suite::options::Options;
use credence_suite::registry;

#[path = "support/execute.rs"]
mod execute;
#[path = "first_verdict/mirror.rs"]
mod mirror;
mod support;

/// Time that a newcomer is asked to wait where releases can be fetched.
const BOUND: Duration = Duration::from_secs(180);
/// Programs that the embedded cluster and the reference configuration need.
const PARTS: [Part; 6] =
    [Part::KubeApiserver, Part::KubeControllerManager, Part::Etcd, Part::Helm, Part::Kustomize, Part::ExternalSecrets];

#[test]
#[ignore = "compresses all programs to publish them; ci/nightly runs it"]
fn releases_give_a_first_verdict_within_three_minutes() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (components, progress) = (support::components(), PlainProgress::new());
    let obtained = runtime.block_on(supply::obtain(&components, &PARTS, &progress));
    let programs = obtained.unwrap_or_else(|error| panic!("{}", chain(&error)));
    let files = PARTS.into_iter().flat_map(|part| mirror::published(part, programs.path(part))).collect();
    let server = runtime.block_on(mirror::serve(files));
    let cache = tempfile::tempdir().expect("a directory");

    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("first-verdict");
    let options = Options {
        properties: vec![registry::find("p01").expect("p01 is registered")],
        cases: 10,
        components: supply::Options {
            mirror: Some(server.url.clone()),
            source: Source::Release,
            ..supply::Options::new(cache.path().to_owned())
        },
        ..support::options(&out)
    };
    let began = Instant::now();
    let report = execute::execute(&options).unwrap_or_else(|error| panic!("{error:?}"));
    let took = began.elapsed();

    let verdict = report.properties.iter().find(|property| property.cases.run > 0).map(|property| property.verdict);
    assert_eq!(verdict, Some(Verdict::Held));
    assert_eq!(server.left_unasked(), Vec::<String>::new(), "what came from somewhere else");
    assert!(took < BOUND, "{took:.1?}");
    println!("took {:>7.1} s  first_verdict  from an empty cache to 10 cases of p01", took.as_secs_f64());
}
