//! OAuth applications, and the browser of a person who lets them in.

use std::collections::BTreeMap;

use credence_core::credential::Credential;
use http::StatusCode;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, Response, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::{self, Call};
use super::{ANSWER, Forge, ForgeError};

const FORM: &str = "application/x-www-form-urlencoded";

/// A registered OAuth application of the confidential kind.
#[derive(Debug, Clone)]
pub struct Application {
    /// Address that gets its codes.
    pub redirect_uri: String,
    /// Its id as a client.
    pub client_id: Credential,
    /// Its secret as a client.
    pub client_secret: Credential,
    id: i64,
    name: String,
}

/// Parameters with which an authorisation sends the browser back.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// The whole URL to go back to, which holds the code.
    pub redirect: Credential,
    /// Code that the client exchanges for a token.
    pub code: Credential,
    /// State that the application passed along.
    pub state: String,
}

#[derive(Deserialize)]
struct Registered {
    id: i64,
    client_id: String,
    client_secret: String,
}

impl Forge {
    /// Registers an application that is sent back to `redirect_uri`.
    ///
    /// # Errors
    /// When Gitea refuses it.
    pub async fn create_application(&self, redirect_uri: &str) -> Result<Application, ForgeError> {
        let name = self.unused_name();
        let path = "/user/applications/oauth2".to_owned();
        let body = description(&name, redirect_uri);
        let call = Call { act: "register the application", object: &name, method: Method::POST, path, body };
        let registered: Registered = self.administrator.call(call).await?;
        Ok(Application {
            redirect_uri: redirect_uri.to_owned(),
            client_id: Credential::new(registered.client_id),
            client_secret: Credential::new(registered.client_secret),
            id: registered.id,
            name,
        })
    }

    /// Replaces an application's secret; the one before is worth nothing from then on.
    ///
    /// # Errors
    /// When Gitea does not know the application.
    pub async fn regenerate_secret(&self, application: &mut Application) -> Result<(), ForgeError> {
        let path = format!("/user/applications/oauth2/{}", application.id);
        let body = description(&application.name, &application.redirect_uri);
        let (act, object) = ("regenerate the secret of", application.name.as_str());
        let registered: Registered =
            self.administrator.call(Call { act, object, method: Method::PATCH, path, body }).await?;
        application.client_secret = Credential::new(registered.client_secret);
        Ok(())
    }

    /// Does what a person does in a browser: follows an application's link to `/login/oauth/authorize`, signs in, and
    /// lets the application in. Only the query of `link` counts; it goes straight to Gitea, so the request log holds
    /// what the application does and not this.
    ///
    /// # Errors
    /// When the password is wrong, or Gitea does not know the application or its redirect URI.
    pub(crate) async fn authorize(
        &self,
        user: &str,
        password: &Credential,
        link: &str,
    ) -> Result<Authorization, ForgeError> {
        let act = "authorise an application as";
        let unusable = || ForgeError::answer(act, user);
        let mut browser = Browser { forge: self, user, act, cookies: BTreeMap::new() };
        let password = accounts::text(password, user)?;
        let home = browser.post("/user/login", &[("user_name", user), ("password", password)]).await?;
        if !home.status().is_redirection() {
            // Gitea answers a wrong password with its form again, and status 200.
            return Err(ForgeError::SignIn { user: user.to_owned() });
        }
        let link = Url::parse(link).map_err(|_| unusable())?;
        let asked: BTreeMap<String, String> = link.query_pairs().into_owned().collect();
        let page = browser.get(&format!("/login/oauth/authorize?{}", link.query().unwrap_or_default())).await?;
        let back = if page.status() == StatusCode::OK {
            let field = |name: &'static str| (name, asked.get(name).map_or("", String::as_str));
            let fields = ["client_id", "redirect_uri", "state", "scope", "nonce"].map(field);
            browser.post("/login/oauth/grant", &[&fields[..], &[("granted", "true")]].concat()).await?
        } else {
            // Whoever has let the application in before is not asked again.
            page
        };
        let redirect = location(&back).ok_or_else(|| ForgeError::refused(act, user, back.status()))?;
        let back = Url::parse(redirect.expose_str().unwrap_or_default()).map_err(|_| unusable())?;
        let mut answer: BTreeMap<String, String> = back.query_pairs().into_owned().collect();
        let code = answer.remove("code").ok_or_else(unusable)?;
        Ok(Authorization { redirect, code: Credential::new(code), state: answer.remove("state").unwrap_or_default() })
    }

    /// Exchanges a code for an access token through the façade, as an application does (RFC 6749, section 4.1.3).
    ///
    /// # Errors
    /// When Gitea refuses the client or the code: status 400.
    pub async fn exchange(&self, application: &Application, code: &Credential) -> Result<Credential, ForgeError> {
        #[derive(Deserialize)]
        struct Exchanged {
            access_token: String,
        }
        let (act, object) = ("exchange a code of", application.name.as_str());
        let failed = |source: reqwest::Error| ForgeError::request(act, object, source);
        let text = |credential: &Credential| String::from_utf8_lossy(credential.expose()).into_owned();
        let form = form(&[
            ("grant_type", "authorization_code"),
            ("client_id", &text(&application.client_id)),
            ("client_secret", &text(&application.client_secret)),
            ("redirect_uri", &application.redirect_uri),
            ("code", &text(code)),
        ]);
        let url = format!("{}/login/oauth/access_token", self.url());
        let answer = self.outside.post(url).header(CONTENT_TYPE, FORM).body(form).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(ForgeError::refused(act, object, answer.status()));
        }
        let bytes = answer.bytes().await.map_err(failed)?;
        let exchanged: Exchanged = serde_json::from_slice(&bytes).map_err(|_| ForgeError::answer(act, object))?;
        Ok(Credential::new(exchanged.access_token))
    }
}

impl Application {
    /// The link that the application gives to a browser at the forge `url`.
    pub fn link(&self, url: &str, state: &str) -> String {
        let query = form(&[
            ("client_id", &String::from_utf8_lossy(self.client_id.expose())),
            ("redirect_uri", &self.redirect_uri),
            ("response_type", "code"),
            ("scope", "read:user"),
            ("state", state),
        ]);
        format!("{url}/login/oauth/authorize?{query}")
    }
}

fn description(name: &str, redirect_uri: &str) -> Value {
    json!({ "name": name, "redirect_uris": [redirect_uri], "confidential_client": true })
}

/// A browser that keeps cookies and follows no redirect.
struct Browser<'a> {
    forge: &'a Forge,
    user: &'a str,
    act: &'static str,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    async fn get(&mut self, path: &str) -> Result<Response, ForgeError> {
        let administrator = &self.forge.administrator;
        let request = administrator.client.get(format!("{}{path}", administrator.url));
        self.send(request).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Response, ForgeError> {
        let administrator = &self.forge.administrator;
        let request = administrator.client.post(format!("{}{path}", administrator.url));
        self.send(request.header(CONTENT_TYPE, FORM).body(form(fields))).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Result<Response, ForgeError> {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header(COOKIE, cookies.join("; ")).timeout(ANSWER);
        let answer = request.send().await.map_err(|source| ForgeError::request(self.act, self.user, source))?;
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }
}

/// Address to which an answer sends the browser.
fn location(answer: &Response) -> Option<Credential> {
    answer.headers().get(LOCATION).map(|value| Credential::new(value.as_bytes()))
}

/// Fields in the form's encoding, which is also that of a query.
fn form(fields: &[(&str, &str)]) -> String {
    // A URL without a host is the one thing that writes this encoding here, and its text is known to parse.
    let mut url = Url::parse("form:").expect("a literal URL parses");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_keeps_hostile_values() {
        assert_eq!(form(&[("a", "x&y=z +%"), ("b", "\"\\ü")]), "a=x%26y%3Dz+%2B%25&b=%22%5C%C3%BC");
    }
}
