//! Installed packages that are needed at run time.
//!
//! Left out is what Node.js never loads: sources, declarations, maps, documentation, tests, what is for browsers, and
//! what better-sqlite3 was compiled from. That is two thirds of the bytes and half of the files.

use std::path::{Component, Path};

/// Ends of file names that Node.js does not load.
const SUFFIXES: [&str; 17] = [
    ".a",
    ".bare",
    ".c",
    ".cc",
    ".cpp",
    ".cts",
    ".flow",
    ".h",
    ".html",
    ".map",
    ".markdown",
    ".md",
    ".mts",
    ".o",
    ".png",
    ".ts",
    ".tsbuildinfo",
];
/// Packages and scopes for development only, although they come as ordinary dependencies.
const PACKAGES: [&str; 3] = ["@types", "prebuild-install", "typescript"];
/// Directories at the root of a package that are not for those who use it.
const DIRECTORIES: [&str; 10] =
    [".github", "__tests__", "bench", "benchmark", "doc", "docs", "example", "examples", "test", "tests"];
/// Builds for other platforms, at the root of a package.
const PLATFORMS: [&str; 2] = ["dist/browser", "dist/react-native"];
/// The package that is compiled.
const NATIVE: &str = "better-sqlite3";
/// The only file of its build that is needed at run time.
pub(super) const NATIVE_MODULE: &str = "build/Release/better_sqlite3.node";

/// Everything that the decision depends on.
pub(super) fn rules() -> impl Iterator<Item = &'static str> {
    SUFFIXES.into_iter().chain(PACKAGES).chain(DIRECTORIES).chain(PLATFORMS).chain([NATIVE, NATIVE_MODULE])
}

/// True if a file is needed at run time; `path` is below the outermost `node_modules`.
pub(super) fn is_needed(path: &Path) -> bool {
    let parts: Vec<&str> = path
        .components()
        .filter_map(|part| if let Component::Normal(name) = part { name.to_str() } else { None })
        .collect();
    // Packages may have packages of their own inside; what counts is the innermost.
    let start = parts.iter().rposition(|part| *part == "node_modules").map_or(0, |at| at + 1);
    let package = &parts[start..];
    let is_scoped = package.first().is_some_and(|name| name.starts_with('@'));
    let (Some(name), Some(inside)) = (package.first(), package.get(if is_scoped { 2 } else { 1 }..)) else {
        return false;
    };
    let Some((file, directories)) = inside.split_last() else { return false };
    let below = inside.join("/");
    let is_left_out = parts.contains(&".bin")
        || PACKAGES.contains(name)
        || directories.first().is_some_and(|directory| DIRECTORIES.contains(directory))
        || PLATFORMS.iter().any(|platform| Path::new(&below).starts_with(platform))
        || SUFFIXES.iter().any(|suffix| file.ends_with(suffix))
        || (*name == NATIVE
            && ["build", "deps", "src"].contains(directories.first().unwrap_or(&""))
            && below != NATIVE_MODULE);
    !is_left_out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::code("express/lib/express.js", true)]
    #[case::scoped("@backstage/config/dist/index.cjs.js", true)]
    #[case::data("mime-db/db.json", true)]
    #[case::licence("express/LICENSE", true)]
    #[case::nested("a/node_modules/b/index.js", true)]
    #[case::a_directory_deeper_inside("yaml/dist/doc/Document.js", true)]
    #[case::native_module("better-sqlite3/build/Release/better_sqlite3.node", true)]
    #[case::native_wrapper("better-sqlite3/lib/database.js", true)]
    #[case::map("express/lib/express.js.map", false)]
    #[case::declaration("zod/index.d.ts", false)]
    #[case::declaration_of_a_module("zod/index.d.mts", false)]
    #[case::types("@types/node/package.json", false)]
    #[case::nested_types("a/node_modules/@types/node/package.json", false)]
    #[case::tests("express/test/app.js", false)]
    #[case::tests_of_a_nested_package("a/node_modules/@b/c/tests/d.js", false)]
    #[case::browser("@azure/identity/dist/browser/index.js", false)]
    #[case::not_a_browser_build("x/dist/browserless.js", true)]
    #[case::native_source("better-sqlite3/deps/sqlite3/sqlite3.tar.gz", false)]
    #[case::native_object("better-sqlite3/build/Release/obj.target/better_sqlite3.node", false)]
    #[case::command("a/node_modules/.bin/mime", false)]
    #[case::npm_record(".package-lock.json", false)]
    fn only_what_node_loads_is_needed(#[case] path: &str, #[case] needed: bool) {
        assert_eq!(is_needed(Path::new(path)), needed);
    }
}
