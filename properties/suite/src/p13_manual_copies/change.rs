//! Changing, deleting and replacing the copy that is there.

use credence_core::credential::Credential;
use credence_model::model::Tampering;
use credence_report::verdict::Outcome;
use credence_watch::observer::SecretSeen;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch};
use serde_json::{Value, json};

use super::attempt::{Attempt, CopyChange, changes};
use super::copy_case::{AttemptAnswer, CopyCase};
use super::look_alike::{Endpoints, content, squatters};

impl CopyCase<'_> {
    /// Tampers with the copy; an accepted change must be undone.
    pub(super) async fn change(&mut self, copy: &SecretSeen, attempt: &Attempt, apply: bool) -> Outcome {
        let all = changes(&self.env.model, self.distribution, copy, &attempt.value);
        let CopyChange { what, patch, removes, tampering, for_good } = attempt.form.of(&all);
        let name = &self.distribution.secret;
        let answer = if apply && !removes {
            let applied = Patch::Apply(applied(name, patch));
            self.secrets().patch_metadata(name, &self.params().force(), &applied).await
        } else {
            self.secrets().patch_metadata(name, &self.params(), &Patch::Merge(patch)).await
        };
        let operation = match tampering {
            Tampering::Data => "change data",
            Tampering::Metadata => "change labels, owner or settings",
        };
        let written = match answer {
            Ok(written) => written.resource_version().as_deref().and_then(version),
            refused => {
                let answer = self.read(refused);
                return self.not_accepted(operation, answer);
            }
        };
        let bound = self.env.healing_bound(self.distribution, *tampering);
        let after = |now: &SecretSeen| match for_good {
            true => now.uid != copy.uid,
            // A version that is no number still differs from the one before.
            false if written.is_none() => now.resource_version != copy.resource_version,
            false => version(&now.resource_version) >= written,
        };
        self.until_healed((operation, what), copy, after, &bound).await
    }

    /// Deletes the copy, and puts a Secret of another type in its place if there is a value for it.
    pub(super) async fn delete(&mut self, copy: &SecretSeen, stand_in: Option<&Credential>) -> Outcome {
        let name = self.distribution.secret.clone();
        let (operation, what) = match stand_in {
            Some(_) => ("replace a copy", "replaced it"),
            None => ("delete a copy", "deleted it"),
        };
        let deleted = self.secrets().delete(&name, &DeleteParams::default()).await;
        match self.read(deleted) {
            AttemptAnswer::Accepted => {}
            answer => return self.not_accepted(operation, answer),
        }
        if let Some(value) = stand_in {
            let [_, other] = squatters(self.distribution);
            let data = content(&other.type_, self.distribution, &Endpoints::default(), value);
            match self.create(&name, &other.type_, &other.labels, data).await {
                // ESO was faster.
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                answer => {
                    if let AttemptAnswer::NoEvidence(why) = self.read(answer) {
                        return Outcome::Unknown(why.about(operation));
                    }
                }
            }
        }
        let bound = self.env.healing_bound(self.distribution, Tampering::Data);
        self.until_healed((operation, what), copy, |now| now.uid != copy.uid, &bound).await
    }
}

/// A merge patch as the object that server-side apply sends.
fn applied(name: &str, patch: &Value) -> Value {
    let mut object = patch.clone();
    object["apiVersion"] = json!("v1");
    object["kind"] = json!("Secret");
    object["metadata"]["name"] = json!(name);
    object
}

/// The API server's versions are numbers that grow (KEP-5504, comparable resource versions).
fn version(text: &str) -> Option<u64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applied_patch_names_its_object_and_keeps_what_it_sets() {
        let object = applied("a", &json!({ "metadata": { "labels": { "b": "c" } } }));
        let wanted =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a", "labels": { "b": "c" } } });
        assert_eq!(object, wanted);
    }
}
