//! Routes that are known and that no case goes by, each with the reason. Pure.

/// Attempts that are not tried, and why.
pub(super) const NOT_TRIED: [(&str, &str); 11] = [
    (
        "what the kubelet mounts into a pod, a node's own files, a node's identity",
        "not tried: no node runs a tenant's pods here; who may make pods, use nodes/proxy or ask for certificates beside the \
         sources is reviewed",
    ),
    (
        "exec, attach, port-forward and logs of a pod beside the source",
        "not tried: no pod runs there; who may is reviewed",
    ),
    (
        "a role with an aggregation label, or a change of a Role that exists",
        "not tried: Kubernetes itself refuses roles with rights that their author lacks; who may bind and escalate is reviewed",
    ),
    (
        "a change of the distribution's own ExternalSecret in an entitled namespace",
        "not tried: a tenant of a case need not have a copy; tried are changes of an ExternalSecret of its own",
    ),
    (
        "an ExternalSecret by the path of another version",
        "not tried: the operator's definitions serve one version of it",
    ),
    (
        "a webhook that asks the API server, a kubelet or the operator's own ports",
        "not tried: the server that is told is always the tenant's own",
    ),
    (
        "a SecretStore whose Secret, ServiceAccount or certificate is in another namespace",
        "not tried, beside the authority: the operator ignores that field of a SecretStore or refuses it",
    ),
    (
        "stores of other providers, and generators that use the operator's identity in a cloud",
        "not tried: nothing here answers for a cloud",
    ),
    (
        "owner references and finalizers across namespaces, and the name of an ExternalSecret taken before the distribution",
        "not tried: nothing is known that would show that it opened a source",
    ),
    (
        "a namespace of a name that a ClusterExternalSecret selects",
        "not tried by tenants: those namespaces exist for the whole of a run; whether admission lets a stranger make one is tried \
         once",
    ),
    (
        "the operator's metrics and logs, the files of etcd, and the audit log",
        "not tried here: they are files of this machine, which no tenant reaches; p09 and p12 look into them",
    ),
];
