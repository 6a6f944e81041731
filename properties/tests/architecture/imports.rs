//! The leaves of `use` trees.

use proc_macro2::{TokenStream, TokenTree};

/// A leaf of a `use` tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// Name where it is imported; none for `*`.
    pub(crate) name: Option<String>,
    pub(crate) line: usize,
}

/// Leaves of a tree, without its `use` and its semicolon.
pub(crate) fn of(tree: &[TokenTree]) -> Vec<Import> {
    let mut imports = Vec::new();
    collect(tree, &[], &mut imports);
    imports
}

fn collect(tree: &[TokenTree], prefix: &[String], imports: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    let mut words = tree.iter();
    let mut name = None;
    while let Some(token) = words.next() {
        match token {
            TokenTree::Group(group) => return collect_group(group.stream(), &path, imports),
            TokenTree::Punct(punct) if punct.as_char() == '*' => {
                return imports.push(Import { path, name: None, line: line(token) });
            }
            TokenTree::Ident(word) if word == "as" => name = words.next().map(ToString::to_string),
            // `{self}` is the module whose path leads here.
            TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    if let (Some(first), Some(last)) = (tree.first(), path.last()) {
        let name = name.unwrap_or_else(|| last.clone());
        imports.push(Import { line: line(first), name: Some(name), path });
    }
}

fn collect_group(stream: TokenStream, prefix: &[String], imports: &mut Vec<Import>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let branches = tokens.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
    for branch in branches {
        collect(branch, prefix, imports);
    }
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}
