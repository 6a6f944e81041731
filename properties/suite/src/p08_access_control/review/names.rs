//! Objects by whose names alone a right could be given. Pure.

use std::collections::{BTreeMap, BTreeSet};

use credence_cluster::operator;
use credence_model::config::{ClusterSecretStore, ServiceAccountRef};
use credence_model::model::Model;

use super::power::{Objects, Power};
use super::subject::Subject;
use crate::p08_access_control::objective::sources_of;
use crate::testbed::bindings::Binding;

/// Groups whose members may do everything.
const ADMINISTRATORS: [&str; 2] = ["system:masters", "kubeadm:cluster-admins"];

/// Names of objects, by what they are and the namespace that they are in.
pub(super) struct Names {
    all: BTreeMap<(Objects, String), BTreeSet<String>>,
    policies: BTreeSet<String>,
}

impl Names {
    /// Sources, what stores log in with, accounts and policies of a configuration.
    pub(super) fn of(model: &Model) -> Self {
        let mut names = Self { all: BTreeMap::new(), policies: model.admission_policies.clone() };
        for source in model.secret_sources() {
            names.insert(Objects::Sources, &source.namespace, &source.name);
        }
        for (namespace, name) in model.stores.values().flat_map(ClusterSecretStore::login_secrets) {
            names.insert(Objects::Sources, namespace, name);
        }
        for account in model.stores.values().filter_map(account) {
            if let Some(namespace) = &account.namespace {
                names.insert(Objects::Accounts, namespace, &account.name);
            }
        }
        names.insert(Objects::Accounts, operator::NAMESPACE, operator::SERVICE_ACCOUNT);
        names
    }

    /// Adds a binding of the configuration, and the Role that it gives.
    pub(super) fn add(&mut self, binding: &Binding) {
        let Some(namespace) = &binding.namespace else { return };
        self.insert(Objects::Bindings, namespace, &binding.name);
        if binding.role.kind == "Role" {
            self.insert(Objects::Roles, namespace, &binding.role.name);
        }
    }

    fn insert(&mut self, objects: Objects, namespace: &str, name: &str) {
        self.all.entry((objects, namespace.to_owned())).or_default().insert(name.to_owned());
    }

    /// Objects by whose names a right could be given to somebody who is to have none. The account of a store reads its
    /// sources, and one beside the sources may be what renews them.
    pub(super) fn of_power(
        &self,
        model: &Model,
        subject: &Subject,
        power: &Power,
        namespace: &str,
    ) -> BTreeSet<String> {
        let of = |objects: Objects| self.all.get(&(objects, namespace.to_owned())).cloned().unwrap_or_default();
        match power.objects {
            Objects::All => BTreeSet::new(),
            Objects::Sources if power.verb == "get" => {
                let own = read_by(model, subject, namespace);
                of(Objects::Sources).into_iter().filter(|name| !own.contains(name.as_str())).collect()
            }
            Objects::WrittenSources if subject.as_account().is_some_and(|(home, _)| home == namespace) => {
                BTreeSet::new()
            }
            Objects::WrittenSources => of(Objects::Sources),
            Objects::Administrators => ADMINISTRATORS.map(str::to_owned).into(),
            Objects::Policies => self.policies.clone(),
            objects @ (Objects::Sources | Objects::Accounts | Objects::Roles | Objects::Bindings) => of(objects),
        }
    }
}

fn account(store: &ClusterSecretStore) -> Option<&ServiceAccountRef> {
    store.kubernetes.as_ref()?.service_account()
}

/// The sources of a namespace that somebody may read as the account of a store.
fn read_by<'a>(model: &'a Model, subject: &Subject, namespace: &str) -> BTreeSet<&'a str> {
    let Some((home, name)) = subject.as_account() else { return BTreeSet::new() };
    let is_it = |account: &ServiceAccountRef| {
        account.name == name && account.namespace.as_deref().is_none_or(|namespace| namespace == home)
    };
    let stores = model.stores.values().filter(|store| account(store).is_some_and(is_it));
    let sources = stores.flat_map(|store| sources_of(model, &store.name));
    sources.filter(|source| source.namespace == namespace).map(|source| source.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use credence_model::model::testing::reference;
    use rstest::rstest;

    use super::*;

    const CENTRAL: &str = "central-secret-store";

    #[rstest]
    #[case::of_people(Subject::group("developers"), "get", &["github-oauth", "github-pat", "wildcard-tls"])]
    #[case::of_a_store(Subject::account(CENTRAL, "github-pat"), "get", &["github-oauth", "wildcard-tls"])]
    #[case::of_an_account_elsewhere(Subject::account("team", "github-pat"), "get", &["github-oauth", "github-pat", "wildcard-tls"])]
    #[case::watched_by_its_store(Subject::account(CENTRAL, "github-pat"), "list", &["github-oauth", "github-pat", "wildcard-tls"])]
    fn everybody_is_asked_for_the_sources_that_are_not_his(
        #[case] subject: Subject,
        #[case] verb: &'static str,
        #[case] expected: &[&str],
    ) {
        let model = reference();
        let power = Power::new(verb, "", "secrets");
        let power = Power { objects: Objects::Sources, ..power };
        let names = Names::of(&model).of_power(&model, &subject, &power, CENTRAL);
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::people(Subject::group("developers"), 3)]
    #[case::who_may_renew_them(Subject::account(CENTRAL, "renewal"), 0)]
    #[case::an_account_elsewhere(Subject::account("team", "ci"), 3)]
    fn an_account_beside_the_sources_may_write_them_by_name(#[case] subject: Subject, #[case] number: usize) {
        let model = reference();
        let power = Power { objects: Objects::WrittenSources, ..Power::new("update", "", "secrets") };
        assert_eq!(Names::of(&model).of_power(&model, &subject, &power, CENTRAL).len(), number);
    }

    #[test]
    fn accounts_are_those_of_stores_and_of_the_operator() {
        let model = reference();
        let power = Power { objects: Objects::Accounts, ..Power::new("impersonate", "", "serviceaccounts") };
        let of = |namespace| Names::of(&model).of_power(&model, &Subject::anonymous(), &power, namespace);
        assert_eq!(of(CENTRAL).len(), 3);
        assert_eq!(of(operator::NAMESPACE), ["external-secrets".to_owned()].into());
    }
}
