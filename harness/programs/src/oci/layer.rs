//! Layers: files that are packed once, into one file of this machine.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use credence_core::file_error::FileError;
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempPath};

use super::archive::{Archive, LayerEntry};
use super::{Digest, ImageError};

/// Files that are packed once, for any number of images. They are on disk, and go when the layer is dropped.
#[derive(Debug)]
pub struct Layer {
    digest: Digest,
    size: u64,
    path: TempPath,
}

impl Layer {
    /// Packs the entries into a new file in `directory`. Directories above them need no entries of their own.
    ///
    /// # Errors
    /// When a file cannot be read or written, or a path cannot be packed.
    pub fn pack(entries: &[LayerEntry], directory: &Path) -> Result<Arc<Self>, ImageError> {
        let file =
            NamedTempFile::new_in(directory).map_err(FileError::of::<ImageError>("create a file in", directory))?;
        let (file, path) = file.into_parts();
        let hashed = Hashed { writer: BufWriter::new(file), hasher: Sha256::new(), size: 0 };
        let mut archive = Archive::new(hashed, &path);
        entries.iter().try_for_each(|entry| archive.append(entry))?;
        let Hashed { hasher, size, .. } = archive.finish()?;
        Ok(Arc::new(Self { digest: Digest::from_hasher(hasher), size, path }))
    }

    /// Its digest; uncompressed, so also what the specification calls its diff id.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Length of its file, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tar archive that it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens its file, to be read from the beginning.
    pub(super) fn open(&self) -> Result<File, ImageError> {
        let unreadable = || FileError::of::<ImageError>("read", &self.path);
        let file = File::open(&self.path).map_err(unreadable())?;
        if file.metadata().map_err(unreadable())?.len() != self.size {
            return Err(unreadable()(io::Error::other("it has changed since it was packed")));
        }
        Ok(file)
    }
}

/// A writer that knows the digest and the length of what went through it.
struct Hashed<W> {
    writer: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
