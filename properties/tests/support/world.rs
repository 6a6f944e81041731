//! A cluster with the reference configuration and a monitor that watches it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use credence_cluster::apply::Applier;
use credence_cluster::cluster::Cluster;
use credence_core::manifest::{Manifest, parse_documents};
use credence_model::config::{Config, SourceRef};
use credence_model::model::{Distribution, Model};
use credence_model::overlay::{self, Server, Time};
use credence_monitor::monitor::{Monitor, MonitorError, Options, RBAC, USER_AGENT};
use credence_programs::configuration::Parameters;
use credence_programs::dirs;
use credence_programs::supply::{self, PlainProgress};
use credence_suite::load::load;
use credence_suite::testbed::{WORKERS, deploy};
use credence_watch::connect::connect;
use credence_watch::wait::{self, Progress};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::cluster::{self, failed};
use crate::shared::{Ended, System};

/// Time that the operator may take for what is its own: its backoff, after the failures that a trial makes, is the longest.
pub(crate) const SETTLED: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Namespaces that ask for everything.
pub(crate) const NAMESPACES: usize = 4;

/// A cluster with the configuration, namespaces that ask for everything, and a monitor.
pub(crate) struct World {
    // It goes before the cluster that it watches.
    monitor: Monitor,
    pub(crate) cluster: Cluster,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) model: Model,
}

impl System for World {
    async fn start() -> Result<Self, Failed> {
        let options = supply::Options::new(dirs::cache().map_err(failed)?);
        let cluster = cluster::start("monitor", &options).await?;
        let parameters = Parameters::default();
        let loaded = load(None, &parameters, cluster.directory(), &options, &PlainProgress::new()).await;
        let (_, mut manifests) = loaded.map_err(failed)?;
        manifests.retain(|manifest| manifest.kind() != "ValidatingAdmissionPolicyBinding");
        let server = Server { url: cluster.description.url_for_operator.clone(), ..Server::default() };
        overlay::apply(&mut manifests, &server, Time::Compressed);
        let model = Model::derive(&Config::from_manifests(manifests.clone()).map_err(failed)?);
        deploy::deploy(&cluster, &manifests, &BTreeSet::new(), &BTreeMap::new()).await.map_err(failed)?;
        let rbac = parse_documents(Path::new("rbac.yaml"), RBAC).map_err(failed)?;
        let applier = Applier::discover(&cluster.client).await.map_err(failed)?;
        applier.apply_all(rbac.iter().map(|manifest| &manifest.object)).await.map_err(failed)?;
        let kubeconfig = contexts(&cluster)?;
        let began = Instant::now();
        let monitor = monitor(&kubeconfig, "monitor", &model).await?.map_err(failed)?;
        println!("in sight after {:.1?}", began.elapsed());
        let world = Self { monitor, cluster, kubeconfig, manifests, model };
        world.make_namespaces().await?;
        Ok(world)
    }
}

impl World {
    pub(crate) fn client(&self) -> &Client {
        &self.cluster.client
    }

    async fn make_namespaces(&self) -> Ended {
        let namespaces: Api<Namespace> = Api::all(self.client().clone());
        let labels: BTreeMap<String, String> = self
            .model
            .distributions
            .iter()
            .filter_map(|distribution| distribution.opt_in_labels().into_iter().next())
            .flatten()
            .collect();
        let ways = self.model.distributions.iter().flat_map(|distribution| distribution.named_ways());
        let named = ways.flat_map(|(names, labels)| names.into_iter().map(move |name| (name, labels.clone())));
        let asking = (0..NAMESPACES).map(|number| (format!("asking-{number}"), labels.clone()));
        for (name, labels) in named.chain(asking).chain([("other".to_owned(), BTreeMap::new())]) {
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(name);
            namespace.metadata.labels = Some(labels);
            namespaces.create(&PostParams::default(), &namespace).await.map_err(failed)?;
        }
        Ok(())
    }

    /// A credential that namespaces ask for by label, of the type of pull secrets if there is one.
    pub(crate) fn distribution(&self) -> &Distribution {
        let distributions =
            || self.model.distributions.iter().filter(|distribution| !distribution.opt_in_labels().is_empty());
        let pull = distributions().find(|distribution| distribution.secret_type == "kubernetes.io/dockerconfigjson");
        pull.or_else(|| distributions().next()).expect("the reference configuration selects by label")
    }

    pub(crate) async fn get(&self, path: &str) -> Result<reqwest::Response, Failed> {
        reqwest::get(format!("http://{}{path}", self.monitor.address())).await.map_err(failed)
    }

    pub(crate) async fn scrape(&self) -> Result<String, Failed> {
        self.get("/metrics").await?.text().await.map_err(failed)
    }

    /// Scrapes until the metrics are as they should be; gives how long that took.
    pub(crate) async fn until(
        &self,
        what: &str,
        within: Duration,
        is_so: impl Fn(&Scrape) -> bool,
    ) -> Result<Duration, Failed> {
        let began = Instant::now();
        wait::poll(what, within, POLL_INTERVAL, || async {
            match self.scrape().await {
                Ok(text) if is_so(&Scrape(&text)) => Progress::Done(()),
                Ok(text) => Progress::NotYet(Scrape(&text).problems()),
                Err(error) => Progress::NotYet(format!("{:?}", error.message())),
            }
        })
        .await
        .map_err(failed)?;
        println!("{what} after {:.2?}", began.elapsed());
        Ok(began.elapsed())
    }

    /// Waits until nothing is wrong any more.
    pub(crate) async fn until_in_order(&self) -> Ended {
        let in_order = |scrape: &Scrape<'_>| {
            self.model.distributions.iter().all(|distribution| {
                let label = credential(distribution);
                let asked = scrape.value("credence_dependent_namespaces", &label);
                asked > 0.0 && scrape.value("credence_copies", &label) == asked
            }) && scrape.problems().is_empty()
        };
        self.until("nothing is wrong", SETTLED, in_order).await.map(drop)
    }

    pub(crate) async fn rotate(&self, source: &SourceRef) -> Ended {
        let value = ByteString(format!("rotated at {}", jiff::Timestamp::now()).into_bytes());
        let data: BTreeMap<&String, &ByteString> =
            self.model.sources[source].keys.iter().map(|key| (key, &value)).collect();
        let secrets: Api<Secret> = Api::namespaced(self.client().clone(), &source.namespace);
        let patch = Patch::Merge(json!({ "data": data }));
        secrets.patch_metadata(&source.name, &PatchParams::default(), &patch).await.map(drop).map_err(failed)
    }
}

pub(crate) fn credential(distribution: &Distribution) -> String {
    format!("credential=\"{}\"", distribution.name)
}

/// The text of a scrape.
pub(crate) struct Scrape<'a>(pub(crate) &'a str);

impl Scrape<'_> {
    /// The value of a series, which has exactly these labels; not a number if there is none.
    pub(crate) fn value(&self, name: &str, labels: &str) -> f64 {
        let series = format!("{name}{{{labels}}} ");
        let value = self.0.lines().find_map(|line| line.strip_prefix(&series));
        value.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
    }

    /// The series that say that something is wrong now.
    pub(crate) fn problems(&self) -> String {
        let is_problem = |line: &&str| {
            let counts = ["missing", "unasked", "stale", "drifted", "hand_made", "failed{", "overdue"];
            let wrong = line.starts_with("credence_") && !line.contains("watch_failures");
            let counted = wrong && counts.iter().any(|part| line.contains(part)) && !line.ends_with(" 0");
            let out_of_sight = line.starts_with("credence_watch_up") && line.ends_with(" 0");
            let is_store = line.starts_with("credence_store_state") && line.ends_with(" 1");
            counted || out_of_sight || (is_store && !line.contains("state=\"valid\""))
        };
        self.0.lines().filter(is_problem).collect::<Vec<_>>().join("; ")
    }
}

pub(crate) async fn monitor(
    kubeconfig: &Path,
    context: &str,
    model: &Model,
) -> Result<Result<Monitor, MonitorError>, Failed> {
    let client = connect(Some(kubeconfig), Some(context), USER_AGENT).await.map_err(failed)?;
    let options = Options { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), workers: WORKERS };
    Ok(Monitor::start(&client, model.clone(), &options).await)
}

/// A kubeconfig with two contexts: the ServiceAccount of the monitor, and a user without any rights.
fn contexts(cluster: &Cluster) -> Result<PathBuf, Failed> {
    let mut config: Value = serde_json::from_slice(&fs::read(&cluster.description.kubeconfig)?)?;
    let administrator = config["users"][0]["user"].clone();
    let user = |name: &str, account: &str| {
        let mut user = administrator.clone();
        user["as"] = json!(account);
        (
            json!({ "name": name, "user": user }),
            json!({ "name": name, "context": { "cluster": "credence", "user": name } }),
        )
    };
    let both = [
        user("monitor", "system:serviceaccount:credence-monitor:credence-monitor"),
        user("stranger", "system:serviceaccount:default:default"),
    ];
    let (users, contexts): (Vec<Value>, Vec<Value>) = both.into_iter().unzip();
    config["users"] = users.into();
    config["contexts"] = contexts.into();
    let path = cluster.directory().join("monitor.kubeconfig");
    fs::write(&path, config.to_string())?;
    Ok(path)
}
