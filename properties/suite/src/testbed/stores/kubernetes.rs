//! Sources that are Secrets of the cluster.

use std::collections::BTreeMap;

use credence_cluster::apply::FIELD_MANAGER;
use credence_model::config::SourceRef;
use credence_model::values::Values;
use futures::FutureExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{Done, Made, Part, StoreBackend, Withdrawn, Writer};

/// The Secrets of the cluster.
pub(super) struct Secrets;

impl StoreBackend for Secrets {
    fn write<'a>(&'a self, by: Writer<'a>, source: &'a SourceRef, values: &'a Values) -> Done<'a, ()> {
        async move { patch(by, source, &json!({ "data": data(values) })).await }.boxed()
    }

    fn write_first<'a>(
        &'a self,
        by: Writer<'a>,
        source: &'a SourceRef,
        made: Made<'a>,
        values: &'a Values,
    ) -> Done<'a, ()> {
        async move {
            match api(by, source).get_metadata_opt(&source.name).await? {
                Some(_) => patch(by, source, &json!({ "data": data(values) })).await,
                None => {
                    let secret = json!({ "metadata": { "name": source.name, "labels": made.labels },
                        "type": made.secret_type, "data": data(values) });
                    create(Writer { manager: FIELD_MANAGER, ..by }, source, secret).await
                }
            }
        }
        .boxed()
    }

    fn withdraw<'a>(
        &'a self,
        by: Writer<'a>,
        source: &'a SourceRef,
        part: Part,
        _values: &'a Values,
    ) -> Done<'a, Withdrawn> {
        async move {
            let Secret { metadata, type_, .. } = api(by, source).get(&source.name).await?;
            match &part {
                Part::Whole => drop(api(by, source).delete(&source.name, &DeleteParams::default()).await?),
                Part::Key(key) => patch(by, source, &json!({ "data": { key: null } })).await?,
                Part::Labels(keys) => {
                    let labels: BTreeMap<&String, Value> = keys.iter().map(|key| (key, Value::Null)).collect();
                    patch(by, source, &json!({ "metadata": { "labels": labels } })).await?;
                }
            }
            Ok(Withdrawn { part, secret_type: type_, labels: metadata.labels, annotations: metadata.annotations })
        }
        .boxed()
    }

    fn put_back<'a>(
        &'a self,
        by: Writer<'a>,
        source: &'a SourceRef,
        withdrawn: &'a Withdrawn,
        values: &'a Values,
    ) -> Done<'a, ()> {
        async move {
            let Withdrawn { part, secret_type, labels, annotations } = withdrawn;
            match part {
                Part::Whole => {
                    let secret = json!({
                        "metadata": { "name": source.name, "labels": labels, "annotations": annotations },
                        "type": secret_type, "data": data(values) });
                    create(by, source, secret).await
                }
                Part::Key(_) | Part::Labels(_) => {
                    let change = json!({ "metadata": { "labels": labels }, "data": data(values) });
                    patch(by, source, &change).await
                }
            }
        }
        .boxed()
    }
}

fn api(by: Writer<'_>, source: &SourceRef) -> Api<Secret> {
    Api::namespaced(by.client.clone(), &source.namespace)
}

async fn create(by: Writer<'_>, source: &SourceRef, secret: Value) -> Result<(), kube::Error> {
    // An object of texts and bytes is a Secret.
    let secret: Secret = serde_json::from_value(secret).expect("a well-formed Secret");
    let params = PostParams { field_manager: Some(by.manager.to_owned()), ..PostParams::default() };
    api(by, source).create(&params, &secret).await.map(drop)
}

async fn patch(by: Writer<'_>, source: &SourceRef, patch: &Value) -> Result<(), kube::Error> {
    let params = PatchParams { field_manager: Some(by.manager.to_owned()), ..PatchParams::default() };
    api(by, source).patch_metadata(&source.name, &params, &Patch::Merge(patch)).await.map(drop)
}

/// Values as the API server takes them.
fn data(values: &Values) -> BTreeMap<&String, ByteString> {
    values.iter().map(|(key, value)| (key, ByteString(value.expose().to_vec()))).collect()
}
