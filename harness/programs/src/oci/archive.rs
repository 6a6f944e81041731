//! Tar archives on disk, written a piece at a time.

use credence_core::file_error::FileError;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::ImageError;

/// One file or link of an archive. Owned by root, with no modification time, so that equal content has an equal digest.
#[derive(Debug, Clone)]
pub struct LayerEntry {
    path: String,
    mode: u32,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Bytes(Vec<u8>),
    Copy(PathBuf),
    Link(PathBuf),
}

impl LayerEntry {
    /// A file with these bytes. `path` is relative to the image's root; `mode` are permission bits.
    pub fn file(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), mode, content: Content::Bytes(bytes.into()) }
    }

    /// A file with the bytes of one on this machine, read when it is packed.
    pub fn copy(path: &str, mode: u32, source: &Path) -> Self {
        Self { path: path.to_owned(), mode, content: Content::Copy(source.to_owned()) }
    }

    /// A symbolic link to `target`, which need not be there.
    pub fn link(path: &str, target: &Path) -> Self {
        Self { path: path.to_owned(), mode: 0o777, content: Content::Link(target.to_owned()) }
    }

    fn header(&self) -> Header {
        let mut header = Header::new_gnu();
        header.set_mode(self.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header
    }
}

/// An archive that is being written into the file at `path`, by way of `W`.
pub(super) struct Archive<W: Write> {
    builder: Builder<Watched<W>>,
    path: PathBuf,
}

impl Archive<BufWriter<File>> {
    /// A new archive at `path`, where nothing has to be.
    pub(super) fn create(path: &Path) -> Result<Self, ImageError> {
        let file = File::create(path).map_err(FileError::of::<ImageError>("create", path))?;
        Ok(Self::new(BufWriter::new(file), path))
    }
}

impl<W: Write> Archive<W> {
    /// An archive that goes into `writer`, which writes the file at `path`.
    pub(super) fn new(writer: W, path: &Path) -> Self {
        Self { builder: Builder::new(Watched::new(writer)), path: path.to_owned() }
    }

    /// Appends an entry. Directories above it need no entries of their own.
    pub(super) fn append(&mut self, entry: &LayerEntry) -> Result<(), ImageError> {
        let mut header = entry.header();
        match &entry.content {
            Content::Copy(source) => return self.append_copy(header, entry, source),
            Content::Bytes(bytes) => self.append_regular(header, entry, bytes.len() as u64, bytes.as_slice()),
            Content::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                self.builder.append_link(&mut header, &entry.path, target)
            }
        }
        .map_err(|error| self.refused(entry, error))
    }

    /// Ends the archive, and gives what it was written into.
    pub(super) fn finish(self) -> Result<W, ImageError> {
        let mut written = self.builder.into_inner().map_err(FileError::of::<ImageError>("write", &self.path))?.inner;
        written.flush().map_err(FileError::of::<ImageError>("write", &self.path))?;
        Ok(written)
    }

    fn append_copy(&mut self, header: Header, entry: &LayerEntry, source: &Path) -> Result<(), ImageError> {
        let unreadable = |error| ImageError::Read { path: source.to_owned(), entry: entry.path.clone(), source: error };
        let file = File::open(source).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut content = Watched::new(file.take(size));
        let appended = self.append_regular(header, entry, size, &mut content);
        if content.failed {
            return appended.map_err(unreadable);
        }
        appended.map_err(|error| self.refused(entry, error))?;
        if content.inner.limit() > 0 {
            // The header, which is written by now, promises more.
            return Err(unreadable(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter meanwhile")));
        }
        Ok(())
    }

    fn append_regular(
        &mut self,
        mut header: Header,
        entry: &LayerEntry,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        self.builder.append_data(&mut header, &entry.path, content)
    }

    /// Why an entry is not in the archive: the file cannot be written, or the entry is not one of an archive.
    fn refused(&self, entry: &LayerEntry, source: io::Error) -> ImageError {
        if self.builder.get_ref().failed {
            FileError::of::<ImageError>("write", &self.path)(source)
        } else {
            ImageError::Pack { entry: entry.path.clone(), source }
        }
    }
}

/// A reader or a writer that remembers whether it failed: an error of the tar library does not tell what cannot be read,
/// what cannot be written, and a path that it refuses itself.
struct Watched<T> {
    inner: T,
    failed: bool,
}

impl<T> Watched<T> {
    fn new(inner: T) -> Self {
        Self { inner, failed: false }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|_| self.failed = true)
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).inspect_err(|_| self.failed = true)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
