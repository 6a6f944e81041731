//! Every route there is, and the generators of attempts.

use credence_model::model::Model;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use super::{
    AttackPath, Caller, Disguise, GrantRoute, Identity, Impostor, Labelling, PlatformKind, PodRoute, Reading,
    Reference, Route, SecretOwner, Trick, Workload,
};
use crate::p08_access_control::objective::objective;

const PLACES: [SecretOwner; 2] = [SecretOwner::Source, SecretOwner::Neighbour];
const READINGS: [Reading; 4] = [Reading::Get, Reading::List, Reading::Watch, Reading::ListEverywhere];
const REFERENCES: [Reference; 5] =
    [Reference::Spec, Reference::Entry, Reference::Extract, Reference::Find, Reference::Apply];
const IMPOSTORS: [Impostor; 4] =
    [Impostor::AccountOfTheSameName, Impostor::OperatorFile, Impostor::OperatorLogin, Impostor::ForeignAuthority];
const PLATFORM: [PlatformKind; 5] = [
    PlatformKind::ClusterExternalSecret,
    PlatformKind::ClusterSecretStore,
    PlatformKind::ClusterGenerator,
    PlatformKind::PushSecret,
    PlatformKind::ClusterPushSecret,
];
const TRICKS: [Trick; 11] = [
    Trick::Data,
    Trick::Literal,
    Trick::Label,
    Trick::Annotation,
    Trick::Rewrite,
    Trick::ConfigMap,
    Trick::Secret,
    Trick::HostByName,
    Trick::AccountToken,
    Trick::BootstrapToken,
    Trick::Target,
];
const DISGUISES: [Disguise; 5] =
    [Disguise::Plain, Disguise::Trimmed, Disguise::Argument, Disguise::Variable, Disguise::Pipe];
const CALLERS: [Caller; 2] = [Caller::Generator, Caller::Store];
const LABELLINGS: [Labelling; 5] =
    [Labelling::Patch, Labelling::Replace, Labelling::Status, Labelling::Finalize, Labelling::Create];
const IDENTITIES: [Identity; 3] = [Identity::Operator, Identity::StoreAccount, Identity::Masters];
/// Administrators are no ServiceAccounts, for which tokens are issued.
const ACCOUNTS: [Identity; 2] = [Identity::Operator, Identity::StoreAccount];
const PODS: [PodRoute; 9] = [
    PodRoute::BesideTheSource,
    PodRoute::AsOperator,
    PodRoute::ForeignVolume,
    PodRoute::Ephemeral,
    PodRoute::Workload(Workload::Deployment),
    PodRoute::Workload(Workload::DaemonSet),
    PodRoute::Workload(Workload::StatefulSet),
    PodRoute::Workload(Workload::Job),
    PodRoute::Workload(Workload::CronJob),
];
const GRANTS: [GrantRoute; 3] = [GrantRoute::Beside, GrantRoute::Existing, GrantRoute::Everywhere];

/// Any attempt. The layers that are tested by themselves come as often as the routes of tenants with several forms.
pub(in crate::p08_access_control) fn attack_path(model: &Model) -> BoxedStrategy<AttackPath> {
    let any = |routes: Vec<Route>| select(routes);
    // What Vault has, tenants reach through its stores alone.
    let only_vault =
        model.secret_sources().next().is_none() && model.sources.keys().any(|source| model.is_at_vault(source));
    if only_vault {
        let conditions = |objective| AttackPath { objective, route: Route::Conditions, afterwards: false };
        return objective(model).prop_map(conditions).boxed();
    }
    let route = prop_oneof![
        2 => any(readings()),
        3 => any(REFERENCES.map(Route::CentralStore).to_vec()),
        3 => any(IMPOSTORS.map(Route::OwnStore).to_vec()),
        3 => any(PLATFORM.map(Route::Platform).to_vec()),
        4 => (select(&TRICKS[..]), select(&DISGUISES[..])).prop_map(|(trick, how)| Route::Template(trick, how)),
        2 => any(CALLERS.map(Route::Webhook).to_vec()),
        4 => any(LABELLINGS.map(Route::Label).to_vec()),
        1 => any(IDENTITIES.map(Route::Impersonate).to_vec()),
        1 => any(ACCOUNTS.map(Route::Token).to_vec()),
        3 => any(PODS.map(Route::Pod).to_vec()),
        1 => any(GRANTS.map(Route::Grant).to_vec()),
        4 => Just(Route::Conditions),
        2 => Just(Route::StoreAccount),
    ];
    (objective(model), route, prop::bool::weighted(0.3))
        .prop_map(|(objective, route, afterwards)| AttackPath { objective, route, afterwards })
        .boxed()
}

fn readings() -> Vec<Route> {
    PLACES.into_iter().flat_map(|place| READINGS.map(|how| Route::Read(place, how))).collect()
}

impl Route {
    /// Every route that is told apart in the report. A template does the same in any disguise.
    pub(in crate::p08_access_control) fn all() -> Vec<Self> {
        let mut all = readings();
        all.extend(REFERENCES.map(Self::CentralStore));
        all.extend(IMPOSTORS.map(Self::OwnStore));
        all.extend(PLATFORM.map(Self::Platform));
        all.extend(TRICKS.map(|trick| Self::Template(trick, Disguise::Plain)));
        all.extend(CALLERS.map(Self::Webhook));
        all.extend(LABELLINGS.map(Self::Label));
        all.extend(IDENTITIES.map(Self::Impersonate));
        all.extend(ACCOUNTS.map(Self::Token));
        all.extend(PODS.map(Self::Pod));
        all.extend(GRANTS.map(Self::Grant));
        all.extend([Self::Conditions, Self::StoreAccount]);
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::strategy::ValueTree;

    use super::*;
    use crate::generate;

    fn generated(number: u32) -> impl Iterator<Item = Route> {
        (0..number).map(|index| {
            let mut runner = generate::runner(7, "p08", index);
            attack_path(&Model::default()).new_tree(&mut runner).unwrap().current().route
        })
    }

    #[test]
    fn three_hundred_attempts_go_by_every_title() {
        let titles: BTreeSet<&str> = generated(300).map(Route::title).collect();
        let all: BTreeSet<&str> = Route::all().into_iter().map(Route::title).collect();
        assert_eq!(titles, all);
    }

    #[test]
    fn what_is_generated_is_among_all_routes_and_each_has_a_name_of_its_own() {
        let all = Route::all();
        let names: BTreeMap<String, Route> = all.iter().map(|route| (route.to_string(), *route)).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
        let generated: BTreeSet<String> = generated(2_000).map(|route| route.to_string()).collect();
        let all: BTreeSet<String> = names.into_keys().collect();
        assert_eq!(generated, all);
        assert!(all.contains("impersonate, of External Secrets Operator"), "{all:?}");
    }
}
