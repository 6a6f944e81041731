//! What images are made of, read back as a registry or a container runtime would.

use std::io::Read;

use super::*;
use crate::credential::Credential;

fn layer() -> Arc<Layer> {
    let entries = [Entry::file("bin/app", 0o755, "binary"), Entry::link("bin/alias", Path::new("app"))];
    Layer::pack(&entries).unwrap()
}

fn settings() -> Settings {
    Settings { entrypoint: vec!["/bin/app".to_owned()], ..Settings::default() }
}

fn read(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    files.collect()
}

#[test]
fn equal_files_give_an_equal_layer() {
    assert_eq!(layer().digest(), layer().digest());
}

#[test]
fn a_nonce_changes_digest_and_id_but_no_layer() {
    let (one, two) = (Image::new(&[layer()], &settings(), "1"), Image::new(&[layer()], &settings(), "2"));
    assert_ne!(one.digest(), two.digest());
    assert_ne!(one.id(), two.id());
    assert_eq!(one.layers[0].digest, two.layers[0].digest);
}

#[test]
fn the_same_nonce_gives_the_same_image() {
    let (one, two) = (Image::new(&[layer()], &settings(), "1"), Image::new(&[layer()], &settings(), "1"));
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn every_blob_of_an_archive_is_what_its_name_and_its_descriptor_say() {
    let image = Image::new(&[layer()], &settings(), "1");
    let files = read(&image.archive("ghcr.io/org/app:1").unwrap());
    let blob = |digest: &Value| &files[&format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"))];
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let described = &index["manifests"][0];
    assert_eq!(described["annotations"]["io.containerd.image.name"], "ghcr.io/org/app:1");
    let manifest: Value = serde_json::from_slice(blob(&described["digest"])).unwrap();
    let config: Value = serde_json::from_slice(blob(&manifest["config"]["digest"])).unwrap();
    assert_eq!(config["config"]["Entrypoint"], json!(["/bin/app"]));
    assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
    for descriptor in [described, &manifest["config"], &manifest["layers"][0]] {
        let bytes = blob(&descriptor["digest"]);
        assert_eq!(descriptor["size"], bytes.len());
        assert_eq!(descriptor["digest"], Digest::of(bytes).as_str());
    }
}

#[test]
fn a_layer_keeps_modes_and_links() {
    let layer = layer();
    let mut archive = tar::Archive::new(&*layer.bytes);
    let entries: Vec<(String, u32, EntryType)> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            (entry.path().unwrap().display().to_string(), header.mode().unwrap(), header.entry_type())
        })
        .collect();
    let expected = [("bin/app", 0o755, EntryType::Regular), ("bin/alias", 0o777, EntryType::Symlink)];
    assert_eq!(entries, expected.map(|(path, mode, kind)| (path.to_owned(), mode, kind)));
}

#[test]
fn a_file_that_is_missing_is_named() {
    let error = Layer::pack(&[Entry::copy("bin/app", 0o755, Path::new("/nowhere/app"))]).unwrap_err();
    assert_eq!(error.to_string(), "failed to read /nowhere/app for the image's bin/app");
}

#[test]
fn a_path_out_of_the_image_is_refused() {
    let error = Layer::pack(&[Entry::file("../etc/passwd", 0o644, "")]).unwrap_err();
    assert_eq!(error.to_string(), "failed to put ../etc/passwd into the image");
}

#[test]
fn a_password_that_is_not_text_is_refused_without_showing_it() {
    let error = Registry::new("127.0.0.1:1", "", "user", &Credential::new([0xff, 0xfe])).err().unwrap();
    assert!(error.to_string().ends_with("the password is not UTF-8"), "{error}");
}
