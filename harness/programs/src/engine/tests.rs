use rstest::rstest;

use super::fake::Fake;
use super::*;

const CLIENT: &str = r#""Client":{"Version":"28.2.2","ApiVersion":"1.50"}"#;

fn server(version: &str, api: &str) -> String {
    format!(r#"echo '{{{CLIENT},"Server":{{"Version":"{version}","ApiVersion":"{api}"}}}}'"#)
}

/// Output of Docker's client without a daemon: it prints its own version, complains and fails.
fn without_server(said: &str) -> String {
    format!("echo '{{{CLIENT},\"Server\":null}}'; echo '{said}' >&2; exit 1")
}

#[tokio::test]
async fn docker_is_known_by_its_daemon() {
    let engine = Fake::docker(&server("20.10.24+dfsg1", "1.41")).find().await.unwrap();
    assert_eq!((engine.name(), engine.version()), (Name::Docker, "20.10.24+dfsg1"));
}

#[tokio::test]
async fn podman_needs_no_daemon_and_may_be_called_docker() {
    let act = r#"echo '{"Client":{"APIVersion":"4.3.1","Version":"4.3.1"}}'"#;
    let engine = Fake::new("podman version 4.3.1", act).find().await.unwrap();
    assert_eq!((engine.name(), engine.version()), (Name::Podman, "4.3.1"));
    assert_eq!(engine.name().as_str(), "podman");
}

#[rstest]
#[case::docker(
    Fake::docker(&server("19.03.15", "1.40")),
    "failed to use Docker 19.03.15: too old for kind, 20.10 (API 1.41) or newer is needed; upgrade it"
)]
#[case::podman(
    Fake::new("podman version 3.4.4", r#"echo '{"Client":{"APIVersion":"3.4.4","Version":"3.4.4"}}'"#),
    "failed to use Podman 3.4.4: too old for kind, 4.0 or newer is needed; upgrade it"
)]
#[case::rights(
    Fake::docker(&without_server("permission denied while trying to connect to the Docker daemon socket")),
    "failed to use Docker: this user may not use its socket (permission denied while trying to connect to the Docker \
     daemon socket); add the user to the group docker and log in again, or run credence as root"
)]
#[case::no_daemon(
    Fake::docker(&without_server("Cannot connect to the Docker daemon. Is the docker daemon running?")),
    "failed to reach the daemon of Docker (Cannot connect to the Docker daemon. Is the docker daemon running?); \
     start it, for example with `systemctl start docker`, or point DOCKER_HOST to one that runs"
)]
#[tokio::test]
async fn what_cannot_be_used_says_the_next_step(#[case] fake: Fake, #[case] expected: &str) {
    assert_eq!(fake.find().await.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn another_program_is_no_engine() {
    let error = Engine::find(Some(Path::new("/bin/echo"))).await.unwrap_err();
    assert!(error.to_string().starts_with("failed to use /bin/echo: it answers `--version` with \"echo "), "{error}");
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    let error = Engine::find(Some(Path::new("/nowhere/docker"))).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to run /nowhere/docker; name the command of Docker or Podman");
}

#[tokio::test]
async fn a_command_that_fails_is_an_error_with_its_last_lines() {
    let fake = Fake::usable("case $1 in images) echo one; echo two ;; *) seq 20 >&2; exit 3 ;; esac");
    let engine = fake.find().await.unwrap();
    assert_eq!(engine.output("list the images", &["images"]).await.unwrap(), b"one\ntwo\n");
    let error = engine.output("remove it", &["rm"]).await.unwrap_err().to_string();
    assert!(error.starts_with("failed to remove it with Docker, exit status: 3:\n9\n10\n"), "{error}");
    assert!(error.ends_with("\n20"), "{error}");
}

#[tokio::test]
async fn a_command_that_hangs_is_an_error_with_the_next_step() {
    let fake = Fake::usable("exec sleep 600");
    let engine = fake.find().await.unwrap();
    let error = engine.output_within(Duration::from_millis(50), "list the images", &["images"]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to list the images with Docker: no answer within 0 s; restart its daemon, and run again"
    );
}

#[rstest]
#[case("1.41", Some((1, 41)))]
#[case("4.3.1-dev", Some((4, 3)))]
#[case("5.0.0+ds1", Some((5, 0)))]
#[case("1", None)]
#[case("", None)]
fn versions_are_compared_by_their_first_two_numbers(#[case] version: &str, #[case] expected: Option<(u32, u32)>) {
    assert_eq!(numbers(version), expected);
}
