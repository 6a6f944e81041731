//! The faults of `fixtures/broken`: what is wrong, which properties must find it, and by which route.

use credence_core::formats::{ARGO_CD, FLUX_GIT, KARGO_GIT, KARGO_IMAGE, KUBELET, OAUTH_CLIENT, TLS_SERVER};

use crate::fault::{Fault, When, by_consumer, day, fault, night};
use crate::faults_of_vault::OF_VAULT;

const NOT_ASKED_FOR: &str = "which its labels do not ask for";
const HAND_MADE: &[&str] =
    &["could make a look-alike", "could label a Secret later", "is not healed", "took the name of the copy"];
const NOT_IN_THE_LOG: &[&str] =
    &["no entry of the audit log says", "no entries of the audit log say", "the audit log tells of"];

/// Every fault that a property must find.
pub(crate) fn all() -> impl Iterator<Item = &'static Fault> {
    FAULTS.iter().chain(OF_VAULT)
}

const FAULTS: &[Fault] = &[
    fault(
        "refresh-interval-zero",
        "refresh interval",
        &[day("p01", &["refreshInterval is 0"]), night("p14", &["refreshInterval is 0"])],
    )
    .shrunk(),
    fault(
        "immutable-copies",
        "immutability",
        &[
            day("p01", &["target.immutable is true"]),
            day("p14", &["target.immutable is true"]),
            night("p06", &["/gh-docker-registry like its source did not happen"]),
        ],
    ),
    fault(
        "refresh-policy-without-updates",
        "refresh policy",
        &[night("p01", &["refreshPolicy is CreatedOnce"]), night("p14", &["refreshPolicy is CreatedOnce"])],
    ),
    fault(
        "composed-copies-never-updated",
        "refresh policy",
        &[day("p01", &["refreshPolicy is CreatedOnce"]), night("p14", &["refreshPolicy is CreatedOnce"])],
    )
    .in_cases(6),
    fault(
        "policy-freezes-copies",
        "admission policy on updates",
        &[
            night("p01", &["like its source did not happen"]),
            night("p06", &["like its source did not happen"]),
            night("p14", &["consumers"]),
        ],
    )
    .beside("p02"),
    fault(
        "creation-policy-merge",
        "creation policy",
        &[
            day("p02", &["/gh-docker-registry does not exist (its ExternalSecret says Ready=True"]),
            night("p04", &["/gh-docker-registry does not exist (its ExternalSecret says Ready=True"]),
            night("p15", &["after the pattern of application-docker-registry…does not exist"]),
        ],
    )
    .shrunk(),
    fault(
        "role-names-other-source",
        "rights of a store",
        &[
            night("p02", &["/gh-oauth-credentials does not exist (its ExternalSecret says Ready=False"]),
            night("p04", &["/gh-oauth-credentials does not exist (its ExternalSecret says Ready=False"]),
        ],
    ),
    fault("same-external-secret", "names of ExternalSecrets", &[night("p02", &["does not exist"])]),
    fault(
        "store-trusts-no-authority",
        "authority of a store",
        &[night("p02", &["/gh-oauth-credentials does not exist (its ExternalSecret says Ready=False"])],
    ),
    fault(
        "template-reads-unknown-key",
        "template",
        &[
            night("p02", &["/kargo-git-credentials does not exist (its ExternalSecret says Ready=False"]),
            night("p04", &["/kargo-git-credentials does not exist (its ExternalSecret says Ready=False"]),
            night("p05", &["/kargo-git-credentials like its source did not happen"]),
        ],
    ),
    fault(
        "creation-policy-orphan",
        "owner of the copy",
        &[
            day("p03", &["holds gh-docker-registry, which its labels do not ask for"]),
            night("p10", &["after the policy was narrowed…holds gh-docker-registry"]),
            night("p11", &["holds gh-docker-registry, which its labels do not ask for"]),
            night("p15", &["after the pattern of application-docker-registry…which its labels do not ask for"]),
        ],
    )
    .shrunk(),
    fault(
        "selector-exists",
        "selector",
        &[day("p03", &[NOT_ASKED_FOR]), day("p04", &[NOT_ASKED_FOR]), night("p02", &[NOT_ASKED_FOR])],
    )
    .shrunk(),
    fault("and-for-or", "intent", &[day("p03", &["by the intent at"])]),
    fault(
        "raw-values-in-json",
        "quoting",
        &[
            day("p05", &["/gh-docker-registry like its source did not happen"]),
            night("p06", &["/gh-docker-registry like its source did not happen"]),
        ],
    )
    .shrunk(),
    fault("keys-beyond-consumer", "key set", &[day("p05", &["of its source, which…does not read"])]),
    fault(
        "format-reads-other-key",
        "key that is read",
        &[
            day("p06", &["/kargo-git-credentials like its source did not happen"]),
            night("p05", &["/kargo-git-credentials like its source did not happen"]),
        ],
    )
    .shrunk(),
    fault(
        "login-keys-swapped",
        "parts of a login",
        &[night("p05", &["/argocd-git-credentials like its source did not happen"]), by_consumer(ARGO_CD, When::Night)],
    ),
    fault(
        "auth-from-other-fields",
        "composed value",
        &[
            night("p05", &["/gh-docker-registry like its source did not happen"]),
            night("p06", &["/gh-docker-registry like its source did not happen"]),
            by_consumer(KUBELET, When::Night),
        ],
    ),
    fault(
        "token-cut-in-template",
        "part of a value",
        &[
            day("p05", &["/kargo-git-credentials like its source did not happen…secret is"]),
            night("p06", &["/kargo-git-credentials like its source did not happen"]),
            by_consumer(KARGO_GIT, When::Night),
        ],
    ),
    fault(
        "generator-replaces-token",
        "generator",
        &[
            night("p05", &["/kargo-git-credentials like its source did not happen…secret is"]),
            night("p06", &["/kargo-git-credentials like its source did not happen"]),
            by_consumer(KARGO_GIT, When::Night),
        ],
    ),
    fault("registry-with-wrong-port", "endpoint", &[by_consumer(KUBELET, When::Day)]),
    fault("newline-after-token", "end of a value", &[by_consumer(KUBELET, When::Night)]),
    fault("argo-cd-url-without-slash", "prefix of a URL", &[by_consumer(ARGO_CD, When::Day)]),
    fault("kargo-unanchored", "pattern of a URL", &[by_consumer(KARGO_GIT, When::Night)]),
    fault("flux-login-without-user-name", "names of keys", &[by_consumer(FLUX_GIT, When::Night)]).used_by("flux"),
    fault("kargo-for-everything", "pattern of a URL", &[by_consumer(KARGO_IMAGE, When::Night)]),
    fault("kargo-pattern-as-url", "flag of a pattern", &[by_consumer(KARGO_GIT, When::Night)]),
    fault("login-from-whole-source", "property of a reference", &[by_consumer(KARGO_GIT, When::Night)]),
    fault("wrong-cred-type", "label for a consumer", &[by_consumer(KARGO_IMAGE, When::Night)]),
    fault("oauth-keys-swapped", "names of keys", &[by_consumer(OAUTH_CLIENT, When::Night)]),
    fault("tls-key-of-other-certificate", "source of a key", &[by_consumer(TLS_SERVER, When::Night)]),
    fault("tls-keys-swapped", "names of keys", &[by_consumer(TLS_SERVER, When::Night)]),
    fault(
        "store-without-conditions",
        "conditions of a store",
        &[
            day("p08", &["could: store conditions alone", "store conditions alone let the operator serve"]),
            night("p15", &["after the pattern of…could: store conditions alone"]),
        ],
    )
    .in_cases(400),
    fault(
        "conditions-wider-than-selectors",
        "selectors in the conditions of a store",
        &[day("p08", &["store conditions alone let the operator serve…secrets/gh-docker-registry=true"])],
    )
    .in_cases(2),
    fault(
        "store-of-two-credentials",
        "credentials of a store",
        &[night("p08", &["could: store conditions alone", "store conditions alone let the operator serve"])],
    )
    .in_cases(2),
    fault(
        "role-without-resource-names",
        "names in a Role",
        &[night(
            "p08",
            &[
                "the account github-oauth of store github-oauth may",
                "github-oauth may in central-secret-store: get secrets",
            ],
        )],
    ),
    fault(
        "role-with-watch",
        "verbs of a Role",
        &[night("p08", &["the account…of store…may…watch", "may in central-secret-store: watch secrets"])],
    ),
    fault(
        "sources-bound-to-developers",
        "binding of people",
        &[night("p08", &["developers may in central-secret-store"])],
    )
    .beside("p02"),
    fault(
        "source-bound-by-name",
        "names in a Role of people",
        &[night("p08", &["developers may in central-secret-store: get secrets github-pat"])],
    )
    .in_cases(10),
    fault(
        "tokens-of-a-store-by-name",
        "tokens of an account",
        &[night("p08", &["developers may in central-secret-store: create serviceaccounts/token github-pat"])],
    )
    .in_cases(10),
    fault(
        "operator-bound-to-developers",
        "binding beside the operator",
        &[night("p08", &["developers may in external-secrets"])],
    )
    .in_cases(10),
    fault(
        "sources-bound-to-an-account-as-user",
        "binding of an account by its user name",
        &[night("p08", &["ServiceAccount build/runner may in central-secret-store"])],
    )
    .in_cases(10),
    fault(
        "policies-bound-to-developers",
        "binding of who may change policies",
        &[night("p08", &["developers may in…patch validatingadmissionpolicybindings"])],
    )
    .in_cases(10),
    fault(
        "sources-bound-to-service-accounts",
        "binding of accounts",
        &[
            night("p10", &["the refusal of a store's account whose rights were taken did not happen"]),
            night("p08", &["of store…may", "may in central-secret-store"]),
        ],
    ),
    fault("one-role-for-all-sources", "account of a store", &[night("p08", &["the account…of store…may"])]),
    fault(
        "labels-checked-on-create-only",
        "operations of the labels' policy",
        &[night("p08", &["could: label the own namespace"])],
    ),
    fault(
        "labels-guarded-by-value",
        "values that a policy lets pass",
        &[night("p08", &["could: label the own namespace"])],
    ),
    fault(
        "namespace-name-unguarded",
        "names that a selector asks for",
        &[night("p08", &["a stranger could make namespace argocd"])],
    )
    .in_cases(10),
    fault(
        "labels-exempt-by-part-of-name",
        "groups that a policy lets pass",
        &[night("p08", &["(group…could label a namespace for"])],
    )
    .in_cases(10),
    fault(
        "selector-label-unguarded",
        "label that a selector asks for",
        &[night("p08", &["could: label the own namespace"])],
    )
    .in_cases(400),
    fault(
        "templates-only-audited",
        "action of the templates' policy",
        &[night("p08", &["could: template", "let through before…template"])],
    ),
    fault("stores-by-kubeconfig", "stores of tenants", &[day("p08", &["could: store with the operator's token file"])]),
    fault("audit-bodies-of-secrets", "level of an audit rule", &[day("p09", &["the audit log holds"])]),
    fault("audit-without-secrets", "resources of an audit rule", &[night("p09", NOT_IN_THE_LOG)]).beside("p04"),
    fault(
        "audit-without-collectors",
        "users of an audit rule",
        &[day("p09", &["was removed…and the audit log tells of"])],
    ),
    fault("audit-without-operator", "the operator in an audit rule", &[night("p09", NOT_IN_THE_LOG)]).in_cases(10),
    fault("audit-without-store-accounts", "groups of an audit rule", &[night("p09", NOT_IN_THE_LOG)]).in_cases(10),
    fault("audit-without-administrators", "administrators in an audit rule", &[night("p09", NOT_IN_THE_LOG)])
        .in_cases(10),
    fault("audit-without-updates", "verbs of an audit rule", &[night("p09", NOT_IN_THE_LOG)]),
    fault(
        "audit-without-reads",
        "reads in an audit rule",
        &[night("p09", &["no entry of the audit log says", "no entries of the audit log say which reads"])],
    ),
    fault("audit-omits-outcome", "stages of an audit policy", &[night("p09", NOT_IN_THE_LOG)]).in_cases(10),
    fault(
        "conditions-narrower-than-selector",
        "conditions of a store",
        &[day("p10", &["after the policy was narrowed"])],
    ),
    fault("find-with-delete", "search", &[day("p11", &["was deleted"])]),
    fault("deletion-policy-delete", "deletion policy", &[night("p11", &["was deleted"])]).in_cases(10).beside("p02"),
    fault("encryption-identity-first", "order of providers", &[day("p12", &["without the envelope"])]),
    fault("encryption-without-secrets", "resources that are encrypted", &[night("p12", &["without the envelope"])]),
    fault("encryption-rules-in-wrong-order", "order of rules", &[night("p12", &["without the envelope"])]),
    fault("encryption-absent", "no configuration", &[night("p12", &["without the envelope"])]).beside("p02"),
    fault("types-of-today-only", "types that a policy lists", &[day("p15", &["takes more than its manifests"])]),
    fault("keys-of-today-only", "keys that a policy lists", &[night("p15", &["after the pattern of"])]),
    fault("policy-without-binding", "binding of a policy", &[night("p13", HAND_MADE)]),
    fault("policy-audit-only", "action of a policy", &[day("p13", HAND_MADE)]),
    fault(
        "policy-on-create-only",
        "operations of a policy",
        &[night("p13", &["could label a Secret later", "is not healed"])],
    ),
    fault(
        "policy-without-names",
        "names in a policy",
        &[night("p13", &["took the", "could make a look-alike", "is not healed"])],
    ),
    fault("policy-exempts-service-accounts", "exemptions of a policy", &[night("p13", HAND_MADE)]),
    fault("policy-exempts-system", "exemptions of a policy", &[night("p13", HAND_MADE)]).in_cases(10),
    fault("policy-bound-to-some", "namespaces that a policy is bound to", &[night("p13", HAND_MADE)]).in_cases(10),
    fault(
        "policy-exempts-by-part-of-name",
        "names that a policy lets pass",
        &[night("p13", &["(system:serviceaccount:credence…could make a Secret like the copies of"])],
    )
    .in_cases(10),
    fault(
        "break-glass-undeclared",
        "identities for emergencies",
        &[day(
            "p13",
            &["somebody whom the intent does not let (bob@example.org) could make a Secret like the copies of"],
        )],
    )
    .in_cases(2),
    fault(
        "break-glass-by-domain",
        "identities for emergencies",
        &[night(
            "p13",
            &["one of the intent's for emergencies (credence-@example.org) could make a Secret like the copies of"],
        )],
    )
    .in_cases(2),
    fault(
        "break-glass-labels-namespaces",
        "identities for emergencies",
        &[night("p08", &["somebody whom the intent does not let (alice@example.org) could label a namespace for"])],
    )
    .in_cases(2)
    .beside("p13"),
    fault(
        "policy-with-opt-out",
        "objects that a policy leaves out",
        &[night("p13", &["a stranger could make a Secret…that has the label policies.example.org/exempt"])],
    )
    .in_cases(10),
    fault(
        "policy-hinders-collectors",
        "admission policy on deletions",
        &[
            night("p13", &[NOT_ASKED_FOR, "gone did not happen"]),
            night("p03", &[NOT_ASKED_FOR, "gone did not happen"]),
            night("p10", &["after the policy was narrowed"]),
            night("p11", &[NOT_ASKED_FOR]),
            night("p15", &["label distribution of a new credential", "provisioning of a new credential"]),
        ],
    ),
    fault(
        "own-external-secrets-unchecked",
        "what tenants order",
        &[day("p13", &["could order a look-alike", "took the name of the copy"])],
    ),
    fault("policy-of-unknown-resource", "resources of a policy", &[night("p13", &["could order a look-alike"])]),
];
