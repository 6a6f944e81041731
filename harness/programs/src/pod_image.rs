//! Images for pods on the node that the user names, in place of those that are made of the parts.

use std::fmt;
use std::str::FromStr;

use super::engine::Engine;
use super::node_image::{NodeImageError, check_room};
use crate::supply::Options;

/// Under which name the engine keeps them for the node, which takes no image by its digest from an archive.
const REPOSITORY: &str = "localhost/credence/pulled";
/// Room that an image takes in the engine at most, in MB.
const MEGABYTES: u64 = 800;
/// Hexadecimal digits of a digest.
const DIGEST: usize = 64;

/// Programs that run in pods, and whose official image can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are the programs' own names")]
pub enum PodImage {
    ExternalSecrets,
    ArgoCd,
    Redis,
}

impl PodImage {
    /// Every program of which an image can be given.
    pub const ALL: [Self; 3] = [Self::ExternalSecrets, Self::ArgoCd, Self::Redis];

    /// Its name, as in `argo-cd`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExternalSecrets => "external-secrets",
            Self::ArgoCd => "argo-cd",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for PodImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An image of a registry by its digest, so that it is the same one each time, and what it is used for. Written
/// `argo-cd=NAME@sha256:DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserImage {
    /// Program that the image is used for.
    pub of: PodImage,
    /// Its name with its digest.
    pub name: String,
}

/// Why a text names no image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserImageError {
    /// It is not of the form.
    #[error("expected PART=NAME@sha256:DIGEST, where PART is external-secrets, argo-cd or redis")]
    Form,
    /// Nothing of this name runs in pods.
    #[error("{0} is not an image that can be replaced; external-secrets, argo-cd and redis are")]
    Unknown(String),
    /// It could be another image tomorrow.
    #[error("{0} is not named by its digest; `docker buildx imagetools inspect NAME:TAG` shows it")]
    NoDigest(String),
}

impl FromStr for UserImage {
    type Err = UserImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (part, name) = text.split_once('=').ok_or(UserImageError::Form)?;
        let of = PodImage::ALL.into_iter().find(|one| one.as_str() == part);
        let of = of.ok_or_else(|| UserImageError::Unknown(part.to_owned()))?;
        let has_digest = name.split_once("@sha256:").is_some_and(|(repository, digest)| {
            !repository.is_empty() && digest.len() == DIGEST && digest.bytes().all(is_digit)
        });
        if !has_digest {
            return Err(UserImageError::NoDigest(name.to_owned()));
        }
        Ok(Self { of, name: name.to_owned() })
    }
}

/// An image that the engine has for the node. It stays there, as it is the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// Program that the image is used for.
    pub of: PodImage,
    /// Its own name, with its digest.
    pub reference: String,
    /// The name under which the engine keeps it for the node, with a tag.
    pub kept_as: String,
}

/// The one of `images` that is given for `of`, if any.
pub fn find(images: &[PulledImage], of: PodImage) -> Option<&PulledImage> {
    images.iter().find(|image| image.of == of)
}

/// True if it is a digit of a digest, which has no capital letters.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl UserImage {
    /// The name under which the engine keeps it for the node.
    fn kept_as(&self) -> String {
        let digest = self.name.rsplit(':').next().unwrap_or_default();
        format!("{REPOSITORY}:{}-{digest}", self.of)
    }

    /// Pulls it, unless the engine has it, and has the engine keep it for the node.
    ///
    /// # Errors
    /// When there is too little room, or the engine cannot pull it, with what it says.
    pub async fn obtain(
        &self,
        engine: &Engine,
        options: &Options,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<PulledImage, NodeImageError> {
        let pulled = PulledImage { of: self.of, reference: self.name.clone(), kept_as: self.kept_as() };
        if engine.has_image(&pulled.kept_as).await? {
            return Ok(pulled);
        }
        if !engine.has_pulled(&self.name).await {
            check_room(engine, options, &self.name, 0, MEGABYTES).await?;
            report(&format!("{}: pulling {}, at most {MEGABYTES} MB", self.of, self.name));
            let act = format!("pull {}, which was given for {}", self.name, self.of);
            engine.pull(&act, &self.name).await?;
        }
        engine.output(&format!("name {}", self.name), &["tag", &self.name, &pulled.kept_as]).await?;
        Ok(pulled)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;
    use crate::engine::fake::Fake;

    const DIGITS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn an_image_is_kept_under_its_part_and_its_digest() {
        let given: UserImage = format!("argo-cd=registry.test:5000/argo/cd@sha256:{DIGITS}").parse().unwrap();
        assert_eq!(
            (given.of, given.kept_as()),
            (PodImage::ArgoCd, format!("localhost/credence/pulled:argo-cd-{DIGITS}"))
        );
    }

    #[rstest]
    #[case::without_part(format!("cd@sha256:{DIGITS}"), "expected PART=NAME")]
    #[case::of_nothing(format!("gitea=gitea@sha256:{DIGITS}"), "gitea is not an image")]
    #[case::by_tag("redis=redis:8".to_owned(), "redis:8 is not named by its digest")]
    #[case::by_half_a_digest(format!("redis=redis@sha256:{}", &DIGITS[..32]), "is not named by its digest")]
    #[case::in_capitals(format!("redis=redis@sha256:{}", DIGITS.to_uppercase()), "is not named by its digest")]
    #[case::without_name(format!("redis=@sha256:{DIGITS}"), "is not named by its digest")]
    fn what_may_be_another_image_tomorrow_is_refused(#[case] text: String, #[case] why: &str) {
        let error = text.parse::<UserImage>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[tokio::test]
    async fn an_image_that_the_engine_lacks_is_pulled_by_its_digest_and_named_for_the_node() {
        let given: UserImage = format!("redis=registry.test/redis@sha256:{DIGITS}").parse().unwrap();
        // It has no image, and writes down what it is to do about it.
        let fake = Fake::usable(r#"case $1 in images|info) ;; image) exit 1 ;; *) echo "$@" >> asked ;; esac"#);
        let options = Options::new(fake.directory().to_owned());
        let pulled = given.obtain(&fake.find().await.unwrap(), &options, &|_| {}).await.unwrap();
        assert_eq!(pulled.kept_as, format!("localhost/credence/pulled:redis-{DIGITS}"));
        let asked = fs::read_to_string(fake.directory().join("asked")).unwrap();
        let name = &given.name;
        assert_eq!(asked, format!("pull --quiet {name}\ntag {name} {}\n", pulled.kept_as));
    }

    #[tokio::test]
    async fn an_image_that_cannot_be_pulled_is_named_with_what_the_engine_says() {
        let given: UserImage = format!("redis=registry.test/redis@sha256:{DIGITS}").parse().unwrap();
        let fake = Fake::usable("case $1 in images|info) ;; *) echo no such host >&2; exit 1 ;; esac");
        let options = Options::new(fake.directory().to_owned());
        let error = given.obtain(&fake.find().await.unwrap(), &options, &|_| {}).await.unwrap_err().to_string();
        assert!(error.contains(&given.name) && error.contains("given for redis") && error.contains("no such host"));
    }
}
