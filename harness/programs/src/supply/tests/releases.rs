//! Official releases, from a host on the loopback interface.

use flate2::Compression;
use flate2::write::GzEncoder;

use super::server::{Pace, Served, Server};
use super::*;
use credence_core::text::chain;

const BODY: &[u8] = b"#!/bin/sh\necho kube-apiserver\n";

fn kube_apiserver() -> String {
    let architecture = release::architecture().unwrap();
    format!("/release/v{}/bin/linux/{architecture}/kube-apiserver", Part::KubeApiserver.version())
}

/// kube-apiserver and its checksum.
async fn publish(program: Served) -> Server {
    let path = kube_apiserver();
    let sum = Served { body: hex_sha256(BODY).into_bytes(), ..Served::default() };
    Server::start([(format!("{path}.sha256"), sum), (path, program)].into()).await
}

fn whole() -> Served {
    Served { body: BODY.to_vec(), ..Served::default() }
}

fn hex_sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    digest::hex(&sha2::Sha256::digest(bytes))
}

/// Options that may use this server, and a Go that fails.
fn mirrored(bench: &Bench, server: &Server) -> Options {
    Options { mirror: Some(server.url.clone()), ..bench.options() }
}

fn unfinished(options: &Options) -> PathBuf {
    let cache = Cache::of(options).unwrap();
    cache.prepare().unwrap();
    cache.download(Part::KubeApiserver)
}

#[tokio::test]
async fn a_release_is_downloaded_once_and_then_cached() {
    let (bench, server) = (Bench::new(BROKEN), publish(whole()).await);
    let options = mirrored(&bench, &server);
    for _ in 0..2 {
        let programs = obtain(&options, &[Part::KubeApiserver], &Quiet).await.unwrap();
        assert_eq!(fs::read(programs.path(Part::KubeApiserver)).unwrap(), BODY);
        let url = format!("{}{}", server.url, kube_apiserver());
        assert_eq!(programs.origin(Part::KubeApiserver), &Origin::Release { url });
    }
    assert_eq!(server.requests(), [format!("{}.sha256", kube_apiserver()), kube_apiserver()]);
}

#[tokio::test]
async fn a_program_is_taken_out_of_its_archive() {
    let architecture = release::architecture().unwrap();
    let name = format!("etcd-v{}-linux-{architecture}", Part::Etcd.version());
    let files = [("README.md", "read me"), ("etcdctl", "another program"), ("etcd", "etcd itself")]
        .map(|(path, body)| (format!("{name}/{path}"), body));
    let archive = archive(&files.each_ref().map(|(path, body)| (path.as_str(), *body)));
    let folder = format!("/etcd-io/etcd/releases/download/v{}", Part::Etcd.version());
    let sums = format!("{}  other.tar.gz\n{}  {name}.tar.gz\n", "0".repeat(64), hex_sha256(&archive));
    let files = [
        (format!("{folder}/SHA256SUMS"), Served { body: sums.into_bytes(), ..Served::default() }),
        (format!("{folder}/{name}.tar.gz"), Served { body: archive, ..Served::default() }),
    ];
    let (bench, server) = (Bench::new(BROKEN), Server::start(files.into()).await);
    let programs = obtain(&mirrored(&bench, &server), &[Part::Etcd], &Quiet).await.unwrap();
    assert_eq!(fs::read(programs.path(Part::Etcd)).unwrap(), b"etcd itself");
}

#[tokio::test]
async fn a_cut_connection_is_resumed() {
    let server = publish(Served { cut_first: Some(10), ..whole() }).await;
    let bench = Bench::new(BROKEN);
    let programs = obtain(&mirrored(&bench, &server), &[Part::KubeApiserver], &Quiet).await.unwrap();
    assert_eq!(fs::read(programs.path(Part::KubeApiserver)).unwrap(), BODY);
    assert_eq!(server.requests()[1..], [kube_apiserver(), format!("{} bytes=10-", kube_apiserver())]);
}

#[rstest]
#[case::from_its_middle(7, whole(), &["bytes=7-"])]
#[case::with_nothing_left_to_get(BODY.len(), whole(), &["bytes=30-", ""])]
#[case::from_a_server_that_ignores_ranges(7, Served { ignores_range: true, ..whole() }, &["bytes=7-"])]
#[tokio::test]
async fn a_download_that_a_killed_run_left_is_finished(
    #[case] left: usize,
    #[case] served: Served,
    #[case] ranges: &[&str],
) {
    let (bench, server) = (Bench::new(BROKEN), publish(served).await);
    let options = mirrored(&bench, &server);
    fs::write(unfinished(&options), &BODY[..left]).unwrap();
    let programs = obtain(&options, &[Part::KubeApiserver], &Quiet).await.unwrap();
    assert_eq!(fs::read(programs.path(Part::KubeApiserver)).unwrap(), BODY);
    let expected: Vec<_> =
        ranges.iter().map(|range| format!("{} {range}", kube_apiserver()).trim().to_owned()).collect();
    assert_eq!(server.requests()[1..], expected);
}

#[tokio::test]
async fn a_download_that_is_not_what_was_published_is_refused_and_removed() {
    let server = publish(Served { body: b"something else".to_vec(), ..Served::default() }).await;
    // A Go that would work shows that a mismatch is not passed over by building.
    let bench = Bench::new(WORKING);
    let options = mirrored(&bench, &server);
    let error = obtain(&options, &[Part::KubeApiserver], &Quiet).await.unwrap_err();
    assert!(matches!(&error, ComponentError::Checksum { expected, .. } if *expected == hex_sha256(BODY)), "{error}");
    assert!(!unfinished(&options).exists());
    assert_eq!(bench.builds(), 0);
}

#[tokio::test]
async fn a_known_checksum_is_used_instead_of_the_published_list() {
    let (bench, server) = (Bench::new(BROKEN), publish(whole()).await);
    let release = Release::here(Part::KubeApiserver, Some(&server.url)).unwrap();
    let cache = Cache::of(&bench.options()).unwrap();
    cache.prepare().unwrap();
    let lock = Arc::new(Lock::acquire(&cache.lock("kubernetes"), |_| ()).await.unwrap());
    let other = "0000000000000000000000000000000000000000000000000000000000000000";
    let known = Release { sha256: Some(other), ..release };
    let refused = known.fetch(&Downloads::new(PATIENCE), &cache, &lock, &|_| ()).await.unwrap_err();
    assert!(matches!(refused, Failure::Fatal(ComponentError::Checksum { .. })), "{refused:?}");
    assert_eq!(server.requests(), [kube_apiserver()]);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_asked_once_and_the_part_is_built() {
    // A port that was just let go has nobody behind it.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let bench = Bench::new(WORKING);
    let options = Options { mirror: Some(format!("http://{closed}")), ..bench.options() };
    let parts = [Part::KubeApiserver, Part::KubeControllerManager];
    let programs = obtain(&options, &parts, &Quiet).await.unwrap();
    assert_eq!(parts.map(|part| programs.origin(part)), [&Origin::Build, &Origin::Build]);
    assert_eq!(bench.builds(), 1);
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_given_up_and_the_part_is_built() {
    let server = publish(Served { pace: Pace::Never, ..whole() }).await;
    let bench = Bench::new(WORKING);
    let options = Options { patience: Duration::from_secs(1), ..mirrored(&bench, &server) };
    let programs = obtain(&options, &[Part::KubeApiserver], &Quiet).await.unwrap();
    assert_eq!(programs.origin(Part::KubeApiserver), &Origin::Build);
}

#[tokio::test]
async fn a_host_that_answers_slowly_is_waited_for_while_the_download_is_reported() {
    let server = publish(Served { pace: Pace::Slowly, ..whole() }).await;
    let bench = Bench::new(BROKEN);
    let begun = |step: &Step| matches!(step, Step::Downloading { received, total: Some(30) } if *received > 0);
    let progress = Until::new(begun);
    let programs = obtain(&mirrored(&bench, &server), &[Part::KubeApiserver], &progress).await.unwrap();
    assert_eq!(fs::read(programs.path(Part::KubeApiserver)).unwrap(), BODY);
    progress.seen.notified().await;
}

/// The operator's image on a registry that serves files: its manifest, and a layer above one without the program.
fn image(layer: &[u8]) -> BTreeMap<String, Served> {
    let base = archive(&[("etc/passwd", "nobody")]);
    let digests = [&base, layer].map(|layer| format!("sha256:{}", hex_sha256(layer)));
    let describe = |layer: &[u8], digest: &str| {
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": layer.len(),
        })
    };
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": format!("sha256:{}", hex_sha256(b"{}")),
            "size": 2,
        },
        "layers": [describe(&base, &digests[0]), describe(layer, &digests[1])],
    });
    let repository = "/v2/external-secrets/external-secrets";
    let tag = format!("{repository}/manifests/v{}", Part::ExternalSecrets.version());
    let blobs = digests.map(|digest| format!("{repository}/blobs/{digest}"));
    let [below, above] = blobs;
    [(tag, manifest.to_string().into_bytes()), (below, base), (above, layer.to_vec())]
        .map(|(path, body)| (path, Served { body, ..Served::default() }))
        .into()
}

fn archive(files: &[(&str, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, body) in files {
        let mut header = tar::Header::new_gnu();
        let body = body.as_ref();
        header.set_size(body.len() as u64);
        archive.append_data(&mut header, path, body).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn a_program_that_is_published_in_an_image_is_taken_out_of_its_layers() {
    let server = Server::start(image(&archive(&[("bin/external-secrets", "the operator")]))).await;
    let bench = Bench::new(BROKEN);
    let programs = obtain(&mirrored(&bench, &server), &[Part::ExternalSecrets], &Quiet).await.unwrap();
    assert_eq!(fs::read(programs.path(Part::ExternalSecrets)).unwrap(), b"the operator");
    assert!(
        matches!(programs.origin(Part::ExternalSecrets), Origin::Release { url } if url.contains("external-secrets:v"))
    );
    assert_eq!(programs.providers(), Some(Providers::All.describe()), "a release has every provider");
}

#[tokio::test]
async fn the_program_of_an_image_that_is_named_is_taken_out_once_and_says_its_version() {
    let bench = Bench::new(BROKEN);
    let program = bench.path("program");
    testing::write_built_program(
        &program,
        "mod\tgithub.com/external-secrets/external-secrets\tv2.9.0+incompatible\t\nbuild\t-tags=all_providers\n",
    );
    let server = Server::start(image(&archive(&[("bin/external-secrets", fs::read(&program).unwrap())]))).await;
    let tag = Part::ExternalSecrets.version();
    let name = format!("{}/external-secrets/external-secrets:v{tag}", server.url.trim_start_matches("http://"));
    let options = Options { operator_image: Some(name.clone()), ..bench.options() };
    let programs = obtain(&options, &[Part::ExternalSecrets], &Quiet).await.unwrap();
    assert_eq!(fs::read(programs.path(Part::ExternalSecrets)).unwrap(), fs::read(&program).unwrap());
    // The tag of the image is another version, and only a hint.
    assert_eq!(programs.version(Part::ExternalSecrets), "2.9.0");
    assert_eq!(programs.origin(Part::ExternalSecrets), &Origin::Image { reference: name });
    assert_eq!(programs.providers(), Some(Providers::All.describe()));
    let of_kind = |kind| server.requests().iter().filter(|request| request.contains(kind)).count();
    obtain(&options, &[Part::ExternalSecrets], &Quiet).await.unwrap();
    assert_eq!((of_kind("/manifests/"), of_kind("/blobs/")), (1, 1));
    let of_another_run = Options { user_programs: UserPrograms::default(), ..options };
    obtain(&of_another_run, &[Part::ExternalSecrets], &Quiet).await.unwrap();
    assert_eq!((of_kind("/manifests/"), of_kind("/blobs/")), (2, 1));
}

#[tokio::test]
async fn an_image_that_is_named_and_has_no_operator_is_an_error_and_nothing_is_built() {
    for (path, body) in [("bin/other", "something else"), ("bin/external-secrets", "no program")] {
        let (bench, server) = (Bench::new(WORKING), Server::start(image(&archive(&[(path, body)]))).await);
        let tag = Part::ExternalSecrets.version();
        let name = format!("{}/external-secrets/external-secrets:v{tag}", server.url.trim_start_matches("http://"));
        let options = Options { operator_image: Some(name), ..bench.options() };
        let error = obtain(&options, &[Part::ExternalSecrets], &Quiet).await.unwrap_err();
        assert!(error.is_usage(), "{error}");
        assert_eq!(bench.builds(), 0);
    }
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_manifest_names_is_refused_and_removed() {
    let mut files = image(&archive(&[("bin/external-secrets", "the operator")]));
    for (path, served) in &mut files {
        if path.contains("/blobs/") {
            served.body = archive(&[("bin/external-secrets", "another operator")]);
        }
    }
    let (bench, server) = (Bench::new(WORKING), Server::start(files).await);
    let options = mirrored(&bench, &server);
    let error = obtain(&options, &[Part::ExternalSecrets], &Quiet).await.unwrap_err();
    assert!(matches!(&error, ComponentError::Checksum { .. }), "{error}");
    assert!(!Cache::of(&options).unwrap().download(Part::ExternalSecrets).exists());
    assert_eq!(bench.builds(), 0);
}

#[tokio::test]
async fn an_image_without_the_program_is_no_release_of_it() {
    let server = Server::start(image(&archive(&[("bin/other", "something else")]))).await;
    let bench = Bench::new(WORKING);
    let programs = obtain(&mirrored(&bench, &server), &[Part::ExternalSecrets], &Quiet).await.unwrap();
    assert_eq!(programs.origin(Part::ExternalSecrets), &Origin::Build);
}

#[tokio::test]
async fn what_is_not_published_is_built() {
    let (bench, server) = (Bench::new(WORKING), Server::start(BTreeMap::new()).await);
    let programs = obtain(&mirrored(&bench, &server), &[Part::Helm], &Quiet).await.unwrap();
    assert_eq!(programs.origin(Part::Helm), &Origin::Build);
}

#[tokio::test]
async fn when_a_build_fails_too_the_error_has_both_reasons() {
    let (bench, server) = (Bench::new(BROKEN), Server::start(BTreeMap::new()).await);
    let error = obtain(&mirrored(&bench, &server), &[Part::Helm], &Quiet).await.unwrap_err();
    let text = chain(&error);
    assert!(text.contains("404 Not Found") && text.contains("main.go:7: no such thing"), "{text}");
}

#[tokio::test]
async fn releases_only_means_no_build() {
    let (bench, server) = (Bench::new(WORKING), Server::start(BTreeMap::new()).await);
    let options = Options { source: Source::Release, ..mirrored(&bench, &server) };
    let error = obtain(&options, &[Part::Esoctl], &Quiet).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to get an official release of esoctl: its publisher has none");
    assert_eq!(bench.builds(), 0);
}

#[tokio::test]
async fn builds_only_means_no_host_is_contacted() {
    let (bench, server) = (Bench::new(WORKING), publish(whole()).await);
    let options = Options { source: Source::Build, ..mirrored(&bench, &server) };
    obtain(&options, &[Part::KubeApiserver], &Quiet).await.unwrap();
    assert_eq!(server.requests(), Vec::<String>::new());
}
