//! Releases as their publishers lay them out, served on the loopback interface.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use credence_programs::supply::Part;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};

const IMAGE: &str = "/v2/external-secrets/external-secrets";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Bodies by the path that is asked for.
type Files = BTreeMap<String, Vec<u8>>;

/// A mirror that serves until the runtime ends.
pub(crate) struct Mirror {
    /// Its address, without a path.
    pub(crate) url: String,
    shelf: Arc<Shelf>,
}

struct Shelf {
    files: Files,
    asked: Mutex<BTreeSet<String>>,
}

impl Mirror {
    /// Paths that nobody asked for.
    pub(crate) fn left_unasked(&self) -> Vec<String> {
        let asked = self.shelf.asked.lock().unwrap_or_else(PoisonError::into_inner);
        self.shelf.files.keys().filter(|path| !asked.contains(*path)).cloned().collect()
    }
}

/// Serves these files.
pub(crate) async fn serve(files: Files) -> Mirror {
    let shelf = Arc::new(Shelf { files, asked: Mutex::default() });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Mirror { url, shelf }
}

async fn answer(State(shelf): State<Arc<Shelf>>, uri: Uri) -> Response {
    // A registry says with this answer that nobody has to log in.
    if uri.path() == "/v2/" {
        return StatusCode::OK.into_response();
    }
    let Some(body) = shelf.files.get(uri.path()) else { return StatusCode::NOT_FOUND.into_response() };
    shelf.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(uri.path().to_owned());
    let kind = if uri.path().contains("/manifests/") { MANIFEST } else { "application/octet-stream" };
    ([(CONTENT_TYPE, kind)], body.clone()).into_response()
}

/// The files that make up the release of a part, with `program` in it.
pub(crate) fn published(part: Part, program: &Path) -> Files {
    let body = std::fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => panic!("nothing is published for {other}"),
    };
    let version = part.version();
    match part {
        Part::Etcd => {
            let name = format!("etcd-v{version}-linux-{architecture}");
            let folder = format!("/etcd-io/etcd/releases/download/v{version}");
            let archive = archive(&format!("{name}/etcd"), &body);
            with_sum(&folder, &format!("{name}.tar.gz"), "SHA256SUMS", archive)
        }
        Part::Helm => {
            let name = format!("helm-v{version}-linux-{architecture}.tar.gz");
            let archive = archive(&format!("linux-{architecture}/helm"), &body);
            with_sum("", &name, &format!("{name}.sha256sum"), archive)
        }
        Part::Kustomize => {
            let folder = format!("/kubernetes-sigs/kustomize/releases/download/kustomize%2Fv{version}");
            let name = format!("kustomize_v{version}_linux_{architecture}.tar.gz");
            with_sum(&folder, &name, "checksums.txt", archive("kustomize", &body))
        }
        Part::ExternalSecrets => image(&format!("v{version}"), architecture, archive("bin/external-secrets", &body)),
        _ => {
            let folder = format!("/release/v{version}/bin/linux/{architecture}");
            with_sum(&folder, part.name(), &format!("{part}.sha256"), body)
        }
    }
}

/// A file and the list of checksums beside it.
fn with_sum(folder: &str, name: &str, list: &str, body: Vec<u8>) -> Files {
    let sum = format!("{}  {name}\n", sha256(&body)).into_bytes();
    [(format!("{folder}/{name}"), body), (format!("{folder}/{list}"), sum)].into()
}

/// An image of one layer. Its configuration is not served: nobody who wants a program asks for it.
fn image(tag: &str, architecture: &str, layer: Vec<u8>) -> Files {
    let config = json!({ "architecture": architecture, "os": "linux" }).to_string().into_bytes();
    let described = |kind: &str, body: &[u8]| json!({ "mediaType": kind, "digest": format!("sha256:{}", sha256(body)), "size": body.len() });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(CONFIG, &config),
        "layers": [described(LAYER, &layer)],
    });
    let blob = format!("{IMAGE}/blobs/sha256:{}", sha256(&layer));
    [(blob, layer), (format!("{IMAGE}/manifests/{tag}"), manifest.to_string().into_bytes())].into()
}

/// A compressed archive of one program.
fn archive(path: &str, program: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(program.len() as u64);
    archive.append_data(&mut header, path, program).expect("memory takes an entry");
    archive.into_inner().and_then(GzEncoder::finish).expect("memory takes an archive")
}

fn sha256(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}
