//! A request to the API server as data, and what its answer says about access.

use std::fmt;
use std::sync::LazyLock;

use credence_report::route::RouteEnd;
use http::Method;
use http::header::CONTENT_TYPE;
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use regex::Regex;
use serde_json::{Value, json};

use crate::testbed::denial;

/// Path of the core API.
pub(super) const CORE: &str = "/api/v1";
/// Group of Roles and their bindings.
pub(super) const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
/// Group of the objects that External Secrets Operator distributes by.
pub(super) const EXTERNAL_SECRETS: &str = "/apis/external-secrets.io/v1";
/// Group of the objects that it pushes by.
pub(super) const PUSH_SECRETS: &str = "/apis/external-secrets.io/v1alpha1";
/// Group of the operator's generators.
pub(super) const GENERATORS: &str = "/apis/generators.external-secrets.io/v1alpha1";

/// The parameter of a request that changes nothing.
const DRY: &str = "dryRun=All";
/// The parameter of a request that applies, which says who does.
const APPLY: &str = "fieldManager=credence-tenant";

/// Path of the objects of a kind, in a namespace or in the cluster.
pub(super) fn collection(api: &str, namespace: Option<&str>, resource: &str) -> String {
    match namespace {
        Some(namespace) => format!("{api}/namespaces/{namespace}/{resource}"),
        None => format!("{api}/{resource}"),
    }
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: Vec<&'static str>,
    body: Option<Value>,
    /// The user to act as, and further groups of that user.
    impersonate: Option<(String, Vec<&'static str>)>,
}

impl Call {
    fn new(method: Method, path: String, body: Option<Value>) -> Self {
        Self { method, path, query: Vec::new(), body, impersonate: None }
    }

    /// Reads an object, or lists a collection.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into(), None)
    }

    /// Watches a collection for a second.
    pub(super) fn watch(path: impl Into<String>) -> Self {
        Self { query: vec!["watch=true", "timeoutSeconds=1"], ..Self::get(path) }
    }

    /// Creates an object in a collection.
    pub(super) fn create(collection: impl Into<String>, object: Value) -> Self {
        Self::new(Method::POST, collection.into(), Some(object))
    }

    /// Merges a patch into an object.
    pub(super) fn patch(path: impl Into<String>, patch: Value) -> Self {
        Self::new(Method::PATCH, path.into(), Some(patch))
    }

    /// Writes this object's specification into one that exists. `None` if this creates none.
    pub(super) fn afterwards(&self) -> Option<Self> {
        let spec = self.body.as_ref()?.get("spec")?;
        let operation = json!([{ "op": "replace", "path": "/spec", "value": spec }]);
        Some(Self::new(Method::PATCH, self.created()?, Some(operation)))
    }

    pub(super) fn replace(path: impl Into<String>, object: Value) -> Self {
        Self::new(Method::PUT, path.into(), Some(object))
    }

    /// Applies an object on the server's side.
    pub(super) fn apply(path: impl Into<String>, object: Value) -> Self {
        Self { query: vec![APPLY], ..Self::new(Method::PATCH, path.into(), Some(object)) }
    }

    /// Deletes an object without delay.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self { query: vec!["gracePeriodSeconds=0"], ..Self::new(Method::DELETE, path.into(), None) }
    }

    /// The same request in the name of `user`.
    pub(super) fn acting_as(mut self, user: impl Into<String>, groups: Vec<&'static str>) -> Self {
        self.impersonate = Some((user.into(), groups));
        self
    }

    /// The same request, which is judged in every way and then changes nothing.
    pub(super) fn dry_run(mut self) -> Self {
        if self.method != Method::GET {
            self.query.push(DRY);
        }
        self
    }

    /// The same request, and it is meant.
    pub(super) fn for_real(mut self) -> Self {
        self.query.retain(|parameter| *parameter != DRY);
        self
    }

    /// The same request with one more label on what it creates.
    pub(super) fn labelled(mut self, key: &str, value: &str) -> Self {
        if let (&Method::POST, Some(metadata)) =
            (&self.method, self.body.as_mut().and_then(|body| body.get_mut("metadata")))
        {
            metadata["labels"][key] = json!(value);
        }
        self
    }

    /// Path of the object that this creates, if it creates one.
    pub(super) fn created(&self) -> Option<String> {
        let object = self.body.as_ref().filter(|_| self.method == Method::POST)?;
        Some(format!("{}/{}", self.path, object.pointer("/metadata/name")?.as_str()?))
    }

    /// Sends it as the owner of `client`.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub(super) async fn send(&self, client: &Client) -> Result<Reply, kube::Error> {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query.join("&")) };
        let uri = format!("{}{query}", self.path);
        let content_type = match (&self.method, &self.body) {
            (&Method::PATCH, _) if self.query.contains(&APPLY) => "application/apply-patch+yaml",
            (&Method::PATCH, Some(Value::Array(_))) => "application/json-patch+json",
            (&Method::PATCH, _) => "application/merge-patch+json",
            _ => "application/json",
        };
        let mut request = http::Request::builder().method(&self.method).uri(uri).header(CONTENT_TYPE, content_type);
        if let Some((user, groups)) = &self.impersonate {
            request = request.header("Impersonate-User", user);
            for group in groups {
                request = request.header("Impersonate-Group", *group);
            }
        }
        let body = self.body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = request.body(Body::from(body)).map_err(kube::Error::HttpError)?;
        let response = client.send(request).await?;
        let code = response.status().as_u16();
        let body = response.into_body().collect_bytes().await?.to_vec();
        Ok(Reply { answer: RequestAnswer::read(code, &body), body })
    }
}

/// An answer, and all of its bytes.
pub(super) struct Reply {
    pub(super) answer: RequestAnswer,
    pub(super) body: Vec<u8>,
}

/// Meaning of an answer about access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestAnswer {
    /// The request was carried out.
    Admitted,
    /// Somebody whose office it is refused it.
    Denied(Denial),
    /// It failed for another reason, which says nothing about access.
    Failed(String),
}

/// The one who refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denial {
    /// The authoriser: nobody gave the right to this user.
    Rbac,
    /// A ValidatingAdmissionPolicy, by name.
    Policy(String),
    /// An admission webhook, by name.
    Webhook(String),
}

impl Denial {
    /// The end of a route that it refused.
    pub(super) fn end(&self) -> RouteEnd {
        match self {
            Self::Rbac => RouteEnd::RefusedByRights,
            Self::Policy(_) | Self::Webhook(_) => RouteEnd::RefusedByAdmission,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rbac => f.write_str("RBAC"),
            Self::Policy(name) => write!(f, "policy {name}"),
            Self::Webhook(name) => write!(f, "webhook {name}"),
        }
    }
}

/// Words of the API server for a denial by a webhook (apiserver `pkg/admission/plugin/webhook/errors/statuserror.go`).
static WEBHOOK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"admission webhook "([^"]+)" denied the request"#).expect("a literal pattern"));

impl RequestAnswer {
    /// Answer that there is an object of this name already.
    pub(super) fn exists() -> Self {
        Self::Failed("409 AlreadyExists".to_owned())
    }

    /// Reads the answer with this status code.
    pub(super) fn read(code: u16, body: &[u8]) -> Self {
        if (200..300).contains(&code) {
            return Self::Admitted;
        }
        let Ok(status) = serde_json::from_slice::<Status>(body) else {
            return Self::Failed(format!("{code} without a status"));
        };
        // Not the message: it can quote what the request was about.
        let fields = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.field.as_str());
        let failed = format!("{code} {} {}", status.reason, fields.collect::<Vec<_>>().join(", "));
        let webhook = WEBHOOK.captures(&status.message).map(|found| found[1].to_owned());
        match (denial::Denial::of(&kube::Error::Api(status.boxed())), webhook) {
            (denial::Denial::Policy { policy }, _) => Self::Denied(Denial::Policy(policy)),
            (denial::Denial::NoRight, _) => Self::Denied(Denial::Rbac),
            (denial::Denial::Other(_), Some(webhook)) => Self::Denied(Denial::Webhook(webhook)),
            (denial::Denial::Other(_), None) => Self::Failed(failed.trim_end().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn status(message: &str) -> Vec<u8> {
        json!({ "kind": "Status", "code": 403, "reason": "Forbidden", "message": message }).to_string().into_bytes()
    }

    #[rstest]
    #[case::authoriser(
        403,
        r#"secrets "a" is forbidden: User "system:serviceaccount:b:c" cannot get resource "secrets" in API group "" in the namespace "d""#,
        RequestAnswer::Denied(Denial::Rbac)
    )]
    #[case::constrained_impersonation(
        403,
        r#"secrets "a" is forbidden: User "b" cannot impersonate-on:serviceaccount:get resource "secrets" in API group """#,
        RequestAnswer::Denied(Denial::Rbac)
    )]
    #[case::policy(
        403,
        "externalsecrets.external-secrets.io \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: central store: no",
        RequestAnswer::Denied(Denial::Policy("p".into()))
    )]
    #[case::policy_without_a_reason_of_its_own(
        422,
        "pods \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: false",
        RequestAnswer::Denied(Denial::Policy("p".into()))
    )]
    #[case::webhook(
        400,
        r#"admission webhook "validate.kyverno.svc-fail" denied the request: no"#,
        RequestAnswer::Denied(Denial::Webhook("validate.kyverno.svc-fail".into()))
    )]
    #[case::policy_that_fails(
        422,
        "a is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: expression 'x' resulted in error: no such key: y",
        RequestAnswer::Failed("422 Forbidden".into())
    )]
    #[case::limit_of_the_namespace(
        403,
        r#"pods "a" is forbidden: error looking up service account b/c: serviceaccount "c" not found"#,
        RequestAnswer::Failed("403 Forbidden".into())
    )]
    #[case::carried_out(201, "", RequestAnswer::Admitted)]
    fn only_those_whose_office_it_is_deny(#[case] code: u16, #[case] message: &str, #[case] expected: RequestAnswer) {
        assert_eq!(RequestAnswer::read(code, &status(message)), expected);
    }

    #[test]
    fn a_failure_names_the_fields_and_never_quotes() {
        let body = json!({ "code": 422, "reason": "Invalid", "message": "Invalid value: \"hunter2\"",
            "details": { "causes": [{ "field": "metadata.name", "message": "hunter2" }] } });
        let answer = RequestAnswer::read(422, body.to_string().as_bytes());
        assert_eq!(answer, RequestAnswer::Failed("422 Invalid metadata.name".into()));
    }

    #[test]
    fn what_would_be_created_can_be_written_afterwards() {
        let create = Call::create("/a", json!({ "metadata": { "name": "b" }, "spec": 1 })).dry_run();
        let call = create.afterwards().unwrap();
        assert_eq!((call.method, call.path.as_str()), (Method::PATCH, "/a/b"));
        assert_eq!(call.body, Some(json!([{ "op": "replace", "path": "/spec", "value": 1 }])));
        assert!(create.for_real().query.is_empty());
        assert!(Call::get("/a/b").afterwards().is_none());
    }

    #[test]
    fn only_what_is_created_is_labelled() {
        let labelled = |call: Call| call.labelled("a", "b").body;
        let object = json!({ "metadata": { "name": "c" } });
        let created = labelled(Call::create("/d", object.clone())).unwrap();
        assert_eq!(created, json!({ "metadata": { "name": "c", "labels": { "a": "b" } } }));
        assert_eq!(labelled(Call::patch("/d/c", object.clone())), Some(object));
        assert_eq!(labelled(Call::create("/d/c/token", json!({}))), Some(json!({})));
    }

    #[test]
    fn a_dry_run_changes_the_query_of_writes_only() {
        let create = Call::create("/a", json!({ "metadata": { "name": "b" } }));
        assert_eq!(create.created().as_deref(), Some("/a/b"));
        assert_eq!(create.dry_run().query, ["dryRun=All"]);
        assert_eq!(Call::watch("/a").dry_run().query, ["watch=true", "timeoutSeconds=1"]);
    }
}
