//! Copies that a case of Backstage needs. Pure.

use credence_core::consumer::Consumer;
use credence_core::formats::{BACKSTAGE, KARGO_GIT, KUBELET, OAUTH_CLIENT};
use credence_model::config::SourceRef;
use credence_model::model::Model;

use super::issue::CredentialKind;
use super::judged::consumed;

/// The copies that Backstage needs, by their distributions' names.
#[derive(Debug, Clone)]
pub(crate) struct BackstageCopies {
    pub(super) registry: String,
    pub(super) client: String,
    pub(super) token: String,
}

impl BackstageCopies {
    /// The copies of a configuration, if it has all three, with the sources of client and account.
    pub(super) fn of(model: &Model) -> Option<(Self, [&SourceRef; 2])> {
        if model.absent_consumers.contains_key(&BACKSTAGE) {
            return None;
        }
        let of_kind = |kind: CredentialKind| {
            let sources =
                model.sources.iter().filter(move |(_, source)| CredentialKind::of(&source.keys) == Some(kind));
            sources.map(|(source, _)| source)
        };
        let distribution = |source: &SourceRef, consumer: Consumer| {
            let all = consumed(model, source);
            // Whatever uses it beside Backstage, that is a copy of this kind.
            let found = all.into_iter().find(|choice| Consumer::of(&choice.distribution.shape()) == Some(consumer));
            found.map(|choice| choice.distribution.name.clone())
        };
        let client = |source| Some((distribution(source, OAUTH_CLIENT)?, source));
        let account = |source| Some((distribution(source, KUBELET)?, distribution(source, KARGO_GIT)?, source));
        let (client, client_source) = of_kind(CredentialKind::Client).find_map(client)?;
        let (registry, token, account_source) = of_kind(CredentialKind::Account).find_map(account)?;
        Some((Self { registry, client, token }, [client_source, account_source]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_all_three_copies_has_no_case_of_backstage() {
        assert!(BackstageCopies::of(&Model::default()).is_none());
    }
}
