//! What there is of the image before anything is done for it, and what is left of those before.

use super::debian::{self, Tools};
use super::{How, NodeImage, NodeImageError, inputs, official};
use crate::components::{Options, Source};
use crate::kind::engine::{Engine, EngineError};

/// What can be said of the image without pulling or making it.
#[derive(Debug)]
pub enum Outlook {
    /// The engine has it.
    There(NodeImage),
    /// It can be made here, where the official one cannot be pulled.
    Possible,
    /// It cannot be made here, and why; the official one may be pulled all the same.
    Lacking(NodeImageError),
}

/// Looks for the image, and for what it is made with.
///
/// # Errors
/// When the engine cannot be asked, or a program that the user gave cannot be read.
pub async fn outlook(engine: &Engine, options: &Options) -> Result<Outlook, NodeImageError> {
    let (official, name) = (official::name()?, inputs::name(options)?);
    if options.source != Source::Build && official::is_there(engine, &official).await {
        return Ok(Outlook::There(NodeImage { name: official, how: How::Pulled }));
    }
    if engine.has_image(&name).await? {
        return Ok(Outlook::There(NodeImage { name, how: How::Found }));
    }
    if engine.has_image(&debian::name()).await? {
        return Ok(Outlook::Possible);
    }
    Ok(match Tools::find() {
        Ok(_) => Outlook::Possible,
        Err(lack) => Outlook::Lacking(lack),
    })
}

/// Images that were made of other inputs than those of today: by another version of credence, or with other programs.
///
/// # Errors
/// When the engine cannot be asked, or a program that the user gave cannot be read.
pub async fn stale(engine: &Engine, options: &Options) -> Result<Vec<String>, NodeImageError> {
    // What is current without the given programs is, too.
    let current = [inputs::name(options)?, inputs::name(&Options::new(options.cache.clone()))?, debian::name()];
    let listed = engine.output("list the images", &["images", "--format", "{{.Repository}}:{{.Tag}}"]).await?;
    Ok(others(&String::from_utf8_lossy(&listed), &current))
}

/// The images of ours among those that are listed, but for the current ones: the nodes' before what they are made of.
fn others(listed: &str, current: &[String]) -> Vec<String> {
    let mut found: Vec<String> = listed
        .lines()
        // As Podman calls what is of no registry.
        .map(|line| line.trim().trim_start_matches("localhost/"))
        .filter(|name| name.starts_with("credence/node:") || name.starts_with("credence/debian:"))
        .filter(|name| !name.ends_with(":<none>") && !current.iter().any(|one| one == name))
        .map(str::to_owned)
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.dedup();
    found
}

/// Removes one of the [stale](stale) images. One that a container uses stays.
///
/// # Errors
/// When the engine keeps it, with what it says.
pub async fn remove(engine: &Engine, name: &str) -> Result<(), EngineError> {
    engine.output(&format!("remove {name}"), &["rmi", name]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::others;

    #[test]
    fn only_images_of_ours_that_are_not_current_are_stale_and_nodes_go_first() {
        let listed = "credence/debian:bookworm-old\ncredence/node:v1.36.3-new\nlocalhost/credence/node:v1.36.3-old\n\
             credence/node:<none>\ncredence-node:proto\nkindest/node:v1.36.4\ncredence/debian:bookworm-new\n";
        let current = ["credence/node:v1.36.3-new".to_owned(), "credence/debian:bookworm-new".to_owned()];
        assert_eq!(others(listed, &current), ["credence/node:v1.36.3-old", "credence/debian:bookworm-old"]);
    }
}
