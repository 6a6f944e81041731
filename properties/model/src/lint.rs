//! Faults of a configuration that reading it tells, without a cluster: one rule for each.
//!
//! ```text
//!  Context ──▶ rules ──▶ findings ──▶ output
//!  what was    one file  each with    text, JSON, SARIF
//!  read        a fault   its place
//!     helpers: admission, audit, identities, rights, sources, templates, worlds
//! ```
//!
//! A rule is silent on what it does not understand, so that a finding is never a guess. A rule that has a twin in
//! `fixtures/broken`, a configuration with that one fault, has its name.

use std::fmt;
use std::path::{Path, PathBuf};

use credence_core::id::Requirement;
use credence_core::manifest::Manifest;

use crate::config::{ClusterSecretStore, Config, DeclaredDistribution, SourcePosition};
use crate::model::{Distribution, Model, VaultPath, VaultRole, VaultSecretLogin};

mod admission;
mod audit;
mod identities;
pub mod output;
mod rights;
mod rules;
mod sources;
mod templates;
#[cfg(test)]
mod tests;
mod worlds;

pub use identities::{GARBAGE_COLLECTOR, NAMESPACE_CONTROLLER};
pub(crate) use identities::{Identity, named_in};
use rules::RULES;

/// The things that rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Manifests as they are written, and what is typed of them.
    pub config: &'a Config,
    /// The model of `config`, with the team's intent if there is one.
    pub model: &'a Model,
    /// The files that the API server is started with; empty if the configuration has none.
    pub control_plane: &'a [Manifest],
}

impl<'a> Context<'a> {
    /// The stores that log in at Vault with a role that the intent has, each with that role.
    fn vault_roles(&self) -> impl Iterator<Item = (&'a ClusterSecretStore, &'a VaultRole)> {
        let model = self.model;
        model.stores.values().filter_map(|store| {
            let login = store.vault_login()?;
            Some((store, model.intended.vault_role(&login)?))
        })
    }

    /// The stores that log in at Vault with a Secret of which the intent has what it allows.
    fn vault_secret_logins(&self) -> impl Iterator<Item = (&'a ClusterSecretStore, &'a VaultSecretLogin)> {
        let model = self.model;
        model.stores.values().filter_map(|store| Some((store, model.intended.vault_secret_login(&store.name)?)))
    }

    /// The stores that log in at Vault, each with the login in words and the paths that it may use, as far as the intent has them.
    fn vault_logins(&self) -> impl Iterator<Item = (&'a ClusterSecretStore, String, &'a [VaultPath])> {
        let roles = self.vault_roles().map(|(store, role)| (store, format!("Vault role {}", role.name), &*role.paths));
        roles.chain(self.vault_secret_logins().map(|(store, login)| (store, login.name(), &*login.paths)))
    }

    /// The place of what a distribution of the model was derived from.
    fn place(&self, distribution: &Distribution) -> &SourcePosition {
        self.declared(distribution).place
    }

    /// True if a distribution of the model reads something that can be updated: what a generator makes has no source to follow.
    fn has_source(&self, distribution: &Distribution) -> bool {
        !self.declared(distribution).spec.reads_only_generators()
    }

    fn declared(&self, distribution: &Distribution) -> DeclaredDistribution<'_> {
        // The model is that of the configuration, so each of its distributions has one.
        self.config.declared(&distribution.name).expect("a distribution of the configuration")
    }
}

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Something works, and not as it should.
    Warning,
    /// Something is refused, or never works.
    Error,
}

impl Severity {
    /// `note`, `warning` or `error`, which are levels of SARIF as well.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A rule, which finds one fault.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The name: that of the rule's twin in `fixtures/broken`, where there is one.
    pub id: &'static str,
    /// The requirement that the fault breaks.
    pub requirement: Requirement,
    /// Weight of each of its findings.
    pub severity: Severity,
    /// The fault in a few words.
    pub summary: &'static str,
    /// The way to mend the fault, and why.
    pub help: &'static str,
    /// Finds the fault wherever it is; empty where there is none, or where it cannot be told.
    pub check: fn(&Context<'_>) -> Vec<Finding>,
}

impl Rule {
    /// The fault, found at an object.
    fn at(&self, place: &SourcePosition, message: impl Into<String>) -> Finding {
        Finding {
            rule: self.id,
            requirement: self.requirement,
            severity: self.severity,
            object: place.object.clone(),
            file: place.file.clone(),
            line: Some(place.line),
            message: message.into(),
            help: self.help,
        }
    }
}

/// A fault that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// [`Rule::id`] of the rule that found it.
    pub rule: &'static str,
    /// The requirement that the fault breaks.
    pub requirement: Requirement,
    /// Weight of the finding, which is that of its rule.
    pub severity: Severity,
    /// Kind, namespace and name of the object.
    pub object: String,
    /// The file; for rendered manifests, the directory that was rendered.
    pub file: PathBuf,
    /// The 1-based line of the file; `None` where it says nothing, as for rendered manifests.
    pub line: Option<usize>,
    /// The fault as it is at this object, for a person.
    pub message: String,
    /// The way to mend it.
    pub help: &'static str,
}

impl Finding {
    /// The key by which findings are listed.
    fn place(&self) -> (&Path, Option<usize>, &str, &str) {
        (&self.file, self.line, self.rule, &self.message)
    }

    /// True if a configuration with this finding is not accepted.
    pub fn fails(&self) -> bool {
        self.severity > Severity::Note
    }
}

/// Every finding of every rule, by place; each once.
pub fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| (rule.check)(context)).collect();
    findings.sort_by(|one, other| one.place().cmp(&other.place()));
    findings.dedup();
    findings
}
