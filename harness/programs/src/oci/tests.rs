//! Parts of images, read back as a registry or a container runtime would.

use std::fs;
use std::io::Read;

use credence_core::credential::Credential;
use rstest::rstest;
use tar::EntryType;
use tempfile::{TempDir, tempdir};

use super::*;

/// A layer, and where it is.
fn layer() -> (TempDir, Arc<Layer>) {
    let directory = tempdir().unwrap();
    let entries = [LayerEntry::file("bin/app", 0o755, "binary"), LayerEntry::link("bin/alias", Path::new("app"))];
    let layer = Layer::pack(&entries, directory.path()).unwrap();
    (directory, layer)
}

fn refusal(entries: &[LayerEntry]) -> ImageError {
    Layer::pack(entries, tempdir().unwrap().path()).unwrap_err()
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
    let ((_one, one), (_two, two)) = (layer(), layer());
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn the_digest_of_a_layer_stays_what_it_is() {
    let directory = tempdir().unwrap();
    let copied = directory.path().join("copied");
    fs::write(&copied, "c".repeat(70_000)).unwrap();
    let entries = [
        LayerEntry::file("bin/app", 0o755, "binary"),
        LayerEntry::copy("etc/copied", 0o644, &copied),
        // Longer than a header has room for.
        LayerEntry::file(&format!("{}file", "deep/".repeat(30)), 0o600, ""),
        LayerEntry::link("bin/alias", Path::new("app")),
    ];
    let layer = Layer::pack(&entries, directory.path()).unwrap();
    assert_eq!(layer.digest().as_str(), "sha256:ec0821bc4867e90ba6bdc1558e988e5847cbc7e68f294188b3cd7a524ae4cc28");
}

#[test]
fn digest_and_size_are_those_of_the_file_which_goes_with_the_layer() {
    let (directory, layer) = layer();
    let bytes = fs::read(layer.path()).unwrap();
    assert_eq!((layer.digest(), layer.size()), (&Digest::of(&bytes), bytes.len() as u64));
    drop(layer);
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_nonce_changes_digest_and_id_but_no_layer() {
    let (_directory, layer) = layer();
    let [one, two] = ["1", "2"].map(|nonce| Image::new(&[Arc::clone(&layer)], &settings(), nonce));
    assert_ne!(one.digest(), two.digest());
    assert_ne!(one.id(), two.id());
    assert_eq!(one.layers[0].digest(), two.layers[0].digest());
}

#[test]
fn the_same_nonce_gives_the_same_image() {
    let (_directory, layer) = layer();
    let [one, two] = ["1", "1"].map(|nonce| Image::new(&[Arc::clone(&layer)], &settings(), nonce));
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn every_blob_of_an_archive_is_what_its_name_and_its_descriptor_say() {
    let (directory, layer) = layer();
    let archive = directory.path().join("archive");
    Image::new(&[layer], &settings(), "1").archive("ghcr.io/org/app:1", &archive).unwrap();
    let files = read(&fs::read(archive).unwrap());
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
    let (_directory, layer) = layer();
    let mut archive = tar::Archive::new(fs::File::open(layer.path()).unwrap());
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
    let error = refusal(&[LayerEntry::copy("bin/app", 0o755, Path::new("/nowhere/app"))]);
    assert_eq!(error.to_string(), "failed to read /nowhere/app for the image's bin/app");
}

#[test]
fn a_directory_is_no_file_and_is_named() {
    let error = refusal(&[LayerEntry::copy("bin/app", 0o755, Path::new("/dev"))]);
    assert_eq!(error.to_string(), "failed to read /dev for the image's bin/app");
}

#[test]
fn a_place_that_is_missing_is_named() {
    let error = Layer::pack(&[], Path::new("/nowhere")).unwrap_err();
    assert_eq!(error.to_string(), "failed to create a file in /nowhere for an image");
}

#[rstest]
#[case::while_entries_are_written(1_000_000)]
#[case::when_the_last_are_flushed(1)]
fn a_disk_that_is_full_is_no_fault_of_an_entry(#[case] size: usize) {
    // Every write to this device fails for want of space, full(4).
    let full = Path::new("/dev/full");
    let mut archive = Archive::create(full).unwrap();
    let appended = archive.append(&LayerEntry::file("bin/app", 0o755, vec![0; size]));
    let error = appended.and_then(|()| archive.finish().map(drop)).unwrap_err();
    assert_eq!(error.to_string(), "failed to write /dev/full for an image");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("No space left"), "{error:?}");
}

#[test]
fn a_layer_that_vanished_is_named() {
    let (directory, layer) = layer();
    let image = Image::new(&[Arc::clone(&layer)], &settings(), "1");
    fs::remove_file(layer.path()).unwrap();
    let error = image.archive("app:1", &directory.path().join("archive")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("failed to read {} for the image's blobs", layer.path().display())), "{error}");
}

#[test]
fn a_path_out_of_the_image_is_refused() {
    let error = refusal(&[LayerEntry::file("../etc/passwd", 0o644, "")]);
    assert_eq!(error.to_string(), "failed to put ../etc/passwd into the image");
}

#[test]
fn a_password_that_is_not_text_is_refused_without_showing_it() {
    let error = Registry::new("127.0.0.1:1", "", "user", &Credential::new([0xff, 0xfe])).err().unwrap();
    assert!(error.to_string().ends_with("the password is not UTF-8"), "{error}");
}
