//! `credence monitor` on a live cluster: each thing that goes wrong raises its metric within ten seconds.
//!
//! The reference configuration with compressed time, without its admission policies: they refuse the very edits that the
//! monitor is to see where they are absent. The monitor has the rights of `fixtures/monitor/rbac.yaml` and no others.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::Applier;
use credence_core::text::chain;
use credence_monitor::monitor::MonitorError;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/shared.rs"]
mod shared;
#[path = "support/took.rs"]
mod took;
#[path = "support/world.rs"]
mod world;

use cluster::failed;
use shared::{Ended, Pinned, Shared};
use world::{NAMESPACES, SETTLED, Scrape, World, credential, monitor};

/// Time within which the monitor must show what can be seen.
const SHOWN: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    Shared::run(trials)
}

fn trials(shared: &Arc<Shared<World>>) -> Vec<Trial> {
    let trial = |name: &str, run: for<'a> fn(&'a World) -> Pinned<'a>| shared.trial(name, run);
    vec![
        trial("a_user_without_rights_is_told_which_ones_are_needed", |world| Box::pin(refuses_a_stranger(world))),
        trial("a_distribution_in_order_raises_nothing", |world| Box::pin(is_clean(world))),
        trial("a_rotation_is_measured_at_every_copy", |world| Box::pin(measures_a_rotation(world))),
        trial("a_hand_edited_copy_is_counted_within_ten_seconds", |world| Box::pin(counts_an_edit(world))),
        trial("what_a_stopped_operator_does_not_heal_is_found", |world| Box::pin(finds_what_is_not_healed(world))),
        trial("a_hand_made_secret_is_found_within_ten_seconds", |world| Box::pin(finds_hand_made(world))),
        trial("a_stale_copy_is_found_within_ten_seconds_of_its_bound", |world| Box::pin(finds_stale(world))),
        trial("a_broken_store_is_found_within_ten_seconds", |world| Box::pin(finds_a_broken_store(world))),
    ]
}

async fn refuses_a_stranger(world: &World) -> Ended {
    match monitor(&world.kubeconfig, "stranger", &world.model).await? {
        Ok(_) => Err(Failed::from("a user without rights could watch")),
        Err(MonitorError::OutOfSight { reasons })
            if reasons.contains("forbidden") && reasons.contains("--print rbac") =>
        {
            Ok(())
        }
        Err(error) => Err(Failed::from(format!("not told what is missing: {}", chain(&error)))),
    }
}

async fn is_clean(world: &World) -> Ended {
    world.until_in_order().await?;
    let health = world.get("/healthz").await?;
    assert_eq!(health.status(), 200);
    let metrics = world.get("/metrics").await?;
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let findings = world.get("/findings").await?.text().await.map_err(failed)?;
    assert_eq!(findings, "[]");
    passes_promtool(&world.scrape().await?)
}

/// Prometheus' own check of the text, where its tool is on the PATH.
fn passes_promtool(text: &str) -> Ended {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match promtool.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("promtool is not on the PATH: its check is skipped");
            return Ok(());
        }
        child => child?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    println!("promtool check metrics: {}", output.status);
    if output.status.success() {
        Ok(())
    } else {
        Err(Failed::from(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

async fn measures_a_rotation(world: &World) -> Ended {
    world.until_in_order().await?;
    let label = credential(world.distribution());
    let source = *world.distribution().sources().first().expect("a target reads something");
    let count = |scrape: &Scrape<'_>| scrape.value("credence_propagation_seconds_count", &label);
    let before = count(&Scrape(&world.scrape().await?));
    world.rotate(source).await?;
    let copies = NAMESPACES as f64;
    world.until("an arrival at every copy", SETTLED, |scrape| count(scrape) == before + copies).await?;
    world.until_in_order().await
}

async fn counts_an_edit(world: &World) -> Ended {
    world.until_in_order().await?;
    let label = credential(world.distribution());
    let counted = |scrape: &Scrape<'_>| scrape.value("credence_foreign_writes_total", &label);
    let before = counted(&Scrape(&world.scrape().await?));
    edit(world).await?;
    world.until("the edit is counted", SHOWN, |scrape| counted(scrape) == before + 1.0).await?;
    world.until_in_order().await
}

/// Edits a copy by hand.
async fn edit(world: &World) -> Ended {
    let name = &world.distribution().secret;
    let secrets: Api<Secret> = Api::namespaced(world.client().clone(), "asking-0");
    let key = secrets.get(name).await.map_err(failed)?.data.unwrap_or_default().into_keys().next();
    let edit = json!({ "data": { key.unwrap_or_default(): ByteString(b"{}".to_vec()) } });
    let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    secrets.patch_metadata(name, &params, &Patch::Merge(edit)).await.map(drop).map_err(failed)
}

/// The operator, stopped until this is dropped.
struct Stopped(String);

impl Stopped {
    fn operator(world: &World) -> Result<Self, Failed> {
        let children = fs::read_to_string(world.cluster.directory().join("children"))?;
        let operator = children.lines().find(|line| line.ends_with(" external-secrets")).unwrap_or_default();
        let id = operator.split(' ').next().unwrap_or_default().to_owned();
        if Command::new("kill").args(["-STOP", &id]).status()?.success() {
            Ok(Self(id))
        } else {
            Err(Failed::from(format!("process {id:?} cannot be stopped")))
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // A process that is gone needs not go on.
        Command::new("kill").args(["-CONT", &self.0]).status().ok();
    }
}

/// Finds drift that stays: where the operator heals at once, it is only ever seen as a count.
async fn finds_what_is_not_healed(world: &World) -> Ended {
    world.until_in_order().await?;
    let label = credential(world.distribution());
    let stopped = Stopped::operator(world)?;
    edit(world).await?;
    let drifted = format!("{label},part=\"data\"");
    let is_drifted = |scrape: &Scrape<'_>| scrape.value("credence_copies_drifted", &drifted) == 1.0;
    world.until("an edited copy is found", SHOWN, is_drifted).await?;
    let bound = Scrape(&world.scrape().await?).value("credence_propagation_bound_seconds", &label);
    let overdue = |scrape: &Scrape<'_>| scrape.value("credence_external_secrets_overdue", &label) == NAMESPACES as f64;
    world.until("all refreshes are overdue", Duration::from_secs_f64(bound) + SHOWN, overdue).await?;
    drop(stopped);
    world.until_in_order().await
}

async fn finds_hand_made(world: &World) -> Ended {
    world.until_in_order().await?;
    let distribution = world.distribution();
    let secrets: Api<Secret> = Api::namespaced(world.client().clone(), "other");
    for (name, sign, labels) in [
        ("mine", "type", BTreeMap::new()),
        ("mine", "labels", distribution.labels.clone()),
        (distribution.secret.as_str(), "name", BTreeMap::new()),
    ] {
        let mut secret = Secret { type_: Some(distribution.secret_type.clone()), ..Secret::default() };
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.labels = Some(labels);
        secret.data = Some(BTreeMap::from([(".dockerconfigjson".to_owned(), ByteString(b"{}".to_vec()))]));
        secrets.create(&PostParams::default(), &secret).await.map_err(failed)?;
        let label = format!("{},sign=\"{sign}\"", credential(distribution));
        let found = |scrape: &Scrape<'_>| scrape.value("credence_secrets_hand_made", &label) == 1.0;
        world.until(&format!("a Secret is found by its {sign}"), SHOWN, found).await?;
        secrets.delete(name, &DeleteParams::default()).await.map_err(failed)?;
        world.until_in_order().await?;
    }
    Ok(())
}

async fn finds_stale(world: &World) -> Ended {
    world.until_in_order().await?;
    let distribution = world.distribution();
    let label = credential(distribution);
    let source = *distribution.sources().first().expect("a target reads something");
    let applier = Applier::discover(world.client()).await.map_err(failed)?;
    let bindings = world.manifests.iter().filter(|manifest| manifest.kind() == "RoleBinding");
    let bindings: Vec<&Value> = bindings.map(|manifest| &manifest.object).collect();
    for binding in &bindings {
        applier.remove(binding).await.map_err(failed)?;
    }
    world.rotate(source).await?;
    let bound = Scrape(&world.scrape().await?).value("credence_propagation_bound_seconds", &label);
    let bound = Duration::from_secs_f64(bound);
    let fails = |scrape: &Scrape<'_>| scrape.value("credence_external_secrets_failed", &label) > 0.0;
    world.until("a failed ExternalSecret is found", SHOWN, fails).await?;
    let stale = |scrape: &Scrape<'_>| scrape.value("credence_copies_stale", &label) == NAMESPACES as f64;
    let took = world.until("all copies are stale", bound + SHOWN, stale).await?;
    println!("the bound is {bound:?}, from the write on; stale copies were seen {took:.1?} after failures");
    applier.apply_all(bindings).await.map_err(failed)?;
    world.until_in_order().await
}

async fn finds_a_broken_store(world: &World) -> Ended {
    world.until_in_order().await?;
    let store = &world.distribution().stores[0].name;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("external-secrets.io", "v1", "ClusterSecretStore"));
    let stores: Api<DynamicObject> = Api::all_with(world.client().clone(), &kind);
    let object = world.manifests.iter().find(|m| m.kind() == "ClusterSecretStore" && m.name() == store);
    let field = "/spec/provider/kubernetes/auth/serviceAccount/name";
    let account = object.and_then(|manifest| manifest.object.pointer(field)).cloned().unwrap_or_default();
    for (account, state) in [(json!("nobody"), "invalid"), (account, "valid")] {
        let spec = json!({ "provider": { "kubernetes": { "auth": { "serviceAccount": { "name": account } } } } });
        let patch = Patch::Merge(json!({ "spec": spec }));
        stores.patch(store, &PatchParams::default(), &patch).await.map_err(failed)?;
        let label = format!("store=\"{store}\",state=\"{state}\"");
        let is_so = |scrape: &Scrape<'_>| scrape.value("credence_store_state", &label) == 1.0;
        world.until(&format!("the store is {state}"), SHOWN, is_so).await?;
    }
    world.until_in_order().await
}
