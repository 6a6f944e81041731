//! Directories that paths in objects of Argo CD and Flux begin at: the configuration's own, and the repository that it is a part of.

use std::path::{Component, Path, PathBuf};

/// Directories that paths begin at.
#[derive(Debug)]
pub(super) struct Roots {
    /// Directory of the configuration.
    own: PathBuf,
    /// The repository around it, if there is one.
    repository: Option<PathBuf>,
}

impl Roots {
    /// The roots of a configuration: the nearest directory around it that has a `.git` is its repository.
    pub(super) fn of(directory: &Path) -> Self {
        let is_repository = |one: &&Path| one.join(".git").exists();
        let mut written =
            directory.ancestors().skip(1).map(|one| if one == Path::new("") { Path::new(".") } else { one });
        let repository = written.find(is_repository).map(Path::to_owned);
        let real = || directory.canonicalize().ok()?.ancestors().skip(1).find(is_repository).map(Path::to_owned);
        // One that is a repository itself is all of it.
        let repository = if is_repository(&directory) { None } else { repository.or_else(real) };
        Self { own: directory.to_owned(), repository }
    }

    /// The directory of a path, and the root that it begins at: in the configuration, or else in the repository around it.
    pub(super) fn below(&self, path: &str) -> Option<(&Path, PathBuf)> {
        let steps = steps(path)?;
        let own = self.own.join(&steps);
        if own.is_dir() {
            return Some((&self.own, own));
        }
        let root = self.repository.as_deref()?;
        let directory = root.join(steps);
        directory.is_dir().then(|| (root, self.as_own(directory)))
    }

    /// The directories below the root that holds all others, each by its path from there: that of the repository if there is one.
    /// Hidden ones are none.
    pub(super) fn directories(&self) -> Vec<String> {
        let root = self.repository.as_ref().unwrap_or(&self.own);
        let is_hidden = |entry: &walkdir::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
        let below = walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name().into_iter();
        let directories = below.filter_entry(|entry| entry.file_type().is_dir() && !is_hidden(entry)).flatten();
        directories.filter_map(|entry| entry.path().strip_prefix(root).ok()?.to_str().map(str::to_owned)).collect()
    }

    /// A directory of the repository; of one that has the configuration, or is in it, by the path of that.
    fn as_own(&self, directory: PathBuf) -> PathBuf {
        let (Ok(real), Ok(own)) = (directory.canonicalize(), self.own.canonicalize()) else { return directory };
        match real.strip_prefix(&own) {
            Ok(below) => self.own.join(below),
            // More was not given.
            Err(_) if own.starts_with(&real) => self.own.clone(),
            Err(_) => directory,
        }
    }
}

/// The steps of a path that leads down.
fn steps(path: &str) -> Option<PathBuf> {
    let mut steps = PathBuf::new();
    for step in Path::new(path.trim_start_matches('/')).components() {
        match step {
            Component::Normal(name) => steps.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_begin_at_the_configuration_or_else_at_the_repository_around_it() {
        let home = tempfile::tempdir().unwrap();
        for directory in [".git", "apps/prod", "clusters/prod/apps", "clusters/dev"] {
            fs::create_dir_all(home.path().join(directory)).unwrap();
        }
        let prod = home.path().join("clusters/prod");
        let roots = Roots::of(&prod);
        let found = |path: &str| roots.below(path).map(|(_, directory)| directory);
        assert_eq!(found("./apps"), Some(prod.join("apps")));
        assert_eq!(found("./apps/prod"), Some(home.path().join("apps/prod")));
        assert_eq!(found("./clusters/dev"), Some(home.path().join("clusters/dev")));
        assert_eq!(found("clusters/prod/apps"), Some(prod.join("apps")));
        for path in ["clusters/prod", "clusters", "./"] {
            assert_eq!(found(path), Some(prod.clone()), "{path}");
        }
        assert_eq!([found("../dev"), found("none")], [None, None]);
        assert_eq!(Roots::of(home.path()).repository, None);
    }
}
