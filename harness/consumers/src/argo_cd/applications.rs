//! Applications as the API server holds them.

use std::fmt;

use kube::ResourceExt;
use kube::api::DynamicObject;

use super::Refresh;
use super::objects::{REFRESH, REFRESH_NUMBER};
use crate::git_error::Message;

/// A condition of an Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Its type, such as `ComparisonError`.
    pub type_: String,
    pub message: Message,
}

/// An Application as the API server holds it. That it is synced is Argo CD's own word and no evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ApplicationSeen {
    /// `Synced`, `OutOfSync` or `Unknown`; empty before the first comparison.
    pub sync: String,
    /// The commit that was compared with; empty where there was none.
    pub revision: String,
    /// State of the last deployment: `Running`, `Succeeded`, `Failed`, `Error`; empty where there was none.
    pub phase: String,
    /// The commit that was deployed last; empty where there was none.
    pub deployed: String,
    pub conditions: Vec<Condition>,
    /// Time of the last comparison, to the second.
    pub reconciled_at: String,
    /// The last refresh of ours that is done.
    refreshed: Option<Refresh>,
}

impl ApplicationSeen {
    /// True if this refresh, or a later one, is done and its result is what is seen here.
    pub(crate) fn has_done(&self, refresh: Refresh) -> bool {
        self.refreshed >= Some(refresh)
    }

    /// True if `commit` was compared with and has been deployed.
    pub(crate) fn is_synced_to(&self, commit: &str) -> bool {
        self.sync == "Synced" && self.phase == "Succeeded" && self.revision == commit && self.deployed == commit
    }

    /// The condition that says why the repository could not be read, if it could not.
    pub(crate) fn comparison_error(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == "ComparisonError")
    }

    pub(super) fn of(object: &DynamicObject) -> Self {
        let text = |pointer: &str| {
            object.data.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        let conditions = object.data.pointer("/status/conditions").and_then(serde_json::Value::as_array);
        let annotations = object.annotations();
        let number = annotations.get(REFRESH_NUMBER).and_then(|number| number.parse().ok());
        Self {
            sync: text("/status/sync/status"),
            revision: text("/status/sync/revision"),
            phase: text("/status/operationState/phase"),
            deployed: text("/status/operationState/syncResult/revision"),
            conditions: conditions
                .into_iter()
                .flatten()
                .map(|condition| {
                    let text = |key: &str| condition[key].as_str().unwrap_or_default();
                    Condition { type_: text("type").to_owned(), message: Message::new(text("message")) }
                })
                .collect(),
            reconciled_at: text("/status/reconciledAt"),
            refreshed: number.filter(|_| !annotations.contains_key(REFRESH)).map(Refresh),
        }
    }
}

impl fmt::Display for ApplicationSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        write!(
            f,
            "sync {} at {}, deployment {} of {}",
            or_none(&self.sync),
            or_none(&self.revision),
            or_none(&self.phase),
            or_none(&self.deployed)
        )?;
        self.conditions.iter().try_for_each(|condition| write!(f, "; {}: {}", condition.type_, condition.message.text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::objects;
    use super::*;
    use crate::git_error::Cause;

    fn seen(annotations: Value, status: Value) -> ApplicationSeen {
        let object = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": "a", "annotations": annotations }, "status": status });
        ApplicationSeen::of(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_commit_is_synced_once_it_is_compared_and_deployed() {
        let status = |deployed: &str| {
            json!({ "sync": { "status": "Synced", "revision": "new" },
                "operationState": { "phase": "Succeeded", "syncResult": { "revision": deployed } } })
        };
        assert!(seen(json!({}), status("new")).is_synced_to("new"));
        assert!(!seen(json!({}), status("old")).is_synced_to("new"));
        assert!(!seen(json!({}), json!({})).is_synced_to("new"));
    }

    #[test]
    fn a_refresh_is_done_when_argo_cd_has_taken_its_annotation_away() {
        let asked = objects::hard_refresh(Refresh(2))["metadata"]["annotations"].clone();
        assert!(!seen(asked.clone(), json!({})).has_done(Refresh(1)));
        let done = seen(json!({ REFRESH_NUMBER: "2" }), json!({}));
        assert!(done.has_done(Refresh(1)) && done.has_done(Refresh(2)) && !done.has_done(Refresh(3)));
        assert!(!seen(json!({}), json!({})).has_done(Refresh(1)));
    }

    #[test]
    fn a_comparison_error_tells_its_cause_and_no_value() {
        let message = "Failed to load target state: authentication required: hunter2-0123";
        let status = json!({ "sync": { "status": "Unknown" },
            "conditions": [{ "type": "ComparisonError", "message": message }] });
        let seen = seen(json!({}), status);
        assert_eq!(seen.comparison_error().unwrap().message.cause, Cause::Unauthenticated);
        let shown = format!("{seen} {seen:?}");
        assert!(shown.contains("authentication required") && !shown.contains("hunter2"), "{shown}");
    }
}
