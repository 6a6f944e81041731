//! p12: raw etcd values and wire traffic never show a credential.
//!
//! The cases of a slot live through one rotation of one source. Then the raw bytes of the source, of each copy and of every
//! other Secret must have the envelope that the encryption configuration promises, and nothing that etcd holds may hold a
//! value: no key of any kind, and no version that was written meanwhile and replaced or deleted since. A ConfigMap with a
//! control shows that the search finds what is there. All the while loopback is captured, on which two controls in plain
//! show that the capture works. In one slot of five the encryption key is rotated and all Secrets are written again.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_cluster::capability::Capability;
use credence_cluster::cluster::ControlPlaneFiles;
use credence_cluster::evidence::capture::Capture;
use credence_cluster::evidence::etcd::Etcd;
use credence_core::credential::Credential;
use credence_core::id::{CaseId, PropertyId};
use credence_core::leak_scan::{self, LeakScan, UNSEARCHABLE};
use credence_core::text::Reason;
use credence_model::model::{Distribution, Model};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::coverage::Judges;
use crate::driver::{Check, Property};
use crate::fixture::{Fixture, FixtureError};
use crate::generate::{Pick, pick};
use crate::observation::{Observation, cause_of};
use crate::oracle::Known;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::{Need, Supplies};
use crate::testbed::TestBed;
use crate::testbed::operator_resync::until_operator_sees_copies;
use crate::testbed::rotation::{self, Rotation, copied_sources};

mod case;
mod envelope;
mod rewrite;
mod search;
mod wire;

use case::EncryptionCase;
use envelope::Envelope;
use search::Search;
#[cfg(feature = "faults")]
pub(crate) use search::finds_base64;
use wire::Wire;
#[cfg(feature = "faults")]
pub(crate) use wire::sees_its_control;

pub(crate) struct Encryption;

/// Number of slots of which one rotates the encryption key.
const SLOTS_PER_KEY: u32 = 5;

/// Lives of the credentials of a slot, which its cases go through with them.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    rotation: Rotation,
    /// The number of the slot, if it rotates the encryption key.
    new_key: Option<u32>,
}

/// A copy that a case looks at.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    distribution: Pick,
    way: Pick,
}

const CLAIMS: [Claim; 1] = [Claim::new(
    5,
    3,
    "at rest, each raw value that etcd has of a Secret carries the envelope that the encryption configuration \
         promises, and nothing in etcd holds a value of the source: no object of any kind, and no version of one since \
         the source had it",
)];

impl Property for Encryption {
    type Shared = Episode;
    type Case = Copy;
    type Fixture = EncryptionFile;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(12),
        title: "encryption",
        claim: "raw etcd values and wire traffic never show a credential",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::ControlPlaneFiles, Need::Renderings];
    const CHECKS: &'static [Check] =
        &[Check { what: "rotation of the encryption key", needs: Capability::KeyRotation, weakens: &CLAIMS }];
    const CASES_PER_SLOT: u32 = 20;
    // A new key restarts the API server, which no other slot may be relying on.
    const NOTHING: &'static str = "neither a ClusterExternalSecret nor an ExternalSecret reads a source";
    const LANES: usize = 1;
    // It looks at all that is stored and sent, and a new key restarts the API server.
    const SHARES: Shares =
        Shares { cluster: ClusterUse::All, sources: SourceUse::Rotated, policies: PolicyUse::Passed };

    fn namespaces(&self, _model: &Model) -> u32 {
        product(Self::LANES, Self::CASES_PER_SLOT)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Episode>> {
        let sources = copied_sources(model);
        let new_key = (slot % SLOTS_PER_KEY == SLOTS_PER_KEY - 1).then_some(slot);
        let rotation = Rotation::strategy(model, &sources, slot, 1..=1, Duration::ZERO)?;
        Some(rotation.prop_map(move |rotation| Episode { rotation, new_key }).boxed())
    }

    fn case(&self, _model: &Model, _episode: &Episode) -> BoxedStrategy<Copy> {
        (pick(), pick()).prop_map(|(distribution, way)| Copy { distribution, way }).boxed()
    }

    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges {
        Judges::of_sources(model, distribution)
    }

    fn is_telling(&self, _model: &Model, episode: &Episode, _case: &Copy) -> bool {
        episode.values().any(leak_scan::is_searchable)
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let mut skipped = Vec::new();
        if let Some(why) = Capture::unsupported(&env.cluster.traffic()) {
            // No claim depends on it: the parts use TLS whatever the configuration says.
            skipped.push(SkippedCheck::new("capture of the traffic between the parts", why));
        }
        skipped
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        encryption: &EncryptionFile,
        episode: &Episode,
        cases: &[(CaseId, Copy)],
    ) -> Vec<Observation> {
        let traffic = env.cluster.traffic();
        let wire = match Capture::unsupported(&traffic) {
            Some(_) => None,
            None => match Wire::listen(traffic, episode.values()).await {
                Ok(wire) => Some(wire),
                Err(error) => return vec![error.into(); cases.len()],
            },
        };
        let mut observations = match live(env, encryption, episode, cases).await {
            Ok(observations) => observations,
            Err(ended) => return vec![ended; cases.len()],
        };
        if let Some(wire) = wire {
            let (outcome, packets) = wire.judge().await;
            for observation in &mut observations {
                observation.outcome = observation.outcome.clone().max(outcome.clone());
            }
            // The packets are of the slot and not of a case; they are counted once.
            if let Some(first) = observations.first_mut() {
                first.add_context("packet searched", packets);
            }
        }
        observations
    }
}

impl Episode {
    /// Every value that the source has in the course of it.
    fn values(&self) -> impl Iterator<Item = &Credential> {
        let steps = self.rotation.steps.iter().map(|step| &step.values);
        std::iter::once(&self.rotation.initial).chain(steps).flat_map(BTreeMap::values)
    }
}

/// State of the cluster when a slot began.
struct Before {
    /// Revision of etcd: what was written since has a higher one.
    revision: u64,
    envelope: Envelope,
}

async fn live(
    env: &Arc<TestBed>,
    encryption: &EncryptionFile,
    episode: &Episode,
    cases: &[(CaseId, Copy)],
) -> Result<Vec<Observation>, Observation> {
    let (client, rotation) = (&env.cluster.client, &episode.rotation);
    let before = Before {
        revision: Etcd::connect(&env.cluster.description.etcd, env.cluster.directory())?.revision().await?,
        envelope: encryption.envelope().map_err(|why| Observation::unknown(Cause::EvidenceLost, why))?,
    };
    let mut lease = rotation::begin(env, client, FIELD_MANAGER, &rotation.source, &rotation.initial).await?;
    let mut lives = Vec::with_capacity(cases.len());
    for (id, copy) in cases {
        lives.push(EncryptionCase::begin(env, *id, &rotation.source, copy).await?);
    }
    follow(env, &mut lives, &rotation.of_source(&rotation.initial)).await;
    for step in &rotation.steps {
        lease.write(client, FIELD_MANAGER, &step.values).await?;
        follow(env, &mut lives, &rotation.of_source(&step.values)).await;
    }
    if let Some(number) = episode.new_key.filter(|_| env.cluster.supports(Capability::KeyRotation).is_ok()) {
        let name = format!("credence-{number}");
        // A configuration without keys has none to rotate; that it encrypts nothing is seen below.
        if encryption.envelope().map_err(|why| Observation::unknown(Cause::EvidenceLost, why))?.has_key() {
            env.cluster.rotate_encryption_key(&name).await?;
            env.until_synced().await?;
            let rewritten = rewrite::all(&env.cluster.client).await?;
            for live in &mut lives {
                live.observation.add_context("rotate encryption key", 1);
            }
            if let Some(first) = lives.first_mut() {
                first.observation.add_context("write Secret again", rewritten);
            }
            let (_, last) = rotation.last_two();
            follow(env, &mut lives, &rotation.of_source(last)).await;
            until_operator_sees_copies(env).await.map_err(|why| Observation::of(Outcome::Unknown(why)))?;
        }
    }
    judge(env, encryption, episode, &mut lives, &before).await?;
    let mut observations = Vec::with_capacity(lives.len());
    for live in lives {
        observations.push(live.end(env).await);
    }
    Ok(observations)
}

/// Waits until each case's copy has the `values`.
async fn follow(env: &TestBed, lives: &mut [EncryptionCase<'_>], values: &impl Known) {
    let arrivals = lives.iter_mut().map(|live| async move {
        let bound = env.propagation_bound(live.dependent.distribution).limit();
        if let Err(error) = live.dependent.until_matches_source(env, values, bound).await
            && live.observation.outcome == Outcome::Held
        {
            // What does not arrive is for p01 to find; what is not there cannot be looked at.
            live.observation.outcome = verdict::unknown(cause_of(&error), format!("no copy to look at: {error}"));
        }
    });
    join_all(arrivals).await;
}

/// The cluster's encryption configuration; none if the configuration under test has none.
#[derive(Debug)]
pub(crate) struct EncryptionFile(Option<PathBuf>);

impl Fixture for EncryptionFile {
    async fn set_up(bed: &Arc<TestBed>, supplies: &Supplies) -> Result<Self, FixtureError> {
        let configured = supplies.control_plane.as_ref().is_some_and(|files| files.encryption.is_some());
        // The file of the cluster, because its key may be rotated.
        Ok(Self(configured.then(|| bed.cluster.directory().join(ControlPlaneFiles::ENCRYPTION))))
    }
}

impl EncryptionFile {
    /// Promise of the configuration at present.
    fn envelope(&self) -> Result<Envelope, Reason> {
        let read = |path: &PathBuf| {
            fs::read_to_string(path).map_err(|error| format!("failed to read {}: {error}", path.display()))
        };
        Envelope::of_secrets(self.0.as_ref().map(read).transpose()?.as_deref())
    }
}

/// Looks at what etcd holds of the source, the copies and the controls, and of everything else, also of what it held at some
/// time since `before`.
async fn judge(
    env: &TestBed,
    encryption: &EncryptionFile,
    episode: &Episode,
    lives: &mut [EncryptionCase<'_>],
    before: &Before,
) -> Result<(), Observation> {
    let etcd = Etcd::connect(&env.cluster.description.etcd, env.cluster.directory())?;
    let envelope = encryption.envelope().map_err(|why| Observation::unknown(Cause::EvidenceLost, why))?;
    let values = LeakScan::new(episode.values())?;
    let mut search = Search::new(&envelope, &before.envelope, &values);
    let now = etcd.each("", |stored| search.look(stored)).await?;
    let present = search.searched;
    let from = etcd.versions(before.revision, now, |stored| search.look_back(stored)).await?;
    let Search { secrets: stored, searched, found, .. } = search;
    if let Some(first) = lives.first_mut() {
        let context = &mut first.observation;
        context.add_context("key of etcd searched", present);
        context.add_context("version of a key searched", searched - present);
        if from > before.revision {
            context.add_context("revision that etcd had forgotten", from - before.revision);
        }
        if !values.unsearchable().is_empty() {
            context.add_context(UNSEARCHABLE, values.unsearchable().len() as u64);
        }
    }
    if searched == present {
        return Err(Observation::unknown(
            Cause::EvidenceLost,
            "etcd shows no version of anything that was written meanwhile",
        ));
    }
    for live in lives.iter_mut().filter(|live| live.observation.outcome == Outcome::Held) {
        live.observation.outcome = live.judge(&etcd, &episode.rotation.source, &stored, found.as_deref()).await?;
    }
    Ok(())
}
