//! Digest by which an image that was made here is known again.

/// The label of all images made here; its value is the digest.
pub(super) const LABEL: &str = "credence.node-image";
/// Hexadecimal digits of a tag.
pub(super) const DIGITS: usize = 12;

/// A short digest of lines. Their order and their borders count.
pub(super) fn fingerprint(lines: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    for line in lines {
        hasher.update(&(line.len() as u64).to_le_bytes());
        hasher.update(line.as_bytes());
    }
    hasher.finalize().to_hex()[..DIGITS].to_owned()
}
