//! A case: a copy, and a control beside it that the search must find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_cluster::evidence::etcd::Etcd;
use credence_core::credential::Credential;
use credence_core::id::{CaseId, agent};
use credence_core::leak_scan::LeakScan;
use credence_model::config::SourceRef;
use credence_model::model::Distribution;
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use tracing::instrument;

use super::Copy;
use super::search::SECRETS;
use crate::observation::Observation;
use crate::testbed::TestBed;
use crate::testbed::rotation::{Dependent, targets_of};

/// Keys under which etcd keeps ConfigMaps.
const CONFIG_MAPS: &str = "/registry/configmaps/";

/// A case with its namespace and its control.
pub(super) struct EncryptionCase<'a> {
    id: CaseId,
    pub(super) dependent: Dependent<'a>,
    control: Credential,
    pub(super) observation: Observation,
}

/// The name of the ConfigMap whose control must be found: several cases may share a namespace that is selected by name.
fn control_name(id: CaseId) -> String {
    format!("credence-control-{}", id.index)
}

impl<'a> EncryptionCase<'a> {
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    pub(super) async fn begin(
        env: &'a Arc<TestBed>,
        id: CaseId,
        source: &SourceRef,
        copy: &Copy,
    ) -> Result<EncryptionCase<'a>, Observation> {
        let client = env.client_for(id);
        let distributions = targets_of(&env.model, source);
        let dependent =
            Dependent::lease(env, &client, copy.distribution.of::<&Distribution>(&distributions), copy.way).await?;
        dependent.ask(&client, id).await?;
        let control = Credential::random();
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some(control_name(id)), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([(
                "control".to_owned(),
                String::from_utf8_lossy(control.expose()).into_owned(),
            )])),
            ..ConfigMap::default()
        };
        let maps: Api<ConfigMap> = Api::namespaced(client, &dependent.namespace);
        let params = PostParams { field_manager: Some(agent(id)), ..PostParams::default() };
        maps.create(&params, &map).await?;
        Ok(Self { id, dependent, control, observation: Observation::of(Outcome::Held) })
    }

    /// Judges the case by the keys under which etcd has a Secret `stored`, and by what was `found` anywhere in it.
    pub(super) async fn judge(
        &mut self,
        etcd: &Etcd,
        source: &SourceRef,
        stored: &BTreeSet<String>,
        found: Option<&str>,
    ) -> Result<Outcome, Observation> {
        let key = |namespace: &str, name: &str| format!("{SECRETS}{namespace}/{name}");
        let copy = key(&self.dependent.namespace, &self.dependent.distribution.secret);
        let raw_source = source.is_secret().then(|| key(&source.namespace, &source.name));
        if let Some(missing) = raw_source.iter().chain([&copy]).find(|key| !stored.contains(*key)) {
            return Ok(verdict::unknown(Cause::EvidenceLost, format!("etcd holds nothing at {missing}")));
        }
        if raw_source.is_some() {
            self.observation.count("raw source");
        }
        self.observation.count("raw copy");
        self.observation.reach(self.dependent.distribution);
        let control = format!("{CONFIG_MAPS}{}/{}", self.dependent.namespace, control_name(self.id));
        let at_control = etcd.with_prefix(&control).await?;
        let of_control = LeakScan::new([&self.control])?;
        let is_found = at_control.iter().any(|stored| of_control.find(&stored.value).is_some());
        Ok(match found {
            Some(why) => verdict::violated(why.to_owned()),
            None if is_found => Outcome::Held,
            None => {
                let why = format!("the search does not find the control that is at {control}");
                verdict::unknown(Cause::ControlFailed, why)
            }
        })
    }

    /// Removes the control and gives the namespace back.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn end(self, env: &Arc<TestBed>) -> Observation {
        let maps: Api<ConfigMap> = Api::namespaced(env.client_for(self.id), &self.dependent.namespace);
        let removed = maps.delete(&control_name(self.id), &DeleteParams::default()).await;
        self.dependent.give_back(env);
        match removed {
            Err(error) if self.observation.outcome == Outcome::Held => error.into(),
            _ => self.observation,
        }
    }
}
