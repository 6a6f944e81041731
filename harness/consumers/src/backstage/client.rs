//! A client of a running Backstage, for the two things that distributed credentials are for: sign-in, and reading
//! files.

use std::error::Error;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use credence_core::credential::Credential;
use credence_watch::wait::{self, Progress, WaitError};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, Response, StatusCode, Url, redirect};

use super::answer::{AuthError, SignedIn};
use super::frame::{self, Answered, Outcome};

/// Path that the forge sends the user back to.
pub(super) const CALLBACK: &str = "/api/auth/github/handler/frame";
const START: &str = "/api/auth/github/start?env=development&scope=read:user";
/// The cookie that ties an answer of the forge to its request.
const NONCE: &str = "github-nonce=";
/// 200 once all plugins have started.
const READINESS: &str = "/.backstage/health/v1/readiness";
/// Tries a location: reads and parses the file, and stores nothing.
const TRY_LOCATION: &str = "/api/catalog/locations?dryRun=true";
/// Backstage answers in milliseconds, and in 10 s at most when one of its plugins is not up.
const ANSWER: Duration = Duration::from_secs(30);
/// Time between two polls of a Backstage that is starting; it takes 3 to 6 seconds.
const PROBE: Duration = Duration::from_millis(100);

/// Something did not work. No text holds what Backstage said, which can quote a credential.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ClientError {
    /// A credential was refused: evidence.
    #[error("failed to {act}: {auth_error}")]
    Refused { act: &'static str, auth_error: AuthError },
    /// The answer says nothing about a credential.
    #[error("failed to {act}, for a reason other than the credential: {answer}")]
    Unclear {
        act: &'static str,
        /// The answer, in words of ours.
        answer: String,
    },
    #[error("failed to {act}: {reason}")]
    NoAnswer { act: &'static str, reason: &'static str },
    /// The forge did not grant the sign-in.
    #[error("failed to get the sign-in approved by the forge")]
    Grant(#[source] Box<dyn Error + Send + Sync>),
    /// The forge sent the user somewhere else than to Backstage.
    #[error("failed to sign in: the forge redirects elsewhere than to Backstage")]
    Elsewhere,
    /// No client can be made.
    #[error("failed to make a client for Backstage")]
    Build(#[source] reqwest::Error),
}

/// A client of one Backstage.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Client {
    /// A client of the Backstage whose base URL is `base`. A host name in it stands for `address`, and no name service
    /// is asked, so that a pod with an address of its own can have the redirect URI that the forge was told.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(base: Url, address: IpAddr) -> Result<Self, ClientError> {
        credence_watch::crypto::use_ring();
        let mut builder = reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(ANSWER);
        if let Some(host) = base.domain() {
            // The port is that of the URL, whatever is given here.
            builder = builder.resolve(host, (address, 0).into());
        }
        Ok(Self { base, http: builder.build().map_err(ClientError::Build)? })
    }

    /// True if all plugins have started. They never do when an OAuth variable is missing or empty.
    pub async fn is_ready(&self) -> bool {
        matches!(self.readiness().await, Progress::Done(()))
    }

    /// Waits until all plugins have started.
    ///
    /// # Errors
    /// When they have not `within` the limit.
    pub async fn wait_until_ready(&self, within: Duration) -> Result<(), WaitError> {
        wait::poll("Backstage ready", within, PROBE, || self.readiness()).await
    }

    async fn readiness(&self) -> Progress<()> {
        match send("ask for readiness", self.http.get(self.url(READINESS))).await {
            Ok(answer) if answer.status() == StatusCode::OK => Progress::Done(()),
            Ok(answer) => Progress::NotYet(answer.status().to_string()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    }

    /// Signs in. `grant` plays the user at the forge: it is given the forge's URL for authorising, and gives the URL
    /// that the forge then redirects to. Both are credentials: the first has the client id, which a faulty
    /// configuration may have swapped with the secret, and the second a code for a token.
    ///
    /// # Errors
    /// When a credential is refused, the forge does not grant it, or the answer cannot be understood.
    pub(crate) async fn sign_in<F, E>(&self, grant: impl FnOnce(Credential) -> F) -> Result<SignedIn, ClientError>
    where
        F: Future<Output = Result<Credential, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let act = "start a sign-in";
        let answer = send(act, self.http.get(self.url(START))).await?;
        let unclear = |answer: &str| ClientError::Unclear { act, answer: answer.to_owned() };
        if answer.status() != StatusCode::FOUND {
            return Err(unclear(&answer.status().to_string()));
        }
        let nonce = nonce(answer.headers()).ok_or_else(|| unclear("no cookie"))?;
        let forge = answer.headers().get(LOCATION).map(|url| Credential::new(url.as_bytes()));
        let forge = forge.ok_or_else(|| unclear("no redirect"))?;
        let back = grant(forge).await.map_err(|error| ClientError::Grant(error.into()))?;
        let back = back.expose_str().and_then(|url| Url::parse(url).ok()).ok_or(ClientError::Elsewhere)?;
        if back.origin() != self.base.origin() || back.path() != CALLBACK {
            return Err(ClientError::Elsewhere);
        }
        let act = "sign in";
        let answer = send(act, self.http.get(back).header(COOKIE, nonce)).await?;
        let page = body(act, answer).await?;
        evidence(act, frame::signed_in(&String::from_utf8_lossy(&page)))
    }

    /// Has Backstage read a catalog file, as in `https://FORGE/OWNER/REPOSITORY/blob/BRANCH/PATH`, with its token, and
    /// gives the names of the entities in it. Nothing is stored, and nothing is cached.
    ///
    /// # Errors
    /// When the token is refused, or the answer cannot be understood.
    pub(crate) async fn read_catalog_file(&self, target: &Url) -> Result<Vec<String>, ClientError> {
        let act = "read a catalog file";
        let location = serde_json::json!({ "type": "url", "target": target.as_str() }).to_string();
        let request = self.http.post(self.url(TRY_LOCATION)).header("Content-Type", "application/json").body(location);
        let answer = send(act, request).await?;
        match answer.status() {
            StatusCode::CREATED => evidence(act, frame::entities(&body(act, answer).await?)),
            StatusCode::BAD_REQUEST => evidence(act, Err(frame::read_error(&body(act, answer).await?))),
            status => Err(ClientError::Unclear { act, answer: status.to_string() }),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }
}

/// Sends a request. The library's error is not passed on: it has the URL, and with it a code or a client id.
async fn send(act: &'static str, request: RequestBuilder) -> Result<Response, ClientError> {
    request.send().await.map_err(|error| no_answer(act, &error))
}

async fn body(act: &'static str, answer: Response) -> Result<Vec<u8>, ClientError> {
    Ok(answer.bytes().await.map_err(|error| no_answer(act, &error))?.to_vec())
}

fn no_answer(act: &'static str, error: &reqwest::Error) -> ClientError {
    let reason = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    ClientError::NoAnswer { act, reason }
}

fn evidence<T>(act: &'static str, outcome: Outcome<T>) -> Result<T, ClientError> {
    outcome.map_err(|answered| match answered {
        Answered::Refused(auth_error) => ClientError::Refused { act, auth_error },
        Answered::Unclear(answer) => ClientError::Unclear { act, answer: answer.to_owned() },
    })
}

/// The cookie to send back, `NAME=VALUE`. Backstage first clears one of the same name.
fn nonce(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(SET_COOKIE).into_iter().filter_map(|cookie| cookie.to_str().ok());
    let pairs = cookies.filter_map(|cookie| cookie.split(';').next());
    pairs.filter(|pair| pair.starts_with(NONCE) && pair.len() > NONCE.len()).map(str::to_owned).next_back()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::http::{HeaderName, StatusCode as Status};
    use axum::routing::{get, post};
    use rstest::rstest;
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    const SET: HeaderName = HeaderName::from_static("set-cookie");

    /// Stands in for Backstage: redirects a sign-in to `forge.test`, and refuses the token for files.
    async fn server() -> (Client, JoinHandle<()>) {
        let start = || async {
            let headers = [
                (SET, "github-nonce=; Max-Age=0; Path=/api/auth/github"),
                (SET, "github-nonce=a%2Bb%3D%3D; Max-Age=600; HttpOnly"),
                (HeaderName::from_static("location"), "https://forge.test/login/oauth/authorize?state=1"),
            ];
            let mut answer = axum::response::Response::new(axum::body::Body::empty());
            *answer.status_mut() = Status::FOUND;
            for (name, value) in headers {
                answer.headers_mut().append(name, value.parse().unwrap());
            }
            answer
        };
        let frame = |headers: axum::http::HeaderMap| async move {
            assert_eq!(headers["cookie"], "github-nonce=a%2Bb%3D%3D");
            "var authResponse = decodeURIComponent('%7B%22error%22%3A%7B%22message%22%3A\
             %22Authentication%20failed%2C%20invalid%20client%20secret%22%7D%7D');"
        };
        let refuse = || async {
            let message = "Error: Unable to read url, Request failed for https://f/hunter2, 401 Unauthorized";
            (Status::BAD_REQUEST, serde_json::json!({ "error": { "message": message } }).to_string())
        };
        let routes = Router::new()
            .route("/api/auth/github/start", get(start))
            .route(CALLBACK, get(frame))
            .route("/api/catalog/locations", post(refuse));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let base = Url::parse(&format!("http://backstage.test:{port}")).unwrap();
        (Client::new(base, Ipv4Addr::LOCALHOST.into()).unwrap(), server)
    }

    #[tokio::test]
    async fn a_sign_in_goes_to_the_forge_and_back_with_the_cookie() {
        let (client, server) = server().await;
        let back = client.base.join("/api/auth/github/handler/frame?code=c&state=1").unwrap();
        let error = client
            .sign_in(|forge| async move {
                assert_eq!(forge.expose(), b"https://forge.test/login/oauth/authorize?state=1");
                Ok::<_, ClientError>(Credential::new(back.as_str()))
            })
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::Refused { auth_error: AuthError::Client, .. }), "{error}");
        server.abort();
    }

    #[rstest]
    #[case::another_host("http://evil.test/api/auth/github/handler/frame?code=c")]
    #[case::another_path("http://backstage.test/api/auth/other/handler/frame?code=c")]
    #[case::no_url("")]
    #[tokio::test]
    async fn a_forge_that_redirects_elsewhere_gets_no_further(#[case] elsewhere: &str) {
        let (client, server) = server().await;
        let error = client.sign_in(|_| async { Ok::<_, ClientError>(Credential::new(elsewhere)) }).await.unwrap_err();
        assert!(matches!(error, ClientError::Elsewhere), "{error}");
        server.abort();
    }

    #[tokio::test]
    async fn a_refused_file_is_told_without_what_backstage_said() {
        let (client, server) = server().await;
        let target = Url::parse("https://forge.test/o/r/blob/main/catalog-info.yaml").unwrap();
        let error = client.read_catalog_file(&target).await.unwrap_err();
        assert_eq!(error.to_string(), "failed to read a catalog file: the forge answered 401");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        server.abort();
    }

    #[tokio::test]
    async fn a_backstage_that_is_not_there_is_not_ready() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        let client = Client::new(base, Ipv4Addr::LOCALHOST.into()).unwrap();
        assert!(!client.is_ready().await);
        let error = client.wait_until_ready(Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().ends_with("last seen: failed to ask for readiness: no connection"), "{error}");
    }
}
