//! The modules of a crate, read from its files: what each defines, what it imports, and which paths it names.
//!
//! Read as tokens and not as a syntax tree, so that paths in the arguments of macros count like all others. Code for
//! tests alone, behind `#[cfg(test)]`, is left out: it is no part of the architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::imports::{self, Import};

/// Longest chain of re-exports that is followed; an import that names itself ends here.
const LONGEST_CHAIN: usize = 16;

/// A path that a module names, such as `crate::wait::until`.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// A module, in a file of its own or inline.
#[derive(Debug)]
pub(crate) struct Module {
    /// Index of its file.
    pub(crate) file: usize,
    pub(crate) references: Vec<Reference>,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    definitions: BTreeSet<String>,
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Directory of the files of its children.
    directory: PathBuf,
}

/// A crate's modules, from its root on.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    /// Paths below the directory of the root.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) all: Vec<Module>,
    root: PathBuf,
}

impl Modules {
    /// Reads all modules of the crate whose root is `lib.rs` in this directory.
    pub(crate) fn read(directory: &Path) -> Self {
        let mut modules = Self { root: directory.to_owned(), ..Self::default() };
        modules.read_file("lib.rs".into(), directory.to_owned(), None);
        modules
    }

    /// File that defines what a path means in a module; none if another crate does.
    pub(crate) fn file_of(&self, module: usize, path: &[String]) -> Option<usize> {
        self.resolve(module, path, 0).map(|found| self.all[found.module()].file)
    }

    fn read_file(&mut self, file: PathBuf, directory: PathBuf, parent: Option<usize>) -> usize {
        let path = self.root.join(&file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.files.push(file);
        let module = self.add(self.files.len() - 1, directory, parent);
        self.read_tokens(module, tokens, true);
        module
    }

    fn add(&mut self, file: usize, directory: PathBuf, parent: Option<usize>) -> usize {
        self.all.push(Module {
            file,
            references: Vec::new(),
            parent,
            children: BTreeMap::new(),
            definitions: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
            directory,
        });
        self.all.len() - 1
    }

    /// Reads a stretch of a module; only at its top do items have names that others can use.
    fn read_tokens(&mut self, module: usize, stream: TokenStream, top: bool) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at] {
                TokenTree::Punct(punct) if punct.as_char() == '#' => match tokens.get(at + 1) {
                    Some(TokenTree::Group(attribute)) if attribute.stream().to_string() == "cfg (test)" => {
                        2 + length_of_item(&tokens[at + 2..])
                    }
                    _ => 1,
                },
                TokenTree::Punct(_) if is_separator(&tokens[at..]) => 2 + length(&path(&tokens[at + 2..])),
                TokenTree::Group(group) => {
                    self.read_tokens(module, group.stream(), false);
                    1
                }
                TokenTree::Ident(word) => self.read_word(module, &word.to_string(), &tokens[at..], top),
                TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
            };
        }
    }

    /// Reads what begins with a word, and gives the number of its tokens.
    fn read_word(&mut self, module: usize, word: &str, tokens: &[TokenTree], top: bool) -> usize {
        match (word, tokens.get(1), tokens.get(2)) {
            // What is in parentheses says who may see an item, and uses nothing.
            ("pub", Some(TokenTree::Group(group)), _) if group.delimiter() == Delimiter::Parenthesis => return 2,
            // Without the `use<'a>` of a type.
            ("use", Some(next), _) if !matches!(next, TokenTree::Punct(punct) if punct.as_char() == '<') => {
                let length = tokens.iter().take_while(|token| !is_punct(token, ';')).count();
                self.import(module, &tokens[1..length], top);
                return length;
            }
            ("mod", Some(TokenTree::Ident(name)), Some(next)) if top => {
                self.read_child(module, &name.to_string(), next);
                return 3;
            }
            ("macro_rules", Some(_), Some(TokenTree::Ident(name))) if top => {
                self.all[module].definitions.insert(name.to_string());
            }
            ("fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static", Some(name), _) if top => {
                self.all[module].definitions.insert(name.to_string());
            }
            _ => {}
        }
        let path = path(tokens);
        let length = length(&path);
        if path.len() > 1 {
            self.all[module].references.push(Reference { path, line: tokens[0].span().start().line });
        }
        length
    }

    fn read_child(&mut self, module: usize, name: &str, next: &TokenTree) {
        let directory = self.all[module].directory.join(name);
        let child = match next {
            TokenTree::Group(body) => {
                let child = self.add(self.all[module].file, directory, Some(module));
                self.read_tokens(child, body.stream(), true);
                child
            }
            _ => {
                let file = directory.with_extension("rs");
                let file = if file.is_file() { file } else { directory.join("mod.rs") };
                let below = file.strip_prefix(&self.root).expect("below its root").to_owned();
                self.read_file(below, directory, Some(module))
            }
        };
        self.all[module].children.insert(name.to_owned(), child);
    }

    fn import(&mut self, module: usize, tree: &[TokenTree], top: bool) {
        for Import { path, name, line } in imports::of(tree) {
            let module = &mut self.all[module];
            module.references.push(Reference { path: path.clone(), line });
            match name {
                Some(name) if top => drop(module.imports.insert(name, path)),
                None if top => module.globs.push(path),
                _ => {}
            }
        }
    }

    fn resolve(&self, from: usize, path: &[String], chain: usize) -> Option<Found> {
        let (first, mut rest) = path.split_first()?;
        let mut found = match first.as_str() {
            "crate" => Found::Module(0),
            "self" => Found::Module(from),
            "super" => Found::Module(self.all[from].parent?),
            name => self.find(from, name, chain)?,
        };
        while let (Found::Module(module), Some((name, after))) = (found, rest.split_first()) {
            found = match name.as_str() {
                "super" => Found::Module(self.all[module].parent?),
                // What a macro defines has no name that could be read here.
                name => self.find(module, name, chain).unwrap_or(Found::Item(module)),
            };
            rest = after;
        }
        Some(found)
    }

    fn find(&self, module: usize, name: &str, chain: usize) -> Option<Found> {
        let here = &self.all[module];
        if chain > LONGEST_CHAIN {
            return None;
        }
        if let Some(child) = here.children.get(name) {
            return Some(Found::Module(*child));
        }
        if here.definitions.contains(name) {
            return Some(Found::Item(module));
        }
        if let Some(path) = here.imports.get(name) {
            return self.resolve(module, path, chain + 1);
        }
        here.globs.iter().find_map(|path| match self.resolve(module, path, chain + 1)? {
            Found::Module(of) if of != module => self.find(of, name, chain + 1),
            _ => None,
        })
    }
}

/// Meaning of a path: a module, or an item of one.
#[derive(Clone, Copy, Debug)]
enum Found {
    Module(usize),
    Item(usize),
}

impl Found {
    fn module(self) -> usize {
        match self {
            Self::Module(module) | Self::Item(module) => module,
        }
    }
}

/// Words at the beginning of the tokens that `::` joins.
fn path(mut tokens: &[TokenTree]) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(TokenTree::Ident(word)) = tokens.first() {
        words.push(word.to_string());
        if !is_separator(&tokens[1..]) {
            break;
        }
        tokens = &tokens[3..];
    }
    words
}

/// Number of tokens of a path.
fn length(path: &[String]) -> usize {
    // Two colons are two tokens.
    (path.len() * 3).saturating_sub(2)
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [first, second, ..] if is_punct(first, ':') && is_punct(second, ':'))
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// Number of tokens up to the end of an item: its body, or a semicolon.
fn length_of_item(tokens: &[TokenTree]) -> usize {
    let imports = tokens.iter().take(3).any(|token| matches!(token, TokenTree::Ident(word) if word == "use"));
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !imports,
        token => is_punct(token, ';'),
    };
    tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1)
}
