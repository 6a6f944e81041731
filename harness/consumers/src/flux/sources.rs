//! Sources: what they ask for, and what source-controller answers.

use std::fmt;

use credence_core::formats::flux::{GIT_REPOSITORY, GROUP, OCI_REPOSITORY};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::objects;
use crate::controller_objects;
use crate::git_error::{Cause, Message};

/// The reason of a source that asks nobody, as it gets no login out of its Secret or has none (`AuthenticationFailedReason`
/// of `api/v1/condition_types.go`).
const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
/// The reasons of a source whose server gave nothing (`GitOperationFailedReason` of `gitrepository_types.go`,
/// `OCIPullFailedReason` of `ocirepository_types.go`).
const FETCH_FAILED: [&str; 2] = ["GitOperationFailed", "OCIArtifactPullFailed"];

/// The sources of Flux that log in with a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A branch of a Git repository.
    Git,
    /// A tag in a registry.
    Oci,
}

impl Kind {
    /// Name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Git => GIT_REPOSITORY,
            Self::Oci => OCI_REPOSITORY,
        }
    }
}

/// A source to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source<'a> {
    pub(crate) kind: Kind,
    /// The namespace in which Flux looks for the Secret.
    pub(crate) namespace: &'a str,
    /// Its name, which none in the namespace has.
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
    /// The branch, or the tag.
    pub(crate) reference: &'a str,
    /// The Secret that it names, if it names one.
    pub(crate) secret: Option<&'a str>,
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// Why a source was not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Its Secret is absent, or holds no login that Flux takes; what the controller says.
    NoLogin(String),
    /// Its server refused it.
    Refused { reason: String, cause: Cause },
    /// Something else, which another try may get past; what the controller says.
    Other(String),
}

/// A source as the API server holds it. That it was fetched is Flux's own word and no evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceSeen {
    /// The revision that was fetched, or why none was; none while that is not known.
    fetched: Option<Result<String, Failure>>,
}

impl SourceSeen {
    /// The revision that was fetched, or why none was; none while that is not known.
    pub(crate) fn fetched(&self) -> Option<Result<&str, &Failure>> {
        Some(self.fetched.as_ref()?.as_ref().map(String::as_str))
    }

    pub(super) fn of(object: &DynamicObject) -> Self {
        let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        let Some(ready) = ready else { return Self::default() };
        let text = |key: &str| ready[key].as_str().unwrap_or_default();
        let fetched = match text("status") {
            "True" => {
                let revision = object.data.pointer("/status/artifact/revision").and_then(Value::as_str);
                revision.map(|revision| Ok(revision.to_owned()))
            }
            "False" => Some(Err(Failure::of(text("reason"), text("message")))),
            _ => None,
        };
        Self { fetched }
    }
}

impl Failure {
    fn of(reason: &str, message: &str) -> Self {
        // An API server that does not give a Secret has not said that there is none.
        let is_unread = message.contains("failed to get secret") && !message.contains(" not found");
        let said = Message::new(message);
        let text = format!("{reason}: {}", said.text);
        match said.cause {
            _ if reason == AUTHENTICATION_FAILED && !is_unread => Self::NoLogin(text),
            Cause::Other => Self::Other(text),
            cause if FETCH_FAILED.contains(&reason) => Self::Refused { reason: reason.to_owned(), cause },
            _ => Self::Other(text),
        }
    }
}

pub(super) fn api(client: &Client, source: &Source<'_>) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), source.namespace, &resource(source.kind))
}

pub(super) fn resource(kind: Kind) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", kind.name()))
}

/// The object. Flux looks at it again only when that fails.
pub(super) fn object(source: &Source<'_>) -> Value {
    let Source { kind, namespace, name, url, reference, secret } = *source;
    let mut spec = match kind {
        Kind::Git => json!({ "url": url, "ref": { "branch": reference } }),
        // What is fetched is an image, whose layer is of no use unpacked.
        Kind::Oci => json!({ "url": format!("oci://{url}"), "ref": { "tag": reference },
            "layerSelector": { "operation": "copy" } }),
    };
    // Longer than any run.
    spec["interval"] = json!("240h");
    if let Some(secret) = secret {
        spec["secretRef"] = json!({ "name": secret });
    }
    json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": kind.name(),
        "metadata": { "name": name, "namespace": namespace, "labels": controller_objects::labels() },
        "spec": spec,
    })
}

/// Binding that lets the controller, whose own namespace is `namespace`, read Secrets for one source.
pub(super) fn binding(source: &Source<'_>, namespace: &str) -> Value {
    let name = binding_name(source.name);
    controller_objects::binding(source.namespace, &name, objects::READ_SECRETS, (namespace, objects::ACCOUNT))
}

pub(super) fn binding_name(source: &str) -> String {
    format!("flux-{source}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn seen(status: &str, reason: &str, message: &str) -> SourceSeen {
        let object = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "a" }, "status": {
                "artifact": { "revision": "main@sha1:0a1b" },
                "conditions": [
                    { "type": "Reconciling", "status": "True", "reason": "x", "message": "" },
                    { "type": "Ready", "status": status, "reason": reason, "message": message },
                ] } });
        SourceSeen::of(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_source_is_fetched_when_it_is_ready_and_not_before() {
        assert_eq!(seen("True", "Succeeded", "").fetched(), Some(Ok("main@sha1:0a1b")));
        assert_eq!(seen("Unknown", "Progressing", "").fetched(), None);
    }

    #[rstest]
    #[case::wrong_login(
        "GitOperationFailed",
        "failed to checkout and determine revision: unable to clone 'https://g.io/o/r': authentication required: Unauthorized",
        "Refused { reason: \"GitOperationFailed\", cause: Unauthenticated }"
    )]
    #[case::hidden(
        "GitOperationFailed",
        "failed to checkout and determine revision: unable to clone 'https://g.io/o/r': repository not found: x",
        "Refused { reason: \"GitOperationFailed\", cause: NotFound }"
    )]
    #[case::registry(
        "OCIArtifactPullFailed",
        "failed to determine artifact digest: GET https://r.io/v2/o/i/manifests/t: UNAUTHORIZED: hunter2",
        "Refused { reason: \"OCIArtifactPullFailed\", cause: Unauthenticated }"
    )]
    #[case::no_server(
        "GitOperationFailed",
        "failed to checkout and determine revision: unable to clone 'https://g.io/o/r': connection refused",
        "Other(\"GitOperationFailed: failed to checkout"
    )]
    #[case::no_secret(
        "AuthenticationFailed",
        "failed to get secret 'n/a': secrets \"a\" not found",
        "NoLogin(\"AuthenticationFailed: failed to get secret"
    )]
    #[case::no_username(
        "AuthenticationFailed",
        "failed to configure authentication options: invalid 'https' auth option: 'password' requires 'username' to be set",
        "NoLogin(\"AuthenticationFailed: failed to configure"
    )]
    #[case::right_that_is_late(
        "AuthenticationFailed",
        "failed to get secret 'n/a': secrets \"a\" is forbidden: User \"u\" cannot get resource",
        "Other(\"AuthenticationFailed: failed to get secret"
    )]
    #[case::storage("ArchiveOperationFailed", "no space left on device", "Other(\"ArchiveOperationFailed: no space")]
    fn a_failure_tells_who_refused_and_no_value(#[case] reason: &str, #[case] message: &str, #[case] shown: &str) {
        let seen = seen("False", reason, message);
        let told = format!("{:?}", seen.fetched().unwrap().unwrap_err());
        assert!(told.starts_with(shown) && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_source_names_its_secret_only_if_it_has_one() {
        let source = Source {
            kind: Kind::Oci,
            namespace: "n",
            name: "a",
            url: "r.io/o/i",
            reference: "step-1",
            secret: Some("pull"),
        };
        assert_eq!(object(&source)["spec"]["secretRef"], json!({ "name": "pull" }));
        assert_eq!(object(&source)["spec"]["url"], "oci://r.io/o/i");
        assert!(object(&Source { secret: None, ..source })["spec"].get("secretRef").is_none());
    }
}
