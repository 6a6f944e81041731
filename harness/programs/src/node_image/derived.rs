//! Images on the tools image: a program with its files, for a container beside the node.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use credence_core::file_error::FileError;
use tar::{Builder, Header, HeaderMode};

use super::fingerprint::{LABEL, fingerprint};
use super::tools::ToolsImage;
use super::{NodeImageError, Steps, check_room, lock, remove_orphans};
use crate::engine::Engine;
use crate::supply::Options;

/// Files that an image has on top of the tools.
pub struct Addition<'a> {
    /// Name of the image below `credence/`.
    pub name: &'a str,
    /// Inputs from which its files follow, in words.
    pub inputs: &'a [String],
    /// Places in the image, with the file or the directory that is copied there.
    pub files: &'a [(&'a str, &'a Path)],
    /// Instructions of a Dockerfile that come after the files.
    pub instructions: &'a str,
    /// Room that it takes in the engine, in MB.
    pub megabytes: u64,
}

impl Addition<'_> {
    /// The image's name in the engine. Its tag is a digest of all inputs.
    fn image(&self, tools: &ToolsImage) -> String {
        format!("credence/{}:{}", self.name, self.digest(tools))
    }

    fn digest(&self, tools: &ToolsImage) -> String {
        let places = self.files.iter().map(|(place, _)| (*place).to_owned());
        let lines = [tools.name.clone(), self.instructions.to_owned()].into_iter().chain(places);
        fingerprint(&lines.chain(self.inputs.iter().cloned()).collect::<Vec<String>>())
    }

    /// The file for the builder. In its directory, files are named by their number.
    fn dockerfile(&self, tools: &ToolsImage) -> String {
        let files = self.files.iter().enumerate();
        let copies: String = files.map(|(number, (place, _))| format!("COPY {number} {place}\n")).collect();
        // The label is in front, so that what an interrupted build leaves can be told from the images of others.
        let label = format!("{LABEL}={}", self.digest(tools));
        format!("FROM {}\nLABEL {label}\n{copies}{}\n", tools.name, self.instructions)
    }
}

/// Gives the image of an addition, which the engine has or which is made now. Its name has a tag.
///
/// # Errors
/// When a file cannot be read, there is too little room, or the engine fails.
pub async fn obtain(
    engine: &Engine,
    options: &Options,
    tools: &ToolsImage,
    addition: &Addition<'_>,
    report: &(dyn Fn(&str) + Sync),
) -> Result<String, NodeImageError> {
    let name = addition.image(tools);
    if engine.has_image(&name).await? {
        return Ok(name);
    }
    let steps = Steps { image: addition.name, start: Instant::now(), report };
    let _lock = lock(options, &steps).await?;
    // Another process may have made it while this one waited.
    if engine.has_image(&name).await? {
        return Ok(name);
    }
    remove_orphans(engine).await?;
    check_room(engine, options, &name, 0, addition.megabytes).await?;
    steps.say(&format!("building the image {name}"));
    let built = build(engine, &name, addition, tools).await;
    if built.is_err() {
        remove_orphans(engine).await?;
    }
    built?;
    Ok(name)
}

async fn build(engine: &Engine, name: &str, addition: &Addition<'_>, tools: &ToolsImage) -> Result<(), NodeImageError> {
    let act = format!("build the image {name}");
    let failed = |source| FileError::new("run", engine.path(), source);
    let mut child = engine
        .command(&["build", "--force-rm", "--network", "none", "--tag", name, "-"])
        // As for the node image.
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take().map(|stdin| stdin.into_owned_fd()).transpose().map_err(failed)?;
    let dockerfile = addition.dockerfile(tools);
    let files: Vec<PathBuf> = addition.files.iter().map(|(_, path)| (*path).to_owned()).collect();
    let write = tokio::task::spawn_blocking(move || {
        // It is there, as it is piped.
        stdin.map_or(Ok(()), |stdin| pack(File::from(stdin), &dockerfile, &files))
    });
    let (output, written) = tokio::join!(child.wait_with_output(), write);
    match written.unwrap_or_else(|error| Err((PathBuf::new(), io::Error::other(error)))) {
        // An engine that stops reading says why.
        Err((path, source)) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(FileError::new("pack", path, source).into())
        }
        _ => engine.checked(&act, output).map(drop).map_err(NodeImageError::from),
    }
}

/// Writes the directory that the image is built of as an archive, with modes that do not depend on a umask. An error
/// comes with the file that it is about.
fn pack(to: impl io::Write, dockerfile: &str, files: &[PathBuf]) -> Result<(), (PathBuf, io::Error)> {
    let about = |path: &Path| {
        let path = path.to_owned();
        move |source| (path, source)
    };
    let mut archive = Builder::new(to);
    archive.mode(HeaderMode::Deterministic);
    let mut header = Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    let name = Path::new("Dockerfile");
    archive.append_data(&mut header, name, dockerfile.as_bytes()).map_err(about(name))?;
    for (number, path) in files.iter().enumerate() {
        let name = number.to_string();
        let packed =
            if path.is_dir() { archive.append_dir_all(name, path) } else { archive.append_path_with_name(path, name) };
        packed.map_err(about(path))?;
    }
    archive.into_inner().map(drop).map_err(about(name))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tools() -> ToolsImage {
        ToolsImage { name: "credence/tools:a".to_owned() }
    }

    fn files() -> [(&'static str, &'static Path); 2] {
        [("/bin/gitea", Path::new("/cache/gitea")), ("/share", Path::new("/cache/assets"))]
    }

    fn addition<'a>(files: &'a [(&'a str, &'a Path)]) -> Addition<'a> {
        Addition { name: "gitea", inputs: &[], files, instructions: "RUN /bin/gitea --version", megabytes: 1 }
    }

    #[test]
    fn files_are_copied_by_number_and_then_come_the_instructions() {
        let file = addition(&files()).dockerfile(&tools());
        let lines: Vec<&str> = file.lines().collect();
        assert!(lines[1].starts_with("LABEL credence.node-image="), "{file}");
        assert_eq!(
            (lines[0], &lines[2..]),
            ("FROM credence/tools:a", ["COPY 0 /bin/gitea", "COPY 1 /share", "RUN /bin/gitea --version"].as_slice())
        );
    }

    #[test]
    fn each_input_changes_the_tag_and_the_place_of_a_file_on_this_machine_does_not() {
        let files = files();
        let addition = || addition(&files);
        let name = addition().image(&tools());
        assert!(name.starts_with("credence/gitea:"), "{name}");
        let inputs = ["gitea 2".to_owned()];
        for other in [
            Addition { inputs: &inputs, ..addition() },
            Addition { instructions: "", ..addition() },
            Addition { files: &[], ..addition() },
        ] {
            assert_ne!(other.image(&tools()), name);
        }
        assert_ne!(addition().image(&ToolsImage { name: "credence/tools:b".to_owned() }), name);
        let elsewhere = [("/bin/gitea", Path::new("/a")), ("/share", Path::new("/b"))];
        assert_eq!(Addition { files: &elsewhere, ..addition() }.image(&tools()), name);
    }

    #[test]
    fn an_archive_has_the_dockerfile_programs_and_directories() {
        let directory = tempfile::tempdir().unwrap();
        let (program, assets) = (directory.path().join("program"), directory.path().join("assets"));
        fs::create_dir_all(assets.join("templates")).unwrap();
        fs::write(assets.join("templates/a.tmpl"), "a").unwrap();
        fs::write(&program, "program").unwrap();
        let mut archive = Vec::new();
        pack(&mut archive, "FROM a\n", &[program, assets]).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), entry.size())
        });
        let files: Vec<_> = entries.filter(|(_, size)| *size > 0).collect();
        assert_eq!(files, [("Dockerfile".into(), 7), ("0".into(), 7), ("1/templates/a.tmpl".into(), 1)]);
        let (path, error) = pack(Vec::new(), "", &[directory.path().join("nothing")]).unwrap_err();
        assert_eq!((path, error.kind()), (directory.path().join("nothing"), io::ErrorKind::NotFound));
    }
}
