//! Records of requests, while they are in memory and after.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use tempfile::TempDir;

use super::super::offer::Offered;
use super::*;

/// A log, and where its file is.
fn log() -> (TempDir, Arc<RequestLog>) {
    let directory = tempfile::tempdir().unwrap();
    let evidence = Evidence::create(&directory.path().join("requests.jsonl")).unwrap();
    (directory, RequestLog::new("n".into(), evidence))
}

fn request(path: &str) -> Request {
    Request {
        at: SystemTime::UNIX_EPOCH,
        host: "github.com".into(),
        method: "GET".into(),
        path: path.into(),
        query: BTreeMap::new(),
        agent: String::new(),
        offered: Offered::Nothing,
        status: None,
        caller: Caller::Unknown,
    }
}

#[tokio::test]
async fn a_request_is_complete_with_its_line_and_its_answer_in_either_order() {
    let (_directory, log) = log();
    let mark = log.mark();
    let (first, second) = (log.begin(request("/1"), false), log.begin(request("/2"), false));
    log.line("n-0 200 ada");
    drop(first);
    drop(second);
    log.line("n-1 401 -");
    let seen = log.since(&mark).await;
    assert_eq!(seen[0].caller, Caller::User("ada".into()));
    assert_eq!((seen[1].status, &seen[1].caller), (Some(401), &Caller::Anonymous));
}

#[tokio::test]
async fn a_mark_hides_what_began_before_it() {
    let (_directory, log) = log();
    let beginning = log.mark();
    let first = log.begin(request("/1"), false);
    let mark = log.mark();
    assert_eq!(log.since(&mark).await, vec![]);
    drop(first);
    log.line("n-0 200 ada");
    assert_eq!((log.since(&beginning).await.len(), log.since(&mark).await.len()), (1, 0));
}

#[tokio::test]
async fn at_the_registry_the_access_log_names_nobody() {
    let (_directory, log) = log();
    let beginning = log.mark();
    drop(log.begin(request("/v2/"), true));
    let told = log.begin(request("/v2/token"), true);
    told.tell(Caller::User("ada".into()));
    drop(told);
    log.line("n-0 200 -");
    log.line("n-1 200 -");
    let seen = log.since(&beginning).await;
    assert_eq!(seen[0].caller, Caller::Unknown);
    assert_eq!(seen[1].caller, Caller::User("ada".into()));
}

#[tokio::test]
async fn a_line_with_a_strange_id_changes_nothing() {
    let (_directory, log) = log();
    let beginning = log.mark();
    let pending = log.begin(request("/1"), false);
    log.line("m-0 200 eve");
    log.line("n-7 200 eve");
    log.line("");
    pending.unreached();
    drop(pending);
    assert_eq!(log.since(&beginning).await, vec![request("/1")]);
}

#[tokio::test]
async fn the_end_of_the_access_log_completes_everything() {
    let (_directory, log) = log();
    let beginning = log.mark();
    drop(log.begin(request("/1"), false));
    log.end();
    assert_eq!(log.since(&beginning).await, vec![request("/1")]);
}

#[tokio::test]
async fn a_wait_that_fails_says_what_it_saw_last() {
    let (_directory, log) = log();
    let beginning = log.mark();
    drop(log.begin(request("/1"), false));
    log.line("n-0 404 -");
    let within = Duration::from_millis(1);
    let error = log.wait_for(&beginning, "a clone", within, |seen| seen.path == "/2").await.unwrap_err();
    let text = error.to_string();
    assert!(text.ends_with("last seen: 1 requests, the last GET github.com/1 with status 404"), "{text}");
}

/// The numbers of the requests that are in memory.
fn kept(log: &RequestLog) -> Vec<usize> {
    log.state().entries.keys().copied().collect()
}

/// Lines of the file for each request, in its order: number, path and status.
fn written(log: &RequestLog) -> Vec<(u64, String, u64)> {
    let text = fs::read_to_string(log.write_all().unwrap()).unwrap();
    let lines = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| line[key].as_u64().unwrap_or_default();
        (number("number"), line["path"].as_str().unwrap().to_owned(), number("status"))
    });
    lines.collect()
}

#[tokio::test]
async fn what_nobody_can_ask_for_is_in_the_file_and_not_in_memory() {
    let (_directory, log) = log();
    let (first, second) = (log.mark(), log.mark());
    drop(log.begin(request("/1"), false));
    log.line("n-0 200 ada");
    drop(first);
    assert_eq!((kept(&log), log.since(&second).await.len()), (vec![0], 1));
    let third = log.mark();
    drop(log.begin(request("/2"), false));
    let open = log.begin(request("/3"), false);
    log.line("n-1 404 -");
    drop(second);
    assert_eq!(kept(&log), [1, 2]);
    drop(third);
    assert_eq!(kept(&log), [2]);
    log.line("n-2 401 -");
    drop(open);
    assert!(kept(&log).is_empty());
    assert_eq!(log.state().held, BTreeMap::new());
    let expected = [(0, "/1", 200), (1, "/2", 404), (2, "/3", 401)];
    assert_eq!(written(&log), expected.map(|(number, path, status)| (number, path.to_owned(), status)));
}

#[test]
fn what_never_completes_is_in_the_file_at_the_end() {
    let (_directory, log) = log();
    let open = log.begin(request("/1"), false);
    drop(log.begin(request("/2"), false));
    log.line("n-1 200 ada");
    assert_eq!(written(&log), [(1, "/2".to_owned(), 200), (0, "/1".to_owned(), 0)]);
    // It is there once, even if something comes of it.
    log.line("n-0 200 ada");
    drop(open);
    assert_eq!(written(&log).len(), 2);
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_at_the_end() {
    // Every write to this device fails for want of space, full(4).
    let log = RequestLog::new("n".into(), Evidence::create(Path::new("/dev/full")).unwrap());
    drop(log.begin(request("/1"), false));
    log.line("n-0 200 ada");
    let (path, error) = log.evidence().await.unwrap_err();
    assert_eq!((path.as_path(), error.kind()), (Path::new("/dev/full"), io::ErrorKind::StorageFull));
}
