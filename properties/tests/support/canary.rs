//! Looks for generated credential values where none may be.

use std::fs;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credence_suite::session::Session;

/// The beginning of a longer value tells it as well and is found faster.
const LONGEST: usize = 48;
/// Shorter values occur by chance.
const SHORTEST: usize = 12;

/// How PEM begins, and how many bytes of it (of its base64) all keys of a kind share.
const PEM: (&[u8], usize, usize) = (b"-----BEGIN ", 100, 136);

/// The values that the sources have and had at the beginning, raw and as Secrets encode them.
pub(crate) fn needles(session: &Session) -> Vec<Vec<u8>> {
    let values = session.source_values();
    values
        .iter()
        .map(|value| value.expose())
        // A certificate is public, and much of it is the same in all that one authority issues.
        .filter(|value| value.len() >= SHORTEST && !value.starts_with(b"-----BEGIN CERTIFICATE"))
        .flat_map(|value| {
            let (raw, encoded) = if value.starts_with(PEM.0) { (PEM.1, PEM.2) } else { (0, 0) };
            let encoding = STANDARD.encode(value).into_bytes();
            [value.get(raw..).map(<[u8]>::to_vec), encoding.get(encoded..).map(<[u8]>::to_vec)]
        })
        .flatten()
        .filter(|needle| needle.len() >= SHORTEST)
        .map(|mut needle| {
            needle.truncate(LONGEST);
            needle
        })
        .collect()
}

/// Where systems under test keep what is theirs to keep: the forge the ids of what it issued, containerd the environment
/// of its containers, Kargo the user names that it puts into the URLs that it logs.
const OWN: [&str; 3] = ["consumers/forge", "node/lib/containerd", "consumers/kargo"];

/// Files below `directory` that hold one of the needles, apart from those that may.
pub(crate) fn search_files(directory: &Path, needles: &AhoCorasick) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(entries) = fs::read_dir(&path) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && OWN.iter().any(|own| path.ends_with(own)) => {}
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_file() && needles.is_match(&fs::read(&path).unwrap_or_default()) => {
                    found.push(path)
                }
                _ => {}
            }
        }
    }
    found
}

/// Ids of processes whose command line holds one of the needles.
pub(crate) fn search_command_lines(needles: &AhoCorasick) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.map(|process| process.path().join("cmdline"));
    lines.filter(|line| needles.is_match(&fs::read(line).unwrap_or_default())).collect()
}
