//! The team's intent, as far as a model goes by it: names of the intent resolved to what the configuration has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use credence_core::consumer::Consumer;
use credence_core::id::PropertyId;
use credence_core::labels::Labels;
use credence_core::manifest::Location;

use super::witness::ANY_NAME;
use super::{Distribution, Model, VaultRole, VaultSecretLogin, expected_in};
use crate::config::VaultLogin;
use crate::selector::effective_labels;

/// The group of those who may do everything, among them the administrator of a cluster that is tested.
pub const ADMINISTRATORS: &str = "system:masters";

/// A team's word on its configuration; empty if it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intended {
    /// Namespaces that must have something, and those that must not.
    pub examples: Vec<Example>,
    /// Namespaces that no copy may ever reach.
    pub protected: BTreeSet<String>,
    /// Subjects that may do what tenants may not.
    pub identities: Identities,
    /// Users of copies that nothing else tells of.
    pub purposes: Vec<Purpose>,
    /// Properties that do not apply, each with its reason.
    pub not_applicable: BTreeMap<PropertyId, NotApplicable>,
    /// The time that updates of a distribution may take beside its refresh interval and the queue, by its name.
    pub slacks: BTreeMap<String, Slack>,
    /// The roles with which stores log in at Vault.
    pub vault: Vec<VaultRole>,
    /// Its logins of stores with what is in a Secret.
    pub vault_secret_logins: Vec<VaultSecretLogin>,
}

/// A namespace as it could be, with what it must have and must not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Place of the example in the file of the intent.
    pub at: Location,
    /// The name that the namespace must have; none if it may have any.
    pub name: Option<String>,
    /// Labels that the namespace has, all of them.
    pub labels: Labels,
    /// The copies that it must have.
    pub must_have: Vec<Wanted>,
    /// The copies that it must not have.
    pub must_not_have: Vec<Wanted>,
    /// The team's reason; none if it gives none.
    pub reason: Option<String>,
}

/// A copy that an example names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The place of its name.
    pub at: Location,
    /// Its name, as the intent has it.
    pub name: String,
    /// The distributions that make it: at least one, and several if they make copies of one name.
    pub distributions: Vec<String>,
}

/// Identities, by the names that the API server gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identities {
    /// The place; none if the intent names nobody.
    pub at: Option<Location>,
    /// The user name of External Secrets Operator.
    pub operator: Option<String>,
    /// The groups of the platform team.
    pub platform_groups: Vec<String>,
    /// The users who may write copies by hand in an emergency.
    pub break_glass_users: Vec<String>,
    /// The groups who may do so.
    pub break_glass_groups: Vec<String>,
}

impl Identities {
    /// True if a user or a group has one of these names.
    pub fn name(&self, identity: &str) -> bool {
        let lists = [&self.platform_groups, &self.break_glass_users, &self.break_glass_groups];
        self.operator.as_deref() == Some(identity) || lists.into_iter().flatten().any(|own| own == identity)
    }
}

/// Consumer of the copies of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// Place of the entry in the file of the intent.
    pub at: Location,
    /// Names of the distributions whose copies are used.
    pub distributions: Vec<String>,
    /// Consumer of those copies, or whoever else uses them.
    pub user: User,
    /// Keys that are meant to be there although the configuration does not name them.
    pub keys: BTreeSet<String>,
}

/// User of copies, as the team names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// One that the copies can be tried with.
    Known(Consumer),
    /// Anybody else, in the team's words.
    Other(String),
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(consumer) => f.write_str(consumer.title()),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// Why a property does not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotApplicable {
    /// Place of the entry in the file of the intent.
    pub at: Location,
    /// The team's reason, which reports quote.
    pub reason: String,
}

impl fmt::Display for NotApplicable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not applicable by the intent ({}): {}", self.at, self.reason)
    }
}

/// A bound that the intent has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slack {
    /// Place of the entry in the file of the intent.
    pub at: Location,
    /// The time beside the refresh interval and the queue.
    pub time: Duration,
    /// The team's reason; none if it gives none.
    pub reason: Option<String>,
}

/// Why a namespace does not get a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotGiven {
    /// Neither a selector nor a name of the distribution matches it.
    NotSelected,
    /// A selector matches, and this store does not admit the namespace.
    NotAdmitted(String),
}

impl Intended {
    /// The role of Vault's Kubernetes auth method that a store logs in with, if it is written down.
    pub fn vault_role(&self, login: &VaultLogin<'_>) -> Option<&VaultRole> {
        self.vault.iter().find(|role| role.mount_path == login.mount_path && role.name == login.role)
    }

    /// The login with a Secret that the team has written down of a store.
    pub fn vault_secret_login(&self, store: &str) -> Option<&VaultSecretLogin> {
        self.vault_secret_logins.iter().find(|login| login.store == store)
    }
}

impl Distribution {
    /// True if the selectors and the conditions of the stores give a namespace its copy, whatever is meant. Without a name, the
    /// namespace has one that nothing looks for.
    ///
    /// # Errors
    /// Obstacle that keeps it from that.
    pub fn gives(&self, namespace: Option<&str>, labels: &Labels) -> Result<(), NotGiven> {
        let labels = effective_labels(namespace.unwrap_or(ANY_NAME), labels);
        if !self.selection.matches(&labels) {
            return Err(NotGiven::NotSelected);
        }
        let refusing = self.stores.iter().find(|store| !store.admits(&labels));
        refusing.map_or(Ok(()), |store| Err(NotGiven::NotAdmitted(store.name.clone())))
    }
}

impl Example {
    /// The namespace in words, such as `a namespace with team=a`.
    pub fn namespace(&self) -> String {
        let labels: Vec<String> = self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        match (&self.name, labels.is_empty()) {
            (Some(name), true) => format!("namespace {name}"),
            (Some(name), false) => format!("namespace {name} with {}", labels.join(" and ")),
            (None, true) => "a namespace without labels".to_owned(),
            (None, false) => format!("a namespace with {}", labels.join(" and ")),
        }
    }
}

impl Model {
    /// Takes what the team says of the configuration.
    ///
    /// Keys with a purpose are no longer unnamed, and a copy whose user is known is used by it.
    #[must_use]
    pub fn intending(mut self, intended: Intended) -> Self {
        for Purpose { distributions, user, keys, .. } in &intended.purposes {
            for distribution in
                self.distributions.iter_mut().filter(|distribution| distributions.contains(&distribution.name))
            {
                distribution.unnamed.retain(|key| !keys.contains(key));
                if let User::Known(consumer) = user {
                    self.endpoints.intend(*consumer, &distribution.secret);
                }
            }
        }
        self.intended = intended;
        self
    }

    /// The copies that a namespace of this name must hold by an example of the intent, by Secret name: of those that the example
    /// names it has the word, and of all others the manifests.
    pub fn intended_in(&self, example: &Example, namespace: &str) -> BTreeMap<String, &Distribution> {
        let mut expected = expected_in(self, namespace, &example.labels);
        let unwanted = |distribution: &Distribution| {
            example.must_not_have.iter().any(|one| one.distributions.contains(&distribution.name))
        };
        expected.retain(|_, distribution| !unwanted(distribution));
        for Wanted { distributions, .. } in &example.must_have {
            if !expected.values().any(|distribution| distributions.contains(&distribution.name)) {
                let made = self.distributions.iter().find(|distribution| distributions.contains(&distribution.name));
                expected.extend(made.map(|distribution| (distribution.secret.clone(), distribution)));
            }
        }
        expected
    }

    /// True if the administrator of the cluster may write copies by hand.
    pub fn administrator_breaks_glass(&self) -> bool {
        self.intended.identities.break_glass_groups.iter().any(|group| group == ADMINISTRATORS)
    }
}
