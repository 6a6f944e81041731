//! Record that Go writes into each program of how it was built: the section `.go.buildinfo`, which `go version -m` prints
//! and which
//! stays when symbols are stripped.
//!
//! Source: `debug/buildinfo` and `runtime/debug` of Go. Since Go 1.18 the section has, at byte 32, the version of Go and the text
//! of the modules, each behind its length.

use std::fs::File;
use std::io;
use std::path::Path;

use object::read::{Object as _, ObjectSection as _, ReadCache, ReadRef};

/// The section of a program for Linux.
const SECTION: &str = ".go.buildinfo";
/// Beginning of the section.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The byte of flags, behind the size of a pointer, and the flag of texts that are part of the section.
const FLAGS: usize = 15;
const INLINE: u8 = 2;
/// Offset of the texts.
const TEXTS: usize = 32;
/// Bytes of a mark before the text of modules, and of another one after it.
const MARK: usize = 16;
/// Most that is read of the section; that of a program with a thousand modules has 100 kB.
const LIMIT: u64 = 8 << 20;

/// A module that a program was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuiltModule {
    pub(super) path: String,
    /// As it was required. Go has `(devel)` for one that it could not tell.
    version: String,
}

/// Record in a program of how it was built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// The modules, that of the program itself first if it is known.
    pub(super) modules: Vec<BuiltModule>,
    /// Settings of the build, such as `-tags=fake,vault`.
    settings: Vec<String>,
}

/// Why a program says nothing about how it was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildInfoError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The file is no program of a format that is known.
    #[error("it is not a readable program ({0})")]
    NoProgram(#[from] object::Error),
    /// It is of another language, or of a Go before 1.18.
    #[error("it was not built by Go 1.18 or newer")]
    NotOfGo,
}

impl BuildInfo {
    /// Reads it from a program; only the parts of the file that lead to it.
    pub(super) fn read(program: &Path) -> Result<Self, BuildInfoError> {
        let cache = ReadCache::new(File::open(program)?);
        let file = object::File::parse(&cache)?;
        let (offset, size) =
            file.section_by_name(SECTION).and_then(|section| section.file_range()).ok_or(BuildInfoError::NotOfGo)?;
        let bytes = (&cache).read_bytes_at(offset, size.min(LIMIT)).map_err(|()| BuildInfoError::NotOfGo)?;
        modules_of(bytes).map(|text| Self::parse(&text)).ok_or(BuildInfoError::NotOfGo)
    }

    /// Reads the text that `go version -m` prints: on each line a word, and what it is about behind tabs.
    fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for line in text.lines() {
            let mut words = line.split('\t');
            match (words.next(), words.next(), words.next()) {
                (Some("mod" | "dep"), Some(path), version) => {
                    let version = version.unwrap_or_default().to_owned();
                    info.modules.push(BuiltModule { path: path.to_owned(), version });
                }
                (Some("build"), Some(setting), _) => info.settings.push(setting.trim_matches('"').to_owned()),
                _ => {}
            }
        }
        info
    }

    /// True if a module is part of the program.
    pub(super) fn has(&self, module: &str) -> bool {
        self.modules.iter().any(|built| built.path == module)
    }

    /// The release of a module that the program was built from, without its `v`; none if it was built from something else.
    pub(super) fn release_of(&self, module: &str) -> Option<&str> {
        let built = self.modules.iter().find(|built| built.path == module)?;
        let version = built.version.strip_prefix('v')?;
        let version = version.strip_suffix("+incompatible").unwrap_or(version);
        // Go makes up a version for a commit without a tag, and adds `+dirty` to that of a changed checkout.
        (!is_made_up(version) && !version.contains('+')).then_some(version)
    }

    /// The value of a setting.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find_map(|setting| setting.strip_prefix(name)?.strip_prefix('='))
    }
}

/// True if a version ends in a time and a commit, as Go makes them for commits without a tag (golang.org/ref/mod,
/// pseudo-versions).
fn is_made_up(version: &str) -> bool {
    let mut parts = version.rsplit('-');
    let (Some(commit), Some(before)) = (parts.next(), parts.next()) else { return false };
    let time = before.rsplit('.').next().unwrap_or_default();
    let is_of =
        |text: &str, length: usize, digits: fn(&u8) -> bool| text.len() == length && text.as_bytes().iter().all(digits);
    is_of(commit.split('+').next().unwrap_or_default(), 12, u8::is_ascii_hexdigit)
        && is_of(time, 14, u8::is_ascii_digit)
}

/// The text of the modules in the bytes of the section.
fn modules_of(section: &[u8]) -> Option<String> {
    let is_inline = section.starts_with(MAGIC) && section.get(FLAGS)? & INLINE != 0;
    let (_, rest) = text(section.get(TEXTS..).filter(|_| is_inline)?)?;
    let (modules, _) = text(rest)?;
    let end = modules.len().checked_sub(MARK)?;
    Some(String::from_utf8_lossy(modules.get(MARK..end)?).into_owned())
}

/// A text behind its length, which is a varint of Go, and what comes after it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return bytes.get(place + 1..)?.split_at_checked(length);
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::testing;
    use super::*;

    const MODULE: &str = "github.com/external-secrets/external-secrets";

    #[rstest]
    #[case::required_by_another_module("mod\tx\t(devel)\t\ndep\tMODULE\tv0.20.4\th1:a=\n", Some("0.20.4"))]
    #[case::built_from_a_checkout("mod\tMODULE\tv2.9.0+incompatible\t\n=>\t/src\t(devel)\t\n", Some("2.9.0"))]
    #[case::between_releases("mod\tMODULE\tv2.9.0-3-gcc5bfbc22+incompatible\t\n", Some("2.9.0-3-gcc5bfbc22"))]
    #[case::by_its_files("path\tcommand-line-arguments\ndep\tMODULE\t(devel)\t\n", None)]
    #[case::of_a_commit("mod\tMODULE\tv1.3.3-0.20260808124229-cc5bfbc22aaa\t\n", None)]
    #[case::of_a_changed_checkout("mod\tMODULE\tv1.3.2+dirty\t\n", None)]
    #[case::of_a_commit_of_a_changed_checkout("mod\tMODULE\tv1.3.3-0.20260808124229-cc5bfbc22aaa+dirty\t\n", None)]
    #[case::without_it("mod\tx\tv1.0.0\t\n", None)]
    fn a_program_says_the_release_that_it_was_built_from(#[case] text: &str, #[case] release: Option<&str>) {
        assert_eq!(BuildInfo::parse(&text.replace("MODULE", MODULE)).release_of(MODULE), release);
    }

    #[test]
    fn a_program_says_its_modules_and_its_tags() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        let text = format!("path\t{MODULE}\nmod\t{MODULE}\tv1.3.2\t\nbuild\t-tags=fake,vault\nbuild\tGOOS=linux\n");
        testing::write(&program, &text);
        let info = BuildInfo::read(&program).unwrap();
        assert!(info.has(MODULE) && !info.has("example.org/x"));
        assert_eq!((info.release_of(MODULE), info.setting("-tags")), (Some("1.3.2"), Some("fake,vault")));
        // Two bytes of length.
        let long = format!("{text}{}", "dep\texample.org/x\tv1.0.0\t\n".repeat(100));
        testing::write(&program, &long);
        assert_eq!(BuildInfo::read(&program).unwrap().modules.len(), 101);
    }

    #[test]
    fn what_go_did_not_build_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(matches!(BuildInfo::read(&script), Err(BuildInfoError::NoProgram(_))));
        assert!(matches!(BuildInfo::read(&directory.path().join("none")), Err(BuildInfoError::Read(_))));
        assert!(matches!(BuildInfo::read(Path::new("/bin/sh")), Err(BuildInfoError::NotOfGo)));
    }

    #[test]
    fn a_section_that_is_cut_or_of_an_old_go_says_nothing() {
        let section = testing::section("mod\tx\tv1.0.0\t\n");
        assert!(modules_of(&section).is_some());
        for length in 0..section.len() {
            assert_eq!(modules_of(&section[..length]), None, "{length}");
        }
        let mut old = section;
        old[FLAGS] = 0;
        assert_eq!(modules_of(&old), None);
    }
}
