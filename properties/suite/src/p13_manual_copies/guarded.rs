//! Secrets like copies, which admission refuses to everybody but the operator. Pure.

use credence_core::credential::Credential;
use credence_model::model::{Distribution, Model};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::look_alike::{Endpoints, content, look_alikes, squatters};
use crate::testbed::loopholes::{Request, Write};

/// The name of those that have none of a copy.
const NAME: &str = "credence-guarded";

/// The right to make them.
pub(super) fn rule() -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["secrets".to_owned()]),
        verbs: vec!["create".to_owned()],
        ..PolicyRule::default()
    }
}

/// One Secret like the copies of each distribution, in a namespace without labels.
pub(super) fn requests(model: &Model, namespace: &str) -> Vec<Request> {
    model.distributions.iter().map(|distribution| like(distribution, namespace)).collect()
}

fn like(distribution: &Distribution, namespace: &str) -> Request {
    let [squatter, _] = squatters(distribution);
    let made = look_alikes(distribution, false).into_iter().next().unwrap_or(squatter);
    let data = content(&made.type_, distribution, &Endpoints::default(), &Credential::new("hand-made"));
    let name = made.name.as_deref().unwrap_or(NAME);
    let object = json!({ "apiVersion": "v1", "kind": "Secret", "type": made.type_, "data": data,
        "metadata": { "name": name, "labels": made.labels } });
    Request {
        what: format!("make a Secret like the copies of {}", distribution.name),
        kind: ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret")),
        namespace: Some(namespace.to_owned()),
        write: Write::Create(object),
        is_taken: false,
    }
}

#[cfg(test)]
mod tests {
    use credence_model::model::testing::reference;

    use super::*;

    #[test]
    fn one_like_the_copies_of_each_distribution_is_asked_for() {
        let model = reference();
        let requests = requests(&model, "n");
        assert_eq!(requests.len(), model.distributions.len());
        let Write::Create(object) = &requests[0].write else { panic!("it is made") };
        assert_eq!(object["metadata"]["labels"]["managed-by"], "external-secrets");
    }
}
