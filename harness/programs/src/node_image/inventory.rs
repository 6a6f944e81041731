//! Inventory of the image before anything is done for it, and what is left of those before.

use super::debian::{NODE, TOOLS, Tools};
use super::{How, NodeImage, NodeImageError, inputs, official};
use crate::engine::{Engine, EngineError};
use crate::supply::{Options, Source};

/// Facts that can be told of the image without pulling or making it.
#[derive(Debug)]
pub enum ImageInventory {
    /// The engine has it, and it can be used as it is.
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
pub async fn inventory(engine: &Engine, options: &Options) -> Result<ImageInventory, NodeImageError> {
    let (official, name) = (official::name()?, inputs::name(options)?);
    if options.source != Source::Build && engine.has_pulled(&official).await {
        return Ok(ImageInventory::There(NodeImage { name: official, how: How::Pulled }));
    }
    if engine.has_image(&name).await? {
        return Ok(ImageInventory::There(NodeImage { name, how: How::Found }));
    }
    if engine.has_image(&NODE.name()).await? {
        return Ok(ImageInventory::Possible);
    }
    Ok(match Tools::find() {
        Ok(_) => ImageInventory::Possible,
        Err(lack) => ImageInventory::Lacking(lack),
    })
}

/// Images that were made of other inputs than those of today: by another version of credence, or with other programs.
///
/// # Errors
/// When the engine cannot be asked, or a program that the user gave cannot be read.
pub async fn stale(engine: &Engine, options: &Options) -> Result<Vec<String>, NodeImageError> {
    // What is current without the given programs is, too.
    let without = inputs::name(&Options::new(options.cache.clone()))?;
    let current = [inputs::name(options)?, without, NODE.name(), TOOLS.name()];
    let listed = engine.output("list the images", &["images", "--format", "{{.Repository}}:{{.Tag}}"]).await?;
    Ok(others(&String::from_utf8_lossy(&listed), &current))
}

/// The repositories of our images, those that are made of others first.
const REPOSITORIES: [&str; 5] =
    ["credence/node", "credence/gitea", "credence/argocd", "credence/tools", "credence/debian"];
/// Those of which the newest is taken for the current one: what they are made of is known only once it is obtained.
const NEWEST_IS_CURRENT: [&str; 2] = ["credence/gitea", "credence/argocd"];

/// The images of ours among those that are listed, newest first, but for the current ones.
fn others(listed: &str, current: &[String]) -> Vec<String> {
    // Podman calls what is of no registry one of localhost.
    let listed: Vec<&str> = listed.lines().map(|line| line.trim().trim_start_matches("localhost/")).collect();
    let of = |repository: &'static str| {
        let is_of = move |name: &&str| name.strip_prefix(repository).is_some_and(|tag| tag.starts_with(':'));
        let kept = usize::from(NEWEST_IS_CURRENT.contains(&repository));
        listed.iter().copied().filter(is_of).filter(|name| !name.ends_with(":<none>")).skip(kept)
    };
    let ours = REPOSITORIES.into_iter().flat_map(of);
    ours.filter(|name| !current.iter().any(|one| one == name)).map(str::to_owned).collect()
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
    fn only_images_of_ours_that_are_not_current_are_stale_and_those_made_of_others_go_first() {
        let listed = "credence/debian:bookworm-old\ncredence/gitea:new\ncredence/node:v1.36.3-new\n\
             localhost/credence/node:v1.36.3-old\ncredence/node:<none>\ncredence-node:proto\nkindest/node:v1.36.4\n\
             credence/gitea:old\ncredence/debian:bookworm-new\n";
        let current = ["credence/node:v1.36.3-new".to_owned(), "credence/debian:bookworm-new".to_owned()];
        let stale = ["credence/node:v1.36.3-old", "credence/gitea:old", "credence/debian:bookworm-old"];
        assert_eq!(others(listed, &current), stale);
    }
}
