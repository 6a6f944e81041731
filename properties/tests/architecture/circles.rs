//! Circles between the files of a crate: strongly connected components, below one parent.
//!
//! A file depends on every file that defines something whose path it names. A parent and its children may depend on each
//! other: children use what their parent defines while it puts them together. So files are in a circle if they reach each
//! other below a parent, without a step through it or above it, and belong to two of its children or more. Files deeper
//! down that such a circle leads through are part of it, but not those that a single parent or child ties to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::modules::Modules;

/// Files that reach each other.
#[derive(Debug)]
pub(crate) struct Circle {
    /// Paths below the directory of the crate's root, in order.
    pub(crate) files: Vec<String>,
    /// Dependencies that tie them.
    pub(crate) uses: Vec<Use>,
}

/// Paths by which one file of a circle depends on another.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Lines of `from`, and the path that each names.
    pub(crate) by: Vec<(usize, String)>,
}

/// Finds the circles of the crate whose `lib.rs` is in this directory, largest first.
pub(crate) fn of(directory: &Path) -> Vec<Circle> {
    let graph = Graph::of(&Modules::read(directory));
    let mut circles: Vec<Circle> = (0..graph.files.len()).flat_map(|parent| graph.circles_below(parent)).collect();
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.files.len()));
    circles
}

struct Graph {
    /// Index 0 is the root.
    files: Vec<String>,
    uses: BTreeMap<usize, BTreeMap<usize, Vec<(usize, String)>>>,
}

impl Graph {
    fn of(modules: &Modules) -> Self {
        let files = modules.files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
        let mut uses: BTreeMap<usize, BTreeMap<usize, Vec<_>>> = BTreeMap::new();
        for (index, module) in modules.all.iter().enumerate() {
            for reference in &module.references {
                let Some(to) = modules.file_of(index, &reference.path) else { continue };
                if to != module.file {
                    let by = uses.entry(module.file).or_default().entry(to).or_default();
                    by.push((reference.line, reference.path.join("::")));
                }
            }
        }
        Self { files, uses }
    }

    /// Path below which the files of a module's descendants are.
    fn folder(&self, file: usize) -> String {
        if file == 0 { String::new() } else { format!("{}/", stem(&self.files[file])) }
    }

    fn is_above(&self, file: usize, other: usize) -> bool {
        file != other && self.files[other].starts_with(&self.folder(file))
    }

    fn circles_below(&self, parent: usize) -> Vec<Circle> {
        let mut left: BTreeSet<usize> = (0..self.files.len()).filter(|file| self.is_above(parent, *file)).collect();
        let inside = left.clone();
        let mut circles = Vec::new();
        while let Some(file) = left.pop_first() {
            let reached = self.reached(file, &inside);
            let circle = reached.iter().copied().filter(|other| self.reached(*other, &inside).contains(&file));
            let circle: BTreeSet<usize> = circle.collect();
            left.retain(|other| !circle.contains(other));
            let children: BTreeSet<&str> = circle.iter().map(|file| self.child(parent, *file)).collect();
            if children.len() > 1 {
                circles.push(self.describe(self.without_loose_ends(circle)));
            }
        }
        circles
    }

    fn reached(&self, from: usize, inside: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            let used = self.uses.get(&file).into_iter().flat_map(BTreeMap::keys).copied();
            next.extend(used.filter(|used| inside.contains(used) && reached.insert(*used)));
        }
        reached
    }

    /// Name of the child of a module that a file below it is or belongs to.
    fn child(&self, parent: usize, file: usize) -> &str {
        let below = &self.files[file][self.folder(parent).len()..];
        below.split('/').next().map_or(below, stem)
    }

    fn without_loose_ends(&self, mut circle: BTreeSet<usize>) -> BTreeSet<usize> {
        let uses = |from: usize, to: usize| self.uses.get(&from).is_some_and(|uses| uses.contains_key(&to));
        loop {
            let loose_end = circle.iter().copied().find(|file| {
                let mut tied = circle
                    .iter()
                    .copied()
                    .filter(|other| other != file && (uses(*file, *other) || uses(*other, *file)));
                let only = tied.next().filter(|_| tied.next().is_none());
                only.is_some_and(|only| self.is_above(only, *file) || self.is_above(*file, only))
            });
            match loose_end {
                Some(file) => circle.remove(&file),
                None => return circle,
            };
        }
    }

    fn describe(&self, circle: BTreeSet<usize>) -> Circle {
        let mut uses = Vec::new();
        for from in &circle {
            for (to, by) in self.uses.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(to)) {
                uses.push(Use { from: self.files[*from].clone(), to: self.files[*to].clone(), by: by.clone() });
            }
        }
        let mut files: Vec<String> = circle.into_iter().map(|file| self.files[file].clone()).collect();
        files.sort();
        Circle { files, uses }
    }
}

fn stem(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    stem.strip_suffix("/mod").unwrap_or(stem)
}
