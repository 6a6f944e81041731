//! Names of routes in reports, and how calls are disguised.

use std::fmt;

use super::{
    AttackPath, Caller, Disguise, GrantRoute, Identity, Impostor, Labelling, PlatformKind, PodRoute, Reading,
    Reference, Route, SecretOwner, Trick, Workload,
};

impl Route {
    /// Its act, as the report counts it.
    pub(in crate::p08_access_control) fn title(self) -> &'static str {
        match self {
            Self::Read(SecretOwner::Source, _) => "read a source",
            Self::Read(SecretOwner::Neighbour, _) => "read another tenant's Secret",
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
            Self::Grant(_) => "give oneself rights",
            Self::Conditions => "store conditions alone",
            Self::StoreAccount => "rights of a store alone",
        }
    }
}

impl Route {
    /// Form among those that share its title; none if it is the only one.
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
            Self::CentralStore(Reference::Apply) => "by a server-side apply",
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
            Self::Pod(PodRoute::Workload(Workload::Deployment)) => "of a Deployment in the namespace of the source",
            Self::Pod(PodRoute::Workload(Workload::DaemonSet)) => "of a DaemonSet in the namespace of the source",
            Self::Pod(PodRoute::Workload(Workload::StatefulSet)) => "of a StatefulSet in the namespace of the source",
            Self::Pod(PodRoute::Workload(Workload::Job)) => "of a Job in the namespace of the source",
            Self::Pod(PodRoute::Workload(Workload::CronJob)) => "of a CronJob in the namespace of the source",
            Self::Grant(GrantRoute::Beside) => "by a RoleBinding beside the source",
            Self::Grant(GrantRoute::Existing) => "by a RoleBinding that is there already",
            Self::Grant(GrantRoute::Everywhere) => "by a ClusterRoleBinding",
            Self::OwnStore(_)
            | Self::Platform(_)
            | Self::Template(Trick::HostByName | Trick::Target, _)
            | Self::Webhook(_)
            | Self::Label(Labelling::Create)
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
impl fmt::Display for AttackPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.route.fmt(f)?;
        f.write_str(if self.afterwards { ", as a change of something harmless" } else { "" })
    }
}

impl Disguise {
    /// An action of the template language that calls `function` with its `arguments`, all quoted.
    pub(in crate::p08_access_control) fn call(self, function: &str, arguments: &[&str]) -> String {
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
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Disguise::Plain, "{{ f \"a\" \"b\" }}")]
    #[case(Disguise::Trimmed, "{{- f \"a\" \"b\" -}}")]
    #[case(Disguise::Argument, "{{ print (f \"a\" \"b\") }}")]
    #[case(Disguise::Variable, "{{ $x := f \"a\" \"b\" }}{{ $x }}")]
    #[case(Disguise::Pipe, "{{ \"b\"\n| f \"a\" }}")]
    fn every_disguise_is_the_same_call(#[case] disguise: Disguise, #[case] expected: &str) {
        assert_eq!(disguise.call("f", &["a", "b"]), expected);
    }
}
