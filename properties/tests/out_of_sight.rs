//! Absence of what the shared watches did not see is no evidence: a real API server is stopped, cut off and restarted in
//! the middle of waits
//! and holds, its history is thrown away, and packets are lost; what they come to is unknown, never held and never violated.
//!
//! One cluster for all trials, whose watches go through a proxy of ours. The first trial shows that both verdicts can be had. Packets
//! are lost in a network namespace of the test's own, where root can have one; elsewhere those trials are ignored.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::cluster::{Cluster, Component};
use credence_cluster::evidence::etcd::Etcd;
use credence_cluster::faults::proxy::{FaultProxy, Mode};
use credence_programs::dirs;
use credence_programs::supply;
use credence_report::unknown::Cause;
use credence_report::verdict::Outcome;
use credence_suite::observation;
use credence_watch::connect::connect;
use credence_watch::observer::{Observer, View};
use credence_watch::wait::{self, Progress};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, WatchParams};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

#[path = "support/cluster.rs"]
mod cluster;
#[path = "out_of_sight/network.rs"]
mod network;
#[path = "support/shared.rs"]
mod shared;
#[path = "support/took.rs"]
mod took;

use cluster::failed;
use network::Loss;
use shared::{Ended, Pinned, Shared, System};

/// Time until a disturbance begins.
const BEFORE: Duration = Duration::from_millis(500);
/// Time that the watches may take to be back.
const BACK: Duration = Duration::from_secs(60);
/// Namespace in which a Secret is waited for that nobody makes.
const NAMESPACE: &str = "default";
const NAME: &str = "never";
/// Times that a Secret comes and goes behind lost packets.
const SHORT_LIVES: u32 = 4;

fn main() -> ExitCode {
    Shared::run(trials)
}

fn trials(shared: &Arc<Shared<Sight>>) -> Vec<Trial> {
    let is_missing = network::missing_tool().is_some();
    let trial = |name: &str, run: for<'a> fn(&'a Sight) -> Pinned<'a>| shared.trial(name, run);
    let lossy = |name: &'static str, run: for<'a> fn(&'a Sight) -> Pinned<'a>| {
        if network::is_own() {
            trial(name, run)
        } else {
            took::trial(name, move || network::run_inside(name)).with_ignored_flag(is_missing)
        }
    };
    vec![
        trial("an_absence_in_sight_is_held_and_a_time_out_in_sight_is_violated", |sight| Box::pin(sees(sight))),
        trial("a_bound_that_passes_while_the_api_server_is_stopped_is_unknown", |sight| {
            Box::pin(sight.waits(Duration::from_secs(2), sight.is_stopped_for(Duration::from_secs(8))))
        }),
        trial("a_bound_that_passes_after_the_api_server_was_stopped_is_unknown", |sight| {
            Box::pin(sight.waits(Duration::from_secs(7), sight.is_stopped_for(Duration::from_secs(5))))
        }),
        trial("an_absence_in_which_the_api_server_was_stopped_for_five_seconds_is_unknown", |sight| {
            Box::pin(sight.holds(Duration::from_secs(7), sight.is_stopped_for(Duration::from_secs(5))))
        }),
        trial("an_absence_in_which_a_watch_was_cut_and_came_back_is_unknown", |sight| {
            Box::pin(sight.holds(Duration::from_secs(3), sight.is_cut(1)))
        }),
        trial("an_absence_in_which_a_third_of_all_connections_was_dropped_is_unknown", |sight| {
            Box::pin(sight.holds(Duration::from_secs(4), sight.is_cut(3)))
        }),
        trial("an_absence_in_which_the_api_server_forgot_every_watch_is_unknown", |sight| {
            Box::pin(sight.holds(Duration::from_secs(10), sight.is_restarted()))
        }),
        trial("an_absence_in_which_the_api_server_answered_a_watch_that_it_is_too_old_is_unknown", |sight| {
            Box::pin(sight.holds(Duration::from_secs(15), sight.forgets_its_history()))
        }),
        lossy("an_absence_behind_nine_of_ten_lost_packets_is_unknown", |sight| {
            Box::pin(sight.holds(Duration::from_secs(3), sight.loses(90, Duration::from_secs(45))))
        }),
        lossy("a_secret_that_came_and_went_behind_thirty_percent_of_lost_packets_is_not_held_to_be_absent", |sight| {
            Box::pin(sight.does_not_miss())
        }),
    ]
}

/// A cluster, and what is seen of it through a proxy.
struct Sight {
    observer: Observer,
    proxy: FaultProxy,
    cluster: Cluster,
}

impl System for Sight {
    async fn start() -> Result<Self, Failed> {
        let options = supply::Options::new(dirs::cache().map_err(failed)?);
        let cluster = cluster::start("out-of-sight", &options).await?;
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let proxy = FaultProxy::open(&cluster.description.url, host, None).await.map_err(failed)?;
        let mut kubeconfig: Value = serde_json::from_slice(&fs::read(&cluster.description.kubeconfig)?)?;
        kubeconfig["clusters"][0]["cluster"]["server"] = proxy.url().into();
        let path = cluster.directory().join("proxied.kubeconfig");
        fs::write(&path, kubeconfig.to_string())?;
        let client = connect(Some(&path), None, "credence-out-of-sight").await.map_err(failed)?;
        let observer = Observer::start(&client).await.map_err(failed)?;
        let observer = observer.fenced(&client, "credence-fence", &BTreeMap::new()).await.map_err(failed)?;
        Ok(Self { observer, proxy, cluster })
    }

    /// Waits until all is in sight again.
    async fn settle(&self) -> Ended {
        let back = wait::poll("the cluster is in sight", BACK, BEFORE, || async {
            if let Some(why) = self.observer.staleness() {
                return Progress::NotYet(why);
            }
            let came = wait::fence(&self.observer, "a write").await;
            came.map_or_else(|error| Progress::NotYet(error.to_string()), Progress::Done)
        });
        back.await.map_err(failed)
    }
}

impl Sight {
    async fn outcome_of_wait(&self, bound: Duration) -> Outcome {
        let look = |view: &View<'_>| match view.secret(NAMESPACE, NAME) {
            Some(_) => Progress::Done(()),
            None => Progress::NotYet("it does not exist".to_owned()),
        };
        let ended = wait::until(&self.observer, "a Secret", bound, look).await;
        ended.map_or_else(|error| observation::failed(&error), |()| Outcome::Held)
    }

    async fn outcome_of_hold(&self, window: Duration) -> Outcome {
        let look = |view: &View<'_>| view.secret(NAMESPACE, NAME).map_or(Ok(()), |_| Err("it exists".into()));
        let ended = wait::hold(&self.observer, "no Secret", window, look).await;
        ended.map_or_else(|error| observation::failed(&error), |()| Outcome::Held)
    }

    async fn waits(&self, bound: Duration, disturbance: impl Future<Output = Ended>) -> Ended {
        let (outcome, disturbed) = tokio::join!(self.outcome_of_wait(bound), disturbance);
        disturbed?;
        is_out_of_sight(&outcome)
    }

    async fn holds(&self, window: Duration, disturbance: impl Future<Output = Ended>) -> Ended {
        let (outcome, disturbed) = tokio::join!(self.outcome_of_hold(window), disturbance);
        disturbed?;
        is_out_of_sight(&outcome)
    }

    /// SIGSTOP and SIGCONT.
    async fn is_stopped_for(&self, duration: Duration) -> Ended {
        wait::pass(BEFORE).await;
        let paused = self.cluster.pause(Component::ApiServer).await.map_err(failed)?;
        let paused = paused.ok_or_else(|| Failed::from("the API server does not run"))?;
        wait::pass(duration).await;
        drop(paused);
        Ok(())
    }

    /// Resets all connections, and those that come within 300 ms of each second.
    async fn is_cut(&self, times: u32) -> Ended {
        for _ in 0..times {
            wait::pass(BEFORE).await;
            self.proxy.set(Mode::Reset);
            wait::pass(Duration::from_millis(300)).await;
            self.proxy.set(Mode::Open);
            wait::pass(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Its resource versions are too old for another process of it, which has no history.
    async fn is_restarted(&self) -> Ended {
        wait::pass(BEFORE).await;
        self.cluster.stop(Component::ApiServer).await.map_err(failed)?;
        self.cluster.start_again(Component::ApiServer).await.map_err(failed)
    }

    /// As a restart, and etcd has thrown its history away as well: a real server answers 410 to whoever asks for what comes after
    /// what the watches saw last.
    async fn forgets_its_history(&self) -> Ended {
        wait::pass(BEFORE).await;
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), NAMESPACE);
        let seen = secrets.list(&ListParams::default()).await.map_err(failed)?.metadata.resource_version;
        let seen = seen.ok_or_else(|| Failed::from("a list has no version"))?;
        self.proxy.set(Mode::Reset);
        self.make("written-meanwhile").await?;
        let etcd = Etcd::connect(&self.cluster.description.etcd, self.cluster.directory()).map_err(failed)?;
        let revision = etcd.revision().await.map_err(failed)?;
        etcd.compact(revision).await.map_err(failed)?;
        self.cluster.stop(Component::ApiServer).await.map_err(failed)?;
        self.cluster.start_again(Component::ApiServer).await.map_err(failed)?;
        self.remove("written-meanwhile").await?;
        let answer = secrets.watch(&WatchParams::default().timeout(5), &seen).await;
        let first = match answer {
            Ok(events) => std::pin::pin!(events).next().await.map(|event| event.map(|event| format!("{event:?}"))),
            Err(error) => Some(Err(error)),
        };
        self.proxy.set(Mode::Open);
        match first {
            Some(Err(kube::Error::Api(status))) if status.code == 410 => Ok(()),
            Some(Ok(event)) if event.contains("410") => Ok(()),
            other => Err(Failed::from(format!("a watch from version {seen} is answered with {other:?}"))),
        }
    }

    async fn make(&self, name: &str) -> Ended {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), NAMESPACE);
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.to_owned());
        secrets.create(&PostParams::default(), &secret).await.map(drop).map_err(failed)
    }

    async fn remove(&self, name: &str) -> Ended {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), NAMESPACE);
        secrets.delete(name, &DeleteParams::default()).await.map(drop).map_err(failed)
    }

    async fn loses(&self, percent: u8, duration: Duration) -> Ended {
        let url = self.proxy.url();
        let port = url.rsplit_once(':').map_or("", |(_, port)| port);
        let lost = Loss::of(port, percent)?;
        wait::pass(duration).await;
        drop(lost);
        Ok(())
    }

    /// What the kernel sends again comes late and all at once. The Secret is there for a moment in the middle of each window.
    async fn does_not_miss(&self) -> Ended {
        for _ in 0..SHORT_LIVES {
            let window = Duration::from_secs(3);
            let lives = async {
                wait::pass(window / 3).await;
                self.make(NAME).await?;
                wait::pass(BEFORE / 2).await;
                self.remove(NAME).await
            };
            let lost = self.loses(30, window * 4);
            let (outcome, lived) = tokio::select! {
                ended = async { tokio::join!(self.outcome_of_hold(window), lives) } => ended,
                ended = lost => return Err(Failed::from(format!("nothing came of it before the packets were back: {ended:?}"))),
            };
            lived?;
            if matches!(outcome, Outcome::Held) {
                return Err(Failed::from("a Secret that was there was held to be absent"));
            }
            self.settle().await?;
        }
        Ok(())
    }
}

async fn sees(sight: &Sight) -> Ended {
    let brief = Duration::from_secs(2);
    match (sight.outcome_of_hold(brief).await, sight.outcome_of_wait(brief).await) {
        (Outcome::Held, Outcome::Violated(_)) => Ok(()),
        other => Err(Failed::from(format!("{other:?}"))),
    }
}

fn is_out_of_sight(outcome: &Outcome) -> Ended {
    match outcome {
        Outcome::Unknown(why) if why.cause == Cause::WatchStale => Ok(()),
        other => Err(Failed::from(format!("{other:?}"))),
    }
}
