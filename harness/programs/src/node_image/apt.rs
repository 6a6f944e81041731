//! Sources of Debian's packages on this machine, by apt's own configuration (sources.list(5)).

use std::fs;
use std::path::{Path, PathBuf};

/// A line or paragraph of the configuration.
#[derive(Debug, Default, PartialEq, Eq)]
struct PackageEntry {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
}

impl PackageEntry {
    /// Its first address that is a mirror of Debian itself and not of packages for Debian: those are elsewhere than in
    /// `…/debian`, or have no component `main`.
    fn mirror(&self) -> Option<&str> {
        let is_web = |uri: &&String| uri.starts_with("http://") || uri.starts_with("https://");
        let is_debian = |uri: &&String| uri.trim_end_matches('/').ends_with("/debian");
        let has_main = self.components.iter().any(|component| component == "main");
        self.uris.iter().filter(|_| has_main).filter(is_web).find(is_debian).map(|uri| uri.trim_end_matches('/'))
    }
}

/// The mirror in the configuration below `directory`, which is `/etc/apt`. One that is used for `suite` comes first;
/// the others have it as well.
pub(super) fn mirror(directory: &Path, suite: &str) -> Option<String> {
    let entries: Vec<PackageEntry> = files(directory).iter().flat_map(|path| read(path)).collect();
    let of_suite = entries.iter().filter(|entry| entry.suites.iter().any(|found| found == suite));
    of_suite.chain(&entries).find_map(PackageEntry::mirror).map(str::to_owned)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let parts = fs::read_dir(directory.join("sources.list.d")).into_iter().flatten();
    let mut files: Vec<PathBuf> = parts.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.insert(0, directory.join("sources.list"));
    files
}

/// The entries of a file; none if it cannot be read, as this is a convenience only.
fn read(path: &Path) -> Vec<PackageEntry> {
    let text = fs::read_to_string(path).unwrap_or_default();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("list") => text.lines().filter_map(line).collect(),
        Some("sources") => paragraphs(&text),
        _ => Vec::new(),
    }
}

/// `deb [ option=value … ] uri suite component…`
fn line(text: &str) -> Option<PackageEntry> {
    let rest = text.trim().strip_prefix("deb")?.strip_prefix(char::is_whitespace)?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split('#').next()?.split_whitespace().map(str::to_owned);
    Some(PackageEntry { uris: vec![words.next()?], suites: vec![words.next()?], components: words.collect() })
}

/// `Types: deb`, `URIs: …`, `Suites: …`, `Components: …`, and an empty line after each entry.
fn paragraphs(text: &str) -> Vec<PackageEntry> {
    let mut entries = Vec::new();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    for paragraph in lines.collect::<Vec<_>>().split(|line| line.trim().is_empty()) {
        let mut entry = PackageEntry::default();
        let (mut is_binary, mut is_enabled, mut field) = (false, true, String::new());
        for line in paragraph {
            let values = match line.split_once(':') {
                Some((name, values)) if !line.starts_with(char::is_whitespace) => {
                    field = name.to_ascii_lowercase();
                    values
                }
                _ => line,
            };
            let mut values = values.split_whitespace().map(str::to_owned);
            match field.as_str() {
                "types" => is_binary |= values.any(|value| value == "deb"),
                "enabled" => is_enabled = !values.any(|value| value == "no"),
                "uris" => entry.uris.extend(values),
                "suites" => entry.suites.extend(values),
                "components" => entry.components.extend(values),
                _ => {}
            }
        }
        if is_binary && is_enabled {
            entries.push(entry);
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    /// A directory with one file of apt's.
    fn with(name: &str, text: &str) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        directory
    }

    fn of(name: &str, text: &str) -> Option<String> {
        mirror(with(name, text).path(), "bookworm")
    }

    #[rstest]
    #[case::plain("deb http://mirror.example/debian/ bookworm main contrib", Some("http://mirror.example/debian"))]
    #[case::options(
        "deb [arch=amd64 signed-by=/k.gpg] https://m.example/debian sid main",
        Some("https://m.example/debian")
    )]
    #[case::sources("deb-src http://mirror.example/debian bookworm main", None)]
    #[case::comment("# deb http://mirror.example/debian bookworm main", None)]
    #[case::packages_for_debian("deb https://download.example/linux/debian bookworm stable", None)]
    #[case::elsewhere("deb https://apt.example bookworm main", None)]
    #[case::derivative("deb http://archive.example/ubuntu noble main", None)]
    #[case::list_of_mirrors("deb mirror+file:/etc/apt/mirrors/debian bookworm main", None)]
    fn a_line_names_the_mirror(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(of("sources.list", text).as_deref(), expected);
    }

    #[test]
    fn a_paragraph_names_the_mirror() {
        let text = "Types: deb\n# a comment\nURIs: http://security.example/debian-security\nSuites: bookworm-security\n\
                    Components: main\n\nTypes: deb deb-src\nuris:\n http://mirror.example/debian\nSuites: bookworm\n \
                    bookworm-updates\nComponents: main\n";
        assert_eq!(of("sources.list.d/debian.sources", text).unwrap(), "http://mirror.example/debian");
        let disabled = text.replace("Types: deb deb-src", "Enabled: no\nTypes: deb");
        assert_eq!(of("sources.list.d/debian.sources", &disabled), None);
    }

    #[test]
    fn the_mirror_of_the_suite_comes_before_others() {
        let text = "deb http://one.example/debian trixie main\ndeb http://two.example/debian bookworm main\n";
        assert_eq!(of("sources.list.d/all.list", text).unwrap(), "http://two.example/debian");
    }

    #[test]
    fn a_machine_without_apt_names_none() {
        assert_eq!(mirror(Path::new("/nowhere"), "bookworm"), None);
    }
}
