//! The routes by which somebody could come by a value, and their generators. Pure.

use std::fmt;

use credence_model::model::Model;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use super::aim::{Aim, aim};

/// One attempt.
#[derive(Debug, Clone)]
pub(super) struct Trespass {
    pub(super) aim: Aim,
    pub(super) route: Route,
    /// Whether something harmless is made first, and changed then.
    pub(super) afterwards: bool,
}

/// How a value could be come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Read it where it is.
    Read(Place, Reading),
    /// Have an ExternalSecret of one's own read a central store.
    CentralStore(Reference),
    /// Have a store of one's own read the source.
    OwnStore(Impostor),
    /// Make what belongs to the platform.
    Platform(PlatformKind),
    /// Have a template of one's own reach out.
    Template(Trick, Disguise),
    /// Have a webhook of one's own be told.
    Webhook(Caller),
    /// Grant it to oneself by the labels of one's own namespace.
    Label(Labelling),
    /// Act as somebody who may read it.
    Impersonate(Identity),
    /// Ask for a token of somebody who may read it.
    Token(Identity),
    /// Let a pod read it.
    Pod(PodRoute),
    /// Give oneself the right.
    Grant,
    /// Tested by itself: the conditions of a store, with an ExternalSecret that admission lets pass.
    Conditions,
    /// Tested by itself: what the ServiceAccount of a store may read.
    StoreAccount,
}

/// Whose Secret is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The source.
    Source,
    /// Another tenant's.
    Neighbour,
}

/// By which verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// One by name.
    Get,
    /// All of the namespace.
    List,
    /// All of the namespace, as they change.
    Watch,
    /// All of the cluster.
    ListEverywhere,
}

/// How an ExternalSecret names a central store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// For all that it reads.
    Spec,
    /// For one value alone.
    Entry,
    /// For a whole source.
    Extract,
    /// For all sources that a search finds.
    Find,
}

/// How a store of one's own pretends to be a central one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Impostor {
    /// By a ServiceAccount of the same name in one's own namespace.
    AccountOfTheSameName,
    /// By a kubeconfig that takes its token from the operator's own file.
    OperatorFile,
    /// By a Vault of one's own that the operator logs in to as itself.
    OperatorLogin,
    /// By a certificate authority that another tenant keeps.
    ForeignAuthority,
}

/// What belongs to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlatformKind {
    /// An ExternalSecret for every namespace that one selects.
    ClusterExternalSecret,
    /// A store for the whole cluster, with the account of a central one.
    ClusterSecretStore,
    /// A generator for the whole cluster.
    ClusterGenerator,
    /// A Secret of one's own, written to the source.
    PushSecret,
    /// The same for every namespace that one selects.
    ClusterPushSecret,
}

/// How a template reaches out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    /// `getSecretKey` in a value.
    Data,
    /// The same in a literal template.
    Literal,
    /// The same in a label.
    Label,
    /// The same in an annotation.
    Annotation,
    /// The same where keys are renamed.
    Rewrite,
    /// The same in a ConfigMap.
    ConfigMap,
    /// The same in a Secret.
    Secret,
    /// `getHostByName`, which sends values to a name server.
    HostByName,
    /// A type for which Kubernetes issues a token.
    AccountToken,
    /// A type that Kubernetes takes as a token.
    BootstrapToken,
    /// A template that writes annotations and not data.
    Target,
}

/// How a call is written, all of which the template language takes for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disguise {
    /// Plain.
    Plain,
    /// Without space, and trimmed.
    Trimmed,
    /// In parentheses, as an argument.
    Argument,
    /// By way of a variable.
    Variable,
    /// Over several lines, at the end of a pipe.
    Pipe,
}

/// What calls a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// A generator.
    Generator,
    /// A store.
    Store,
}

/// By which request labels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labelling {
    /// A patch of the namespace.
    Patch,
    /// The namespace as a whole.
    Replace,
    /// A patch of its status.
    Status,
    /// Its finalizers.
    Finalize,
    /// A new namespace.
    Create,
}

/// Somebody who may read more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// External Secrets Operator.
    Operator,
    /// The ServiceAccount of a store.
    StoreAccount,
    /// An administrator.
    Masters,
}

/// How a pod could read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PodRoute {
    /// By being in the namespace of the source.
    BesideTheSource,
    /// By being in the namespace of the operator, with its account.
    AsOperator,
    /// By a volume that names another namespace.
    ForeignVolume,
    /// By an ephemeral container in a pod of that namespace.
    Ephemeral,
}

/// Any attempt. The layers that are tested by themselves come as often as the routes of tenants with several forms.
pub(super) fn trespass(model: &Model) -> BoxedStrategy<Trespass> {
    let reading = select(vec![Reading::Get, Reading::List, Reading::Watch, Reading::ListEverywhere]);
    let reference = select(vec![Reference::Spec, Reference::Entry, Reference::Extract, Reference::Find]);
    let impostor = select(vec![
        Impostor::AccountOfTheSameName,
        Impostor::OperatorFile,
        Impostor::OperatorLogin,
        Impostor::ForeignAuthority,
    ]);
    let platform = select(vec![
        PlatformKind::ClusterExternalSecret,
        PlatformKind::ClusterSecretStore,
        PlatformKind::ClusterGenerator,
        PlatformKind::PushSecret,
        PlatformKind::ClusterPushSecret,
    ]);
    let labelling =
        select(vec![Labelling::Patch, Labelling::Replace, Labelling::Status, Labelling::Finalize, Labelling::Create]);
    let pod =
        select(vec![PodRoute::BesideTheSource, PodRoute::AsOperator, PodRoute::ForeignVolume, PodRoute::Ephemeral]);
    let caller = select(vec![Caller::Generator, Caller::Store]);
    let identity = select(vec![Identity::Operator, Identity::StoreAccount, Identity::Masters]);
    let owner = select(vec![Identity::Operator, Identity::StoreAccount]);
    let route = prop_oneof![
        2 => (select(vec![Place::Source, Place::Neighbour]), reading).prop_map(|(place, how)| Route::Read(place, how)),
        3 => reference.prop_map(Route::CentralStore),
        3 => impostor.prop_map(Route::OwnStore),
        2 => platform.prop_map(Route::Platform),
        4 => template(),
        2 => caller.prop_map(Route::Webhook),
        3 => labelling.prop_map(Route::Label),
        1 => identity.prop_map(Route::Impersonate),
        1 => owner.prop_map(Route::Token),
        2 => pod.prop_map(Route::Pod),
        1 => Just(Route::Grant),
        4 => Just(Route::Conditions),
        2 => Just(Route::StoreAccount),
    ];
    (aim(model), route, prop::bool::weighted(0.3))
        .prop_map(|(aim, route, afterwards)| Trespass { aim, route, afterwards })
        .boxed()
}

fn template() -> BoxedStrategy<Route> {
    let trick = select(vec![
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
    ]);
    let disguise =
        select(vec![Disguise::Plain, Disguise::Trimmed, Disguise::Argument, Disguise::Variable, Disguise::Pipe]);
    (trick, disguise).prop_map(|(trick, disguise)| Route::Template(trick, disguise)).boxed()
}

impl Route {
    /// What it does, as the report counts it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Read(Place::Source, _) => "read a source",
            Self::Read(Place::Neighbour, _) => "read another tenant's Secret",
            Self::CentralStore(_) => "ExternalSecret on a central store",
            Self::OwnStore(Impostor::AccountOfTheSameName) => "store with an account of the same name",
            Self::OwnStore(Impostor::OperatorFile) => "store with the operator's token file",
            Self::OwnStore(Impostor::OperatorLogin) => "store that the operator logs in to",
            Self::OwnStore(Impostor::ForeignAuthority) => "store with another tenant's authority",
            Self::Platform(PlatformKind::ClusterExternalSecret) => "ClusterExternalSecret",
            Self::Platform(PlatformKind::ClusterSecretStore) => "ClusterSecretStore",
            Self::Platform(PlatformKind::ClusterGenerator) => "ClusterGenerator",
            Self::Platform(PlatformKind::PushSecret) => "PushSecret",
            Self::Platform(PlatformKind::ClusterPushSecret) => "ClusterPushSecret",
            Self::Template(Trick::HostByName, _) => "template with getHostByName",
            Self::Template(Trick::AccountToken | Trick::BootstrapToken, _) => "template of a token type",
            Self::Template(Trick::Target, _) => "template with another target",
            Self::Template(..) => "template with getSecretKey",
            Self::Webhook(Caller::Generator) => "webhook generator",
            Self::Webhook(Caller::Store) => "webhook store",
            Self::Label(Labelling::Create) => "create a labelled namespace",
            Self::Label(_) => "label the own namespace",
            Self::Impersonate(_) => "impersonate",
            Self::Token(_) => "mint a token",
            Self::Pod(_) => "pod",
            Self::Grant => "RoleBinding beside the source",
            Self::Conditions => "store conditions alone",
            Self::StoreAccount => "rights of a store alone",
        }
    }
}

impl Route {
    /// Which of the forms that share its title it is; none if it is the only one.
    fn form(self) -> Option<&'static str> {
        Some(match self {
            Self::Read(_, Reading::Get) => "by name",
            Self::Read(_, Reading::List) => "by a list of its namespace",
            Self::Read(_, Reading::Watch) => "by a watch of its namespace",
            Self::Read(_, Reading::ListEverywhere) => "by a list of the cluster",
            Self::CentralStore(Reference::Spec) => "for all that it reads",
            Self::CentralStore(Reference::Entry) => "for one value alone",
            Self::CentralStore(Reference::Extract) => "for a whole source",
            Self::CentralStore(Reference::Find) => "for all sources that a search finds",
            Self::Template(Trick::Data, _) => "in a value",
            Self::Template(Trick::Literal, _) => "in a literal template",
            Self::Template(Trick::Label, _) => "in a label",
            Self::Template(Trick::Annotation, _) => "in an annotation",
            Self::Template(Trick::Rewrite, _) => "where keys are renamed",
            Self::Template(Trick::ConfigMap, _) => "in a ConfigMap",
            Self::Template(Trick::Secret, _) => "in a Secret",
            Self::Template(Trick::AccountToken, _) => "of a ServiceAccount",
            Self::Template(Trick::BootstrapToken, _) => "for bootstrapping",
            Self::Label(Labelling::Patch) => "by a patch",
            Self::Label(Labelling::Replace) => "by an update",
            Self::Label(Labelling::Status) => "by a patch of its status",
            Self::Label(Labelling::Finalize) => "by its finalizers",
            Self::Impersonate(identity) | Self::Token(identity) => match identity {
                Identity::Operator => "of External Secrets Operator",
                Identity::StoreAccount => "of the ServiceAccount of a store",
                Identity::Masters => "of an administrator in system:masters",
            },
            Self::Pod(PodRoute::BesideTheSource) => "in the namespace of the source",
            Self::Pod(PodRoute::AsOperator) => "in the namespace of the operator, with its ServiceAccount",
            Self::Pod(PodRoute::ForeignVolume) => "with a volume that names another namespace",
            Self::Pod(PodRoute::Ephemeral) => "by an ephemeral container in the namespace of the source",
            Self::OwnStore(_)
            | Self::Platform(_)
            | Self::Template(Trick::HostByName | Trick::Target, _)
            | Self::Webhook(_)
            | Self::Label(Labelling::Create)
            | Self::Grant
            | Self::Conditions
            | Self::StoreAccount => return None,
        })
    }
}

/// Its title, with its form: `pod, in the namespace of the source`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())?;
        self.form().map_or(Ok(()), |form| write!(f, ", {form}"))
    }
}

/// Its route, and whether that is taken by changing something harmless.
impl fmt::Display for Trespass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.route.fmt(f)?;
        f.write_str(if self.afterwards { ", as a change of something harmless" } else { "" })
    }
}

impl Disguise {
    /// An action of the template language that calls `function` with its `arguments`, all quoted.
    pub(super) fn call(self, function: &str, arguments: &[&str]) -> String {
        let quoted: Vec<String> = arguments.iter().map(|argument| format!("{argument:?}")).collect();
        let all = quoted.join(" ");
        match self {
            Self::Plain => format!("{{{{ {function} {all} }}}}"),
            Self::Trimmed => format!("{{{{- {function} {all} -}}}}"),
            Self::Argument => format!("{{{{ print ({function} {all}) }}}}"),
            Self::Variable => format!("{{{{ $x := {function} {all} }}}}{{{{ $x }}}}"),
            Self::Pipe => {
                let (last, before) =
                    quoted.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
                format!("{{{{ {last}\n| {function} {} }}}}", before.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::strategy::ValueTree;
    use rstest::rstest;

    use super::*;
    use crate::generate;

    #[rstest]
    #[case(Disguise::Plain, "{{ f \"a\" \"b\" }}")]
    #[case(Disguise::Trimmed, "{{- f \"a\" \"b\" -}}")]
    #[case(Disguise::Argument, "{{ print (f \"a\" \"b\") }}")]
    #[case(Disguise::Variable, "{{ $x := f \"a\" \"b\" }}{{ $x }}")]
    #[case(Disguise::Pipe, "{{ \"b\"\n| f \"a\" }}")]
    fn every_disguise_is_the_same_call(#[case] disguise: Disguise, #[case] expected: &str) {
        assert_eq!(disguise.call("f", &["a", "b"]), expected);
    }

    #[test]
    fn three_hundred_attempts_go_by_every_route() {
        let titles: BTreeSet<&str> = (0..300)
            .map(|index| {
                let mut runner = generate::runner(7, "p08", index);
                trespass(&Model::default()).new_tree(&mut runner).unwrap().current().route.title()
            })
            .collect();
        assert_eq!(titles.len(), 26, "{titles:?}");
    }

    #[test]
    fn a_reason_tells_routes_of_one_title_apart() {
        let routes = (0..2_000).map(|index| {
            let mut runner = generate::runner(7, "p08", index);
            trespass(&Model::default()).new_tree(&mut runner).unwrap().current().route
        });
        let mut by_text: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for route in routes {
            // A template does the same in any disguise.
            let form = match route {
                Route::Template(trick, _) => format!("{trick:?}"),
                route => format!("{route:?}"),
            };
            by_text.entry(route.to_string()).or_default().insert(form);
        }
        let alike: Vec<_> = by_text.iter().filter(|(_, forms)| forms.len() > 1).collect();
        assert!(alike.is_empty(), "{alike:?}");
        assert!(by_text.contains_key("impersonate, of External Secrets Operator"), "{by_text:?}");
    }
}
