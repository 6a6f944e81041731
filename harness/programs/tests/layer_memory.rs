//! Memory that an image takes of this process, however large it is. In a process of its own, whose peak is that of the image.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use credence_programs::oci::{Image, Layer, LayerEntry, Settings};
use credence_watch::own_usage::Usage;

const MEGABYTE: u64 = 1_000_000;
/// Files of a megabyte each, beside one that is as large as all of them.
const FILES: u64 = 32;
/// Memory that packing may take: buffers, and pages of this program that are touched for the first time.
const LIMIT: u64 = 8 * MEGABYTE;

/// Makes the files, which have no place on disk and can be read all the same.
fn files(directory: &Path) -> Vec<PathBuf> {
    let small = (0..FILES).map(|number| (format!("small-{number}"), MEGABYTE));
    let all = small.chain([("large".to_owned(), FILES * MEGABYTE)]);
    let made = all.map(|(name, size)| {
        let path = directory.join(name);
        File::create(&path).and_then(|file| file.set_len(size)).expect("a file can be made");
        path
    });
    made.collect()
}

#[test]
fn an_image_of_64_megabytes_is_packed_in_less_than_8() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let files = files(directory.path());
    let entry =
        |path: &PathBuf| LayerEntry::copy(path.to_str().unwrap_or_default().trim_start_matches('/'), 0o644, path);
    let entries: Vec<LayerEntry> = files.iter().map(entry).collect();
    let archive = directory.path().join("archive.tar");

    let before = Usage::now().resident;
    let layer = Layer::pack(&entries, directory.path()).expect("the files can be packed");
    let size = layer.size();
    Image::new(&[layer], &Settings::default(), "1").archive("large:1", &archive).expect("the image can be archived");
    let growth = Usage::now().peak_resident.saturating_sub(before);

    let archived = fs::metadata(&archive).expect("the archive is there").len();
    assert!(size > 2 * FILES * MEGABYTE && archived > size, "{size} and {archived} bytes");
    println!("{} MB packed, {} KB of memory", size / MEGABYTE, growth / 1000);
    assert!(growth < LIMIT, "{growth} bytes");
}
