//! Contents of the forge: users, organisations, repositories and tokens, made through Gitea's HTTP API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credence_core::credential::Credential;
use http::header::CONTENT_TYPE;
use reqwest::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::gitea::ADMINISTRATOR;
use super::{ANSWER, Forge, ForgeError};

/// Right to read packages, images among them.
pub const READ_PACKAGE: &str = "read:package";
/// Right to push packages, images among them.
pub(crate) const WRITE_PACKAGE: &str = "write:package";
/// Right to read repositories, by git and by the API.
pub const READ_REPOSITORY: &str = "read:repository";

/// A personal access token of one of Gitea's users.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// Login name of its user.
    pub user: String,
    /// Gitea's number for it, by which it is revoked.
    pub id: i64,
    /// The token: 40 hexadecimal digits.
    pub value: Credential,
}

/// An organisation whose repositories and packages only its members see.
#[derive(Debug, Clone)]
pub struct Organization {
    /// Its name, the first part of the path of what it owns.
    pub name: String,
    /// Id of the team whose members may read everything.
    readers: i64,
}

/// A file of a commit: its path in the repository and its content.
pub type File<'a> = (&'a str, &'a [u8]);

/// A request to Gitea's API, in words and in terms of HTTP.
pub(super) struct Call<'a> {
    pub(super) act: &'static str,
    pub(super) object: &'a str,
    pub(super) method: Method,
    /// Path below `/api/v1`.
    pub(super) path: String,
    pub(super) body: Value,
}

/// Acts as the administrator, at Gitea's own address: what it does is not in the request log.
pub(super) struct Administrator {
    pub(super) client: reqwest::Client,
    pub(super) url: String,
    pub(super) token: Credential,
}

#[derive(Deserialize)]
struct Id {
    id: i64,
}

impl Administrator {
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ForgeError> {
        let Call { act, object, method, path, body } = call;
        let failed = |source: reqwest::Error| ForgeError::request(act, object, source);
        let mut request = self
            .client
            .request(method, format!("{}/api/v1{path}", self.url))
            // Gitea lets nobody make tokens who does not use Basic authentication; the password may be a token.
            .basic_auth(ADMINISTRATOR, self.token.expose_str())
            .timeout(ANSWER);
        if !body.is_null() {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            // The text of the refusal may quote what was sent.
            return Err(ForgeError::refused(act, object, status));
        }
        let bytes = answer.bytes().await.map_err(failed)?;
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).map_err(|_| ForgeError::answer(act, object))
    }
}

impl Forge {
    /// Makes a user with this password. Gitea limits names to letters, digits and `-_.`, and reserves some, such
    /// as `org`, `user` and `admin`. A password has 1 to 255 characters of any kind.
    ///
    /// # Errors
    /// When the name is taken or not allowed, or the password is empty, too long or not UTF-8.
    pub async fn create_user(&self, name: &str, password: &Credential) -> Result<(), ForgeError> {
        let body = json!({
            "username": name,
            "email": format!("{name}@forge.invalid"),
            "password": text(password, name)?,
            "must_change_password": false,
        });
        let path = "/admin/users".to_owned();
        let call = Call { act: "create the user", object: name, method: Method::POST, path, body };
        let user: Id = self.administrator.call(call).await?;
        self.users.insert(user.id, name);
        Ok(())
    }

    /// Gives a user another password; the one before is worth nothing from then on.
    ///
    /// # Errors
    /// When there is no such user, or the password is empty, too long or not UTF-8.
    pub async fn set_password(&self, name: &str, password: &Credential) -> Result<(), ForgeError> {
        let text = text(password, name)?;
        let body = json!({ "source_id": 0, "login_name": name, "password": text, "must_change_password": false });
        let path = format!("/admin/users/{name}");
        let call = Call { act: "change the password of", object: name, method: Method::PATCH, path, body };
        self.administrator.call::<IgnoredAny>(call).await.map(drop)
    }

    /// Makes a private organisation with a team of readers.
    ///
    /// # Errors
    /// When the name is taken or not allowed.
    pub(crate) async fn create_organization(&self, name: &str) -> Result<Organization, ForgeError> {
        let body = json!({ "username": name, "visibility": "private" });
        let path = "/orgs".to_owned();
        let call = Call { act: "create the organisation", object: name, method: Method::POST, path, body };
        self.administrator.call::<IgnoredAny>(call).await?;
        let body = json!({
            "name": "readers",
            "permission": "read",
            "includes_all_repositories": true,
            "units_map": { "repo.code": "read", "repo.packages": "read" },
        });
        let path = format!("/orgs/{name}/teams");
        let call = Call { act: "create the team of readers of", object: name, method: Method::POST, path, body };
        let readers: Id = self.administrator.call(call).await?;
        Ok(Organization { name: name.to_owned(), readers: readers.id })
    }

    /// Lets a user read all repositories and packages of an organisation, those to come as well.
    ///
    /// # Errors
    /// When there is no such user.
    pub(crate) async fn grant_read(&self, organization: &Organization, user: &str) -> Result<(), ForgeError> {
        let path = format!("/teams/{}/members/{user}", organization.readers);
        let call = Call { act: "grant read access to", object: user, method: Method::PUT, path, body: Value::Null };
        self.administrator.call::<IgnoredAny>(call).await.map(drop)
    }

    /// Makes a private repository of a user or an organisation with one commit on `main`, and gives that commit's id.
    ///
    /// # Errors
    /// When there is no such owner, the name is taken, or a path is not allowed in a repository.
    pub async fn create_repository(&self, owner: &str, name: &str, files: &[File<'_>]) -> Result<String, ForgeError> {
        let body = json!({ "name": name, "private": true, "default_branch": "main" });
        let path = format!("/admin/users/{owner}/repos");
        let call = Call { act: "create the repository", object: name, method: Method::POST, path, body };
        self.administrator.call::<IgnoredAny>(call).await?;
        self.commit(owner, name, files).await
    }

    /// Writes files, new or not, in one commit on `main`, and gives its id.
    ///
    /// # Errors
    /// When there is no such repository or a path is not allowed in it.
    pub async fn commit(&self, owner: &str, repository: &str, files: &[File<'_>]) -> Result<String, ForgeError> {
        #[derive(Deserialize)]
        struct Commit {
            sha: String,
        }
        #[derive(Deserialize)]
        struct Changed {
            commit: Commit,
        }
        let files: Vec<Value> = files
            .iter()
            .map(|(path, content)| json!({ "operation": "upload", "path": path, "content": STANDARD.encode(content) }))
            .collect();
        let body = json!({ "branch": "main", "message": "Change files", "files": files });
        let path = format!("/repos/{owner}/{repository}/contents");
        let call = Call { act: "commit to", object: repository, method: Method::POST, path, body };
        let changed: Changed = self.administrator.call(call).await?;
        Ok(changed.commit.sha)
    }

    /// Makes a personal access token of a user with these scopes, such as [`READ_PACKAGE`].
    ///
    /// # Errors
    /// When there is no such user or scope.
    pub async fn create_token(&self, user: &str, scopes: &[&str]) -> Result<AccessToken, ForgeError> {
        #[derive(Deserialize)]
        struct Created {
            id: i64,
            sha1: String,
        }
        let body = json!({ "name": self.unused_name(), "scopes": scopes });
        let path = format!("/users/{user}/tokens");
        let call = Call { act: "create a token of", object: user, method: Method::POST, path, body };
        let created: Created = self.administrator.call(call).await?;
        Ok(AccessToken { user: user.to_owned(), id: created.id, value: Credential::new(created.sha1) })
    }

    /// Revokes a token: Gitea forgets it at once. A bearer token that the registry made of it before lives on for up to
    /// 24 hours.
    ///
    /// # Errors
    /// When it is revoked already.
    pub async fn revoke_token(&self, token: &AccessToken) -> Result<(), ForgeError> {
        let path = format!("/users/{}/tokens/{}", token.user, token.id);
        let (act, object, method) = ("revoke a token of", token.user.as_str(), Method::DELETE);
        self.administrator.call::<IgnoredAny>(Call { act, object, method, path, body: Value::Null }).await.map(drop)
    }
}

/// The password as text. Gitea ignores an empty one without a word, and refuses more than 255 characters
/// (`modules/structs/admin_user.go`); any other character passes unchanged, control characters too.
pub(super) fn text<'a>(password: &'a Credential, user: &str) -> Result<&'a str, ForgeError> {
    password
        .expose_str()
        .filter(|text| (1..=255).contains(&text.chars().count()))
        .ok_or_else(|| ForgeError::Password { user: user.to_owned() })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty(b"".to_vec(), false)]
    #[case::hostile("\"'\\{{$ :=\r\n\t\0".into(), true)]
    #[case::longest("ü".repeat(255).into(), true)]
    #[case::too_long("x".repeat(256).into(), false)]
    #[case::not_text(vec![0xff], false)]
    fn passwords_that_gitea_would_not_keep_are_refused(#[case] password: Vec<u8>, #[case] taken: bool) {
        assert_eq!(text(&Credential::new(password), "ada").is_ok(), taken);
    }
}
