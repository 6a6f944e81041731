//! Evidence that would show that a route worked. No route is without: the match has no default.

use super::{
    Caller, GrantRoute, Identity, Impostor, Labelling, PlatformKind, PodRoute, Reading, Reference, Route, SecretOwner,
    Trick, Workload,
};

/// Evidence that would show that a route worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::p08_access_control) enum Consequence {
    /// The answer holds a value that is not the actor's own.
    Answer,
    /// The API server made the object; what comes of that is for a kubelet to show.
    Object,
    /// A token came back, with which the source can be read.
    Token,
    /// A user of the actor's choice may read the source.
    Right,
    /// The API server kept this field, which names another namespace.
    Field(&'static str),
    /// A Secret in the actor's reach holds a value that is not its own.
    Value,
    /// A Secret exists that is not due, or is made by way of what another tenant keeps.
    Copy,
    /// A Secret of this type exists.
    SecretOfType(&'static str),
    /// A Secret holds what a name server answered, which was asked for a name of the actor's choice.
    Resolved,
    /// The actor's own server was told a value.
    Told,
    /// The actor's own server was shown a token of the operator.
    LoggedIn,
    /// The source holds the actor's value.
    SourceChanged,
    /// The account of a store has a right beyond the sources that are read through the store.
    Beyond,
}

/// The type for which Kubernetes issues a token.
pub(in crate::p08_access_control) const ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";
/// The type that Kubernetes takes as a token.
pub(in crate::p08_access_control) const BOOTSTRAP_TOKEN: &str = "bootstrap.kubernetes.io/token";

impl Route {
    /// Evidence that would show that it worked.
    pub(in crate::p08_access_control) const fn consequence(self) -> Consequence {
        match self {
            Self::Read(
                SecretOwner::Source | SecretOwner::Neighbour,
                Reading::Get | Reading::List | Reading::Watch | Reading::ListEverywhere,
            )
            | Self::Impersonate(Identity::Operator | Identity::StoreAccount | Identity::Masters) => Consequence::Answer,
            Self::CentralStore(
                Reference::Spec | Reference::Entry | Reference::Extract | Reference::Find | Reference::Apply,
            )
            | Self::OwnStore(Impostor::AccountOfTheSameName | Impostor::OperatorFile)
            | Self::Platform(PlatformKind::ClusterExternalSecret | PlatformKind::ClusterSecretStore)
            | Self::Template(
                Trick::Data
                | Trick::Literal
                | Trick::Label
                | Trick::Annotation
                | Trick::Rewrite
                | Trick::ConfigMap
                | Trick::Secret
                | Trick::Target,
                _,
            )
            | Self::Conditions => Consequence::Value,
            Self::OwnStore(Impostor::OperatorLogin) => Consequence::LoggedIn,
            Self::OwnStore(Impostor::ForeignAuthority)
            | Self::Label(
                Labelling::Patch | Labelling::Replace | Labelling::Status | Labelling::Finalize | Labelling::Create,
            ) => Consequence::Copy,
            Self::Platform(PlatformKind::ClusterGenerator) | Self::Webhook(Caller::Generator | Caller::Store) => {
                Consequence::Told
            }
            Self::Platform(PlatformKind::PushSecret | PlatformKind::ClusterPushSecret) => Consequence::SourceChanged,
            Self::Template(Trick::HostByName, _) => Consequence::Resolved,
            Self::Template(Trick::AccountToken, _) => Consequence::SecretOfType(ACCOUNT_TOKEN),
            Self::Template(Trick::BootstrapToken, _) => Consequence::SecretOfType(BOOTSTRAP_TOKEN),
            Self::Token(Identity::Operator | Identity::StoreAccount | Identity::Masters) => Consequence::Token,
            Self::Pod(
                PodRoute::BesideTheSource
                | PodRoute::AsOperator
                | PodRoute::Ephemeral
                | PodRoute::Workload(
                    Workload::Deployment
                    | Workload::DaemonSet
                    | Workload::StatefulSet
                    | Workload::Job
                    | Workload::CronJob,
                ),
            ) => Consequence::Object,
            Self::Pod(PodRoute::ForeignVolume) => Consequence::Field("/spec/volumes/0/secret/namespace"),
            Self::Grant(GrantRoute::Beside | GrantRoute::Existing | GrantRoute::Everywhere) => Consequence::Right,
            Self::StoreAccount => Consequence::Beyond,
        }
    }

    /// Why it cannot be seen to work on any configuration, if it cannot.
    pub(in crate::p08_access_control) const fn unarmed(self) -> Option<&'static str> {
        match self {
            Self::Pod(PodRoute::ForeignVolume) => {
                Some("refused by Kubernetes itself: a volume has no field that names another namespace")
            }
            Self::OwnStore(Impostor::OperatorLogin) => {
                Some("an operator that runs outside a pod has no token file at the path that Vault's login reads")
            }
            _ => None,
        }
    }
}

impl Consequence {
    /// Name, for a reason in the report.
    pub(in crate::p08_access_control) const fn text(self) -> &'static str {
        match self {
            Self::Answer => "the answer holds it",
            Self::Object => "the API server made the object",
            Self::Token => "a token came back that reads the source",
            Self::Right => "a user of its own choice may read the source",
            Self::Field(_) => "the API server kept a field that names another namespace",
            Self::Value => "a Secret holds a value of others",
            Self::Copy => "a Secret was made that is not due",
            Self::SecretOfType(_) => "a Secret of a token's type was made",
            Self::Resolved => "a name server was asked, and a Secret holds the answer",
            Self::Told => "its own server was told a value of others",
            Self::LoggedIn => "its own server was shown a token of the operator",
            Self::SourceChanged => "the source holds its own value",
            Self::Beyond => "the account of a store has rights beyond its sources",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kubernetes_refuses_or_no_process_can_show_is_unarmed() {
        let unarmed = Route::all().into_iter().filter(|route| route.unarmed().is_some()).count();
        assert_eq!(unarmed, 2);
    }
}
