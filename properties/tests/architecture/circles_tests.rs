//! The finder of circles on crates made for it.

use std::path::Path;

use crate::circles;

/// Files of the circles of a crate with these files.
fn circles_of(crate_files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in crate_files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, text).unwrap();
    }
    circles::of(directory.path()).into_iter().map(|circle| circle.files).collect()
}

#[test]
fn files_that_use_each_other_are_in_a_circle() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::{self, B}; pub struct A;"),
        ("b.rs", "pub struct B; fn b() { Vec::<B>::new::<B>(super::c::c()) }"),
        ("c.rs", "pub fn c() { <B>::d(vec![crate::a::A]); }"),
    ]);
    assert_eq!(found, [["a.rs", "b.rs", "c.rs"]]);
}

#[test]
fn a_file_and_those_of_its_folder_are_in_no_circle() {
    let found = circles_of(&[
        ("lib.rs", "mod a; pub struct Root;"),
        ("a.rs", "mod b; mod c; use b::B; use c::C; pub struct A;"),
        ("a/b.rs", "pub struct B(super::A);"),
        ("a/c.rs", "pub struct C(super::A, crate::Root);"),
    ]);
    assert_eq!(found, Vec::<Vec<String>>::new());
}

#[test]
fn a_circle_that_leaves_a_folder_leads_through_the_file_that_it_belongs_to() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod d;"),
        ("a.rs", "pub mod b; mod c; use crate::d::D; pub struct A(c::C);"),
        ("a/b.rs", "pub struct B(super::A);"),
        ("a/c.rs", "pub struct C(Option<Box<super::A>>);"),
        ("d.rs", "pub struct D(crate::a::b::B);"),
    ]);
    // Nothing but its parent ties c.rs to the others.
    assert_eq!(found, [["a.rs", "a/b.rs", "d.rs"]]);
}

#[test]
fn a_name_that_is_handed_on_leads_to_the_file_that_defines_it() {
    let found = circles_of(&[
        ("lib.rs", "mod a; pub use a::*;"),
        ("a.rs", "mod b; mod c; pub use self::b::B as Handed; pub(in crate::a) use c::c;"),
        ("a/b.rs", "pub enum B { One } fn b() { super::c(); }"),
        ("a/c.rs", "pub fn c() { crate::Handed::One; }"),
    ]);
    assert_eq!(found, [["a/b.rs", "a/c.rs"]]);
}

#[test]
fn tests_comments_strings_and_other_crates_tie_nothing() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B;"),
        (
            "b.rs",
            "// crate::a::A\n/// [`crate::a`]\npub struct B;\nconst TEXT: &str = \"crate::a::A\";\nuse other::a::A;\n\
             #[cfg(test)]\nuse crate::a::{A};\n#[cfg(test)]\nmod tests { use crate::a::A; }\nfn b() { A::new() }",
        ),
    ]);
    assert_eq!(found, Vec::<Vec<String>>::new());
}
