//! Waits and holds against an API server of a few lines on the loopback interface, which can be stopped, cut off and made to forget.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::routing::{get, patch, post};
use credence_core::text::Reason;
use futures::{StreamExt, future, stream};
use kube::{Client, Config};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::*;
use crate::observer::FenceError;

const WINDOW: Duration = Duration::from_millis(300);
/// Longer than it takes until a watch that was cut off has listed anew.
const LONG: Duration = Duration::from_millis(1500);

/// Events that go out on every watch of a kind.
#[derive(Debug, Clone)]
enum Sent {
    Event(Value),
    /// The connection breaks in the middle of an answer.
    Cut,
}

#[derive(Default)]
struct Kind {
    objects: BTreeMap<String, Value>,
    /// Every change with its version, for watches that go on where they were.
    changes: Vec<(u64, Sent)>,
    watchers: Option<broadcast::Sender<Sent>>,
}

#[derive(Clone)]
struct Fake {
    kinds: Arc<Mutex<BTreeMap<String, Kind>>>,
    version: Arc<Mutex<u64>>,
    stopped: watch::Sender<bool>,
}

type Parameters = Query<BTreeMap<String, String>>;

impl Fake {
    async fn start() -> (Self, Client) {
        let fake = Self { kinds: Arc::default(), version: Arc::new(Mutex::new(1)), stopped: watch::Sender::new(false) };
        let routes = Router::new()
            .route("/api/v1/{kind}", get(list).post(create))
            .route("/apis/external-secrets.io/v1/{kind}", get(list))
            .route("/api/v1/{kind}/{name}", patch(write).get(read))
            .route("/api/v1/namespaces/{namespace}/{kind}", post(create_inside))
            .route("/api/v1/namespaces/{namespace}/{kind}/{name}", patch(write_inside))
            .route("/apis/external-secrets.io/v1/namespaces/{namespace}/{kind}", post(create_inside))
            .route("/apis/external-secrets.io/v1/namespaces/{namespace}/{kind}/{name}", patch(write_inside))
            .with_state(fake.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
        (fake, client)
    }

    /// Stops answering until the guard is dropped, as a process does that is sent SIGSTOP.
    fn stop(&self) -> impl Drop {
        struct Guard(watch::Sender<bool>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.send_replace(false);
            }
        }
        self.stopped.send_replace(true);
        Guard(self.stopped.clone())
    }

    async fn runs(&self) {
        self.stopped.subscribe().wait_for(|stopped| !stopped).await.ok();
    }

    fn send(&self, kind: &str, sent: Sent) {
        if let Some(watchers) = &self.kinds.lock().unwrap().entry(kind.to_owned()).or_default().watchers {
            watchers.send(sent).ok();
        }
    }

    /// Puts an object in place under a new version, and tells the watches.
    fn put(&self, kind: &str, key: &str, mut object: Value) -> Value {
        let mut version = self.version.lock().unwrap();
        *version += 1;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let mut kinds = self.kinds.lock().unwrap();
        let changed = kinds.entry(kind.to_owned()).or_default();
        changed.objects.insert(key.to_owned(), object.clone());
        let event = Sent::Event(json!({ "type": "MODIFIED", "object": object }));
        changed.changes.push((*version, event.clone()));
        drop(kinds);
        self.send(kind, event);
        object
    }

    fn secret(&self, name: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "team" } })
    }
}

async fn list(State(fake): State<Fake>, Path(kind): Path<String>, Query(query): Parameters) -> Body {
    fake.runs().await;
    if query.contains_key("watch") {
        let from: u64 = query["resourceVersion"].parse().unwrap();
        let (before, receiver) = {
            let mut kinds = fake.kinds.lock().unwrap();
            let watched = kinds.entry(kind).or_default();
            let before: Vec<Sent> =
                watched.changes.iter().filter(|(version, _)| *version > from).map(|(_, sent)| sent.clone()).collect();
            (before, watched.watchers.get_or_insert_with(|| broadcast::Sender::new(64)).subscribe())
        };
        let sent = stream::iter(before).chain(stream::unfold(receiver, |mut receiver| async move {
            let sent = receiver.recv().await.ok()?;
            Some((sent, receiver))
        }));
        let lines = sent
            .then(move |sent| {
                let fake = fake.clone();
                async move {
                    fake.runs().await;
                    sent
                }
            })
            .map(|sent| match sent {
                Sent::Event(event) => Ok(Bytes::from(format!("{event}\n"))),
                Sent::Cut => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            });
        return Body::from_stream(lines);
    }
    let items: Vec<Value> = fake.kinds.lock().unwrap().entry(kind).or_default().objects.values().cloned().collect();
    let version = fake.version.lock().unwrap().to_string();
    json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": version }, "items": items })
        .to_string()
        .into()
}

async fn read(State(fake): State<Fake>, Path((kind, name)): Path<(String, String)>) -> Body {
    fake.runs().await;
    fake.kinds.lock().unwrap()[&kind].objects[&name].to_string().into()
}

async fn create(State(fake): State<Fake>, Path(kind): Path<String>, body: String) -> Body {
    fake.runs().await;
    let object: Value = serde_json::from_str(&body).unwrap();
    let key = object["metadata"]["name"].as_str().unwrap().to_owned();
    fake.put(&kind, &key, object).to_string().into()
}

async fn create_inside(
    State(fake): State<Fake>,
    Path((namespace, kind)): Path<(String, String)>,
    body: String,
) -> Body {
    fake.runs().await;
    let mut object: Value = serde_json::from_str(&body).unwrap();
    object["metadata"]["namespace"] = namespace.clone().into();
    let key = format!("{namespace}/{}", object["metadata"]["name"].as_str().unwrap());
    fake.put(&kind, &key, object).to_string().into()
}

async fn write(State(fake): State<Fake>, Path((kind, name)): Path<(String, String)>, body: String) -> Body {
    patched(&fake, &kind, &name, &body).await
}

async fn write_inside(
    State(fake): State<Fake>,
    Path((namespace, kind, name)): Path<(String, String, String)>,
    body: String,
) -> Body {
    patched(&fake, &kind, &format!("{namespace}/{name}"), &body).await
}

async fn patched(fake: &Fake, kind: &str, key: &str, body: &str) -> Body {
    fake.runs().await;
    let mut object = fake.kinds.lock().unwrap()[kind].objects[key].clone();
    let patch: Value = serde_json::from_str(body).unwrap();
    object["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
    fake.put(kind, key, object).to_string().into()
}

async fn observe(client: &Client) -> Result<Observer, FenceError> {
    Observer::start(client).await.unwrap().fenced(client, "credence-test-fence", &BTreeMap::new()).await
}

/// Objects to any Secret of the team.
fn no_secret(view: &View<'_>) -> Result<(), Reason> {
    match view.secrets("team").next() {
        Some((name, _)) => Err(format!("there is {name}").into()),
        None => Ok(()),
    }
}

/// Does `meanwhile` in the middle of a hold, and gives what came of the hold.
async fn hold_while(window: Duration, meanwhile: impl AsyncFnOnce(&Fake)) -> Result<(), WaitError> {
    let (fake, client) = Fake::start().await;
    let observer = observe(&client).await.unwrap();
    let disturb = async {
        pass(window / 3).await;
        meanwhile(&fake).await;
    };
    tokio::join!(hold(&observer, "no secret", window, no_secret), disturb).0
}

/// Does `meanwhile` in the middle of a wait for a Secret, and gives what came of the wait.
async fn wait_while(window: Duration, meanwhile: impl AsyncFnOnce(&Fake)) -> Result<(), WaitError> {
    let (fake, client) = Fake::start().await;
    let observer = observe(&client).await.unwrap();
    let disturb = async {
        pass(window / 3).await;
        meanwhile(&fake).await;
    };
    let a_secret =
        |view: &View<'_>| no_secret(view).map_or(Progress::Done(()), |()| Progress::NotYet("none".to_owned()));
    tokio::join!(until(&observer, "a secret", window, a_secret), disturb).0
}

fn expired() -> Sent {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
        "message": "too old resource version" });
    Sent::Event(json!({ "type": "ERROR", "object": status }))
}

#[tokio::test]
async fn an_absence_holds_while_the_watches_see() {
    hold_while(WINDOW, async |_| ()).await.unwrap();
}

#[tokio::test]
async fn what_appears_and_goes_in_a_window_is_an_objection() {
    let held = hold_while(WINDOW, async |fake| drop(fake.put("secrets", "team/a", fake.secret("a")))).await;
    assert!(matches!(held, Err(WaitError::Impossible { .. })), "{held:?}");
}

#[tokio::test]
async fn an_api_server_that_stands_still_shows_no_absence() {
    let held = hold_while(WINDOW, async |fake| {
        let stopped = fake.stop();
        pass(WINDOW + Duration::from_secs(1)).await;
        drop(stopped);
    })
    .await;
    assert!(matches!(held, Err(WaitError::WatchStale { .. })), "{held:?}");
}

#[tokio::test]
async fn a_watch_that_was_cut_goes_on_where_it_was_before_an_absence_counts() {
    let held = hold_while(WINDOW, async |fake| {
        fake.send("secrets", Sent::Cut);
        fake.put("secrets", "team/a", fake.secret("a"));
    })
    .await;
    assert!(matches!(held, Err(WaitError::Impossible { .. })), "{held:?}");
}

#[tokio::test]
async fn a_watch_whose_place_is_forgotten_shows_no_absence() {
    let held = hold_while(LONG, async |fake| fake.send("secrets", expired())).await;
    assert!(matches!(held, Err(WaitError::WatchStale { .. })), "{held:?}");
}

#[tokio::test]
async fn an_api_server_that_stood_still_for_a_part_of_a_window_shows_no_absence() {
    let held = hold_while(LONG, async |fake| {
        let stopped = fake.stop();
        pass(WINDOW * 2).await;
        drop(stopped);
    })
    .await;
    assert!(matches!(held, Err(WaitError::WatchStale { .. })), "{held:?}");
}

#[tokio::test]
async fn a_time_out_while_the_watches_see_is_one() {
    let ended = wait_while(WINDOW, async |_| ()).await;
    assert!(matches!(ended, Err(WaitError::TimedOut { .. })), "{ended:?}");
}

#[rstest]
#[case::from_before_the_deadline_on(Duration::from_secs(2))]
#[case::across_the_deadline(WINDOW)]
#[case::before_the_deadline(Duration::from_millis(700))]
#[tokio::test]
async fn a_deadline_that_passes_while_the_api_server_stands_still_is_no_time_out(#[case] stands_still: Duration) {
    let window = if stands_still == WINDOW { WINDOW } else { LONG };
    let ended = wait_while(window, async |fake| {
        let stopped = fake.stop();
        pass(stands_still).await;
        drop(stopped);
    })
    .await;
    assert!(matches!(ended, Err(WaitError::WatchStale { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_deadline_that_passes_after_a_watch_was_listed_anew_is_no_time_out() {
    let ended = wait_while(LONG, async |fake| fake.send("secrets", expired())).await;
    assert!(matches!(ended, Err(WaitError::WatchStale { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_deadline_that_passes_after_a_watch_went_on_where_it_was_is_a_time_out() {
    let ended = wait_while(LONG, async |fake| fake.send("secrets", Sent::Cut)).await;
    assert!(matches!(ended, Err(WaitError::TimedOut { .. })), "{ended:?}");
}

#[tokio::test]
async fn what_is_in_sight_after_an_interruption_is_there() {
    wait_while(LONG, async |fake| {
        fake.send("secrets", Sent::Cut);
        fake.put("secrets", "team/a", fake.secret("a"));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_question_that_an_api_server_leaves_open_has_not_timed_out() {
    let (fake, client) = Fake::start().await;
    let observer = observe(&client).await.unwrap();
    let ask = || {
        let no = async || Progress::<()>::NotYet("no".to_owned());
        poll_cluster(&observer, "an answer", WINDOW, Duration::from_millis(50), no)
    };
    assert!(matches!(ask().await, Err(WaitError::TimedOut { .. })));
    let stopped = fake.stop();
    assert!(matches!(ask().await, Err(WaitError::WatchStale { .. })));
    drop(stopped);
}

/// Does `meanwhile` beside a recording, and gives what was recorded, if that is all.
async fn record_while(meanwhile: impl AsyncFnOnce(&Fake)) -> Result<Vec<String>, WaitError> {
    let (fake, client) = Fake::start().await;
    let observer = observe(&client).await.unwrap();
    let mut recording = observer.record("team");
    meanwhile(&fake).await;
    recording.complete(&observer, "what was recorded").await?;
    Ok(std::iter::from_fn(|| recording.next_event()).map(|event| event.name).collect())
}

#[tokio::test]
async fn a_recording_is_complete_once_a_later_write_has_come_through() {
    let recorded = record_while(async |fake| drop(fake.put("secrets", "team/a", fake.secret("a")))).await;
    assert_eq!(recorded.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_recording_whose_watch_forgot_its_place_is_never_complete() {
    let recorded = record_while(async |fake| {
        fake.send("secrets", expired());
        pass(WINDOW).await;
    })
    .await;
    assert!(matches!(recorded, Err(WaitError::WatchStale { .. })), "{recorded:?}");
}

#[tokio::test]
async fn a_recording_of_an_api_server_that_stands_still_is_not_complete() {
    let recorded = record_while(async |fake| std::mem::forget(fake.stop())).await;
    assert!(matches!(recorded, Err(WaitError::WatchStale { .. })), "{recorded:?}");
}

#[tokio::test]
async fn those_who_wait_at_the_same_time_share_a_write() {
    let (fake, client) = Fake::start().await;
    let observer = observe(&client).await.unwrap();
    let before = *fake.version.lock().unwrap();
    let holds = (0..20).map(|_| hold(&observer, "no secret", WINDOW, no_secret));
    assert!(future::join_all(holds).await.iter().all(Result::is_ok));
    let writes = *fake.version.lock().unwrap() - before;
    assert!(writes <= 6, "{writes} writes");
}
