//! The routes by which somebody could come by a value. Pure.

use super::objective::Objective;

mod consequence;
mod generate;
mod text;

pub(super) use consequence::{ACCOUNT_TOKEN, BOOTSTRAP_TOKEN, Consequence};
pub(super) use generate::attack_path;

#[derive(Debug, Clone)]
pub(super) struct AttackPath {
    pub(super) objective: Objective,
    pub(super) route: Route,
    /// True if something harmless is made first, and changed then.
    pub(super) afterwards: bool,
}

/// Way to a value that the tenant is not entitled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Read it where it is.
    Read(SecretOwner, Reading),
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
    Grant(GrantRoute),
    /// Tested by itself: the conditions of a store, with an ExternalSecret that admission lets pass.
    Conditions,
    /// Tested by itself: what the ServiceAccount of a store may read.
    StoreAccount,
}

/// Owner of the Secret that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretOwner {
    Source,
    /// Another tenant's copy.
    Neighbour,
}

/// Verb by which a Secret is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Get,
    /// All of the namespace.
    List,
    /// All of the namespace, as they change.
    Watch,
    /// All of the cluster.
    ListEverywhere,
}

/// Place in an ExternalSecret that names a central store.
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
    /// For all that it reads, written by a server-side apply.
    Apply,
}

/// Pretences of a store of one's own to be a central one.
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

/// Kinds that belong to the platform.
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

/// Ways in which a template reaches out.
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

/// Spellings of a call, all of which the template language takes for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disguise {
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

/// Object by which External Secrets Operator calls a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Generator,
    Store,
}

/// Request by which labels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labelling {
    /// A patch of the namespace.
    Patch,
    /// The namespace as a whole.
    Replace,
    /// A patch of its status.
    Status,
    /// The subresource `finalize` of the namespace.
    Finalize,
    /// A new namespace, which has them from the beginning.
    Create,
}

/// Somebody who may read more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// External Secrets Operator.
    Operator,
    /// The ServiceAccount of a store.
    StoreAccount,
    /// The group `system:masters`.
    Masters,
}

/// Ways in which a pod could read it.
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
    /// By a workload in the namespace of the source, whose pods a controller makes.
    Workload(Workload),
}

/// Workload whose pods a controller of Kubernetes makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    Deployment,
    DaemonSet,
    StatefulSet,
    Job,
    CronJob,
}

/// Ways in which somebody could give rights to a user of its own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrantRoute {
    /// By a RoleBinding beside the source.
    Beside,
    /// By a subject more in a RoleBinding that is beside the source already.
    Existing,
    /// By a ClusterRoleBinding.
    Everywhere,
}
