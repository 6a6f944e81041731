//! Consumers that are tried with a copy, and where; or why they are not.

use crate::consumer::{Consumer, CopyShape};
use crate::endpoints::{Endpoint, Endpoints};
use crate::formats::{ARGO_CD, ARGO_CD_SSH_RULES, KARGO_GIT, KARGO_IMAGE, KARGO_SSH_RULES, KUBELET};
use crate::owner::Owner;
use crate::scope::{NotTried, WrittenCopy};

/// Consumers of repositories, each with who goes there in its place with an SSH key.
const OVER_SSH: [(Consumer, Consumer); 2] = [(ARGO_CD, ARGO_CD_SSH_RULES), (KARGO_GIT, KARGO_SSH_RULES)];

/// A consumer of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use<'a> {
    /// Consumer that is tried with the copy.
    pub consumer: Consumer,
    /// Places at which it uses the copy, or why it is not tried. No places for a consumer that needs no manifest, and where
    /// nothing at all is known of its manifests.
    pub endpoints: Result<Vec<&'a Endpoint>, NotTried>,
}

/// Consumers of copies of this shape, and where they use them, by what is written in them and by what the manifests of
/// consumers name.
///
/// A copy is tried where a manifest names it, and, of what its consumer finds by itself, where the copy says that it is for.
/// Empty if nothing tells whose it is.
pub fn uses<'a>(shape: &CopyShape<'_>, copy: &WrittenCopy<'_>, endpoints: &'a Endpoints) -> Vec<Use<'a>> {
    let used = |consumer: Consumer| {
        let found = places(consumer, shape.name, copy, endpoints);
        if matches!(found, Err(NotTried::SshKey { .. }))
            && let Some((_, other)) = OVER_SSH.into_iter().find(|(own, _)| *own == consumer)
        {
            return Use { consumer: other, endpoints: places(other, shape.name, copy, endpoints) };
        }
        let other = || under_the_other_label(consumer, shape.name, copy, endpoints);
        let is_for_nothing = matches!(found, Err(NotTried::NoPlace { .. } | NotTried::OtherType { .. }));
        let meant = || other().or_else(|| under_a_rule_that_fails(consumer, copy, endpoints));
        is_for_nothing.then(meant).flatten().unwrap_or(Use { consumer, endpoints: found })
    };
    Consumer::users_of(shape, endpoints).into_iter().map(used).collect()
}

/// Consumers that copies of this shape are tried with, or why with nothing at all.
///
/// # Errors
/// The reasons, each once.
pub fn tried<'a>(uses: &[Use<'a>]) -> Result<Vec<(Consumer, Vec<&'a Endpoint>)>, Vec<NotTried>> {
    let tried: Vec<_> = uses.iter().filter_map(|used| Some((used.consumer, used.endpoints.clone().ok()?))).collect();
    if !tried.is_empty() {
        return Ok(tried);
    }
    let mut reasons: Vec<NotTried> = uses.iter().filter_map(|used| used.endpoints.clone().err()).collect();
    reasons.dedup();
    Err(if reasons.is_empty() { vec![NotTried::Nobody] } else { reasons })
}

/// A copy with one of Kargo's labels that is for nothing of its kind, but for something of the other: whoever wrote it meant
/// that other kind, and Kargo must find it there.
fn under_the_other_label<'a>(
    consumer: Consumer,
    secret: &str,
    copy: &WrittenCopy<'_>,
    endpoints: &'a Endpoints,
) -> Option<Use<'a>> {
    let other = [(KARGO_GIT, KARGO_IMAGE), (KARGO_IMAGE, KARGO_GIT)]
        .into_iter()
        .find_map(|(one, other)| (one == consumer).then_some(other))?;
    let found = places(other, secret, copy, endpoints).ok().filter(|found| !found.is_empty())?;
    Some(Use { consumer: other, endpoints: Ok(found) })
}

/// A copy of Argo CD or Kargo that is written for all repositories of an owner, of which the consumer's manifests name one, and that
/// is for none of them by the consumer's rules: it must get in there.
fn under_a_rule_that_fails<'a>(
    consumer: Consumer,
    copy: &WrittenCopy<'_>,
    endpoints: &'a Endpoints,
) -> Option<Use<'a>> {
    let key = [(ARGO_CD, "url"), (KARGO_GIT, "repoURL"), (KARGO_IMAGE, "repoURL")]
        .into_iter()
        .find_map(|(known, key)| (known == consumer).then_some(key))?;
    let written = copy.literal(key)?;
    let found: Vec<&Endpoint> =
        endpoints.of(consumer).filter(|endpoint| is_for_all_of(written, &endpoint.owner)).collect();
    (!found.is_empty()).then_some(Use { consumer, endpoints: Ok(found) })
}

/// True if a URL or a pattern ends with an owner, or with what stands for any name behind one.
fn is_for_all_of(written: &str, owner: &Owner) -> bool {
    let plain = written.trim().replace(['\\', '(', ')'], "").to_lowercase();
    let end = plain.trim_end_matches(['/', '.', '*', '+', '$']);
    let before = end.strip_suffix(owner.to_string().to_lowercase().as_str());
    before.is_some_and(|before| before.is_empty() || before.ends_with(['/', '^', '@']))
}

fn places<'a>(
    consumer: Consumer,
    secret: &str,
    copy: &WrittenCopy<'_>,
    endpoints: &'a Endpoints,
) -> Result<Vec<&'a Endpoint>, NotTried> {
    let scopes = consumer.format().scopes(copy)?;
    // Where nothing at all is known of a consumer's places, it is absent and says so itself.
    if consumer.meta().endpoint.is_none() || endpoints.of(consumer).next().is_none() {
        return Ok(Vec::new());
    }
    let named = |endpoint: &&Endpoint| endpoint.secrets.is_empty() || endpoint.secrets.contains(secret);
    let candidates: Vec<&Endpoint> = endpoints.of(consumer).filter(named).collect();
    if candidates.is_empty() {
        return Err(NotTried::NotNamed { consumer: consumer.title() });
    }
    // An image that is pulled with this Secret alone must be pulled with it, whatever is in it.
    let is_alone = |endpoint: &Endpoint| consumer == KUBELET && endpoint.secrets.len() == 1;
    let covers = |endpoint: &Endpoint| scopes.iter().any(|scope| scope.covers(&endpoint.url));
    let found: Vec<&Endpoint> =
        candidates.into_iter().filter(|endpoint| is_alone(endpoint) || covers(endpoint)).collect();
    if found.is_empty() { Err(NotTried::NoPlace { consumer: consumer.title() }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::formats::{ARGO_CD_LABEL, DOCKER_CONFIG, KARGO_LABEL, TLS_SERVER};
    use crate::labels::Labels;
    use crate::manifest::parse_documents;
    use crate::scope::Written;

    const MANIFESTS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: one}
spec: {imagePullSecrets: [{name: ghcr}], containers: [{image: ghcr.io/org/app}]}
---
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  imagePullSecrets: [{name: harbor-a}, {name: harbor-b}]
  containers: [{image: harbor.example.org/a/app}, {image: harbor.example.org/b/app}]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: a, namespace: argocd}
spec: {sources: [{repoURL: 'https://github.com/org/deploy.git'}, {repoURL: 'https://gitlab.example.org/g/s/deploy'}, {repoURL: 'git@github.com:org/infra.git'}, {repoURL: 'https://charts.example.org/org/charts', chart: app}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: a}
spec: {subscriptions: [{git: {repoURL: 'https://github.com/org/deploy.git'}}, {image: {repoURL: ghcr.io/org/app}}, {chart: {repoURL: 'oci://ghcr.io/org/charts/app'}}, {git: {repoURL: 'ssh://git@github.com/org/infra.git'}}]}
";

    /// Consumers that are tried with a copy, and where, one line each.
    fn told(name: &str, secret_type: &str, label: Option<(&str, &str)>, data: &[(&str, &str)]) -> Vec<String> {
        let endpoints = Endpoints::from_manifests(&parse_documents(Path::new("a.yaml"), MANIFESTS).unwrap());
        let labels: Labels = label.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let written = |text| if str::contains(text, "{{") { Written::Template(text) } else { Written::Literal(text) };
        let keys: BTreeMap<&str, Written<'_>> = data.iter().map(|(key, text)| (*key, written(*text))).collect();
        let names: BTreeSet<String> = keys.keys().map(|key| (*key).to_owned()).collect();
        let shape = CopyShape { name, labels: &labels, secret_type, keys: Some(&names) };
        let copy = WrittenCopy { labels: &labels, keys: Some(keys) };
        match tried(&uses(&shape, &copy, &endpoints)) {
            Ok(tried) => tried
                .into_iter()
                .map(|(consumer, places)| {
                    let places: Vec<&str> = places.iter().map(|endpoint| endpoint.url.as_str()).collect();
                    format!("{consumer:?}: {}", places.join(", "))
                })
                .collect(),
            Err(reasons) => reasons.iter().map(ToString::to_string).collect(),
        }
    }

    fn docker(registry: &str) -> String {
        format!(r#"{{"auths":{{"{registry}":{{"username":"u","password":"{{{{ .p }}}}"}}}}}}"#)
    }

    #[rstest]
    #[case::named_alone("ghcr", "ghcr.io", "Kubelet: ghcr.io/org/app")]
    #[case::named_alone_and_wrong("ghcr", "ghcr.io:8443", "Kubelet: ghcr.io/org/app")]
    #[case::one_of_two("harbor-a", "harbor.example.org/a/", "Kubelet: harbor.example.org/a/app")]
    #[case::the_other_of_two("harbor-b", "harbor.example.org/b/", "Kubelet: harbor.example.org/b/app")]
    #[case::one_of_two_and_for_neither("harbor-b", "quay.io", "no manifest of kubelet names a place that it is for")]
    #[case::not_named("quay", "quay.io", "no manifest of kubelet names this Secret")]
    fn a_pull_secret_is_tried_with_the_images_that_are_pulled_with_it(
        #[case] name: &str,
        #[case] registry: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(told(name, DOCKER_CONFIG, None, &[(".dockerconfigjson", &docker(registry))]), [expected]);
    }

    const LOGIN: [(&str, &str); 2] = [("username", "{{ .u }}"), ("password", "{{ .p }}")];

    #[rstest]
    #[case::prefix("repo-creds", "https://github.com/org/", "ArgoCd: https://github.com/org/deploy.git")]
    #[case::subgroup("repo-creds", "https://gitlab.example.org/g/s/", "ArgoCd: https://gitlab.example.org/g/s/deploy")]
    #[case::one("repository", "https://github.com/org/deploy", "ArgoCd: https://github.com/org/deploy.git")]
    #[case::another_one(
        "repository",
        "https://github.com/org/other",
        "no manifest of Argo CD names a place that it is for"
    )]
    #[case::made_by_a_template(
        "repository",
        "https://{{ .host }}/org/",
        "its key \"url\", which says where it is used, is absent, read from a source or made by a template"
    )]
    fn a_copy_of_argo_cd_is_tried_where_its_url_is_for(#[case] label: &str, #[case] url: &str, #[case] expected: &str) {
        let data = [LOGIN.as_slice(), &[("url", url)]].concat();
        assert_eq!(told("a", "Opaque", Some((ARGO_CD_LABEL, label)), &data), [expected]);
    }

    #[rstest]
    #[case::cluster(ARGO_CD_LABEL, "cluster", &LOGIN, "a login to a cluster")]
    #[case::write(ARGO_CD_LABEL, "repository-write", &LOGIN, "hydrator")]
    #[case::unknown_to_argo_cd(ARGO_CD_LABEL, "Repository", &LOGIN, "no value that Argo CD knows")]
    #[case::app(ARGO_CD_LABEL, "repo-creds", &[("url", "https://a.io/b/"), ("githubAppPrivateKey", "{{ .k }}")], "a GitHub App")]
    #[case::bearer(ARGO_CD_LABEL, "repository", &[("url", "https://a.io/b/c"), ("bearerToken", "{{ .k }}")], "a bearer token")]
    #[case::no_login(ARGO_CD_LABEL, "repository", &[("url", "https://a.io/b/c")], "no login of its own")]
    #[case::helm(KARGO_LABEL, "helm", &LOGIN, "its key \"repoURL\"")]
    #[case::ssh_for_charts(KARGO_LABEL, "helm", &[("repoURL", "a"), ("sshPrivateKey", "{{ .k }}")], "an SSH key")]
    #[case::generic(KARGO_LABEL, "generic", &LOGIN, "a promotion step")]
    #[case::unknown_to_kargo(KARGO_LABEL, "docker", &LOGIN, "no value that Kargo knows")]
    #[case::app_of_kargo(KARGO_LABEL, "git", &[("repoURL", "a"), ("githubAppPrivateKey", "{{ .k }}")], "a GitHub App")]
    #[case::ssh_for_images(KARGO_LABEL, "image", &[("repoURL", "a"), ("sshPrivateKey", "{{ .k }}")], "an SSH key")]
    #[case::ssh_over_https(
        ARGO_CD_LABEL,
        "repository",
        &[("url", "https://github.com/org/deploy"), ("sshPrivateKey", "{{ .k }}")],
        "no manifest of Argo CD's rules for SSH names a place that it is for"
    )]
    fn what_cannot_be_tried_has_its_reason(
        #[case] label: &str,
        #[case] value: &str,
        #[case] data: &[(&str, &str)],
        #[case] reason: &str,
    ) {
        let told = told("a", "Opaque", Some((label, value)), data);
        assert!(matches!(&told[..], [one] if one.contains(reason)), "{told:?}");
    }

    #[rstest]
    #[case::git("git", "^https://github\\.com/org/", "KargoGit: https://github.com/org/deploy.git")]
    #[case::image("image", "^ghcr\\.io/org/", "KargoImage: ghcr.io/org/app")]
    #[case::chart("helm", "ghcr\\.io/org/charts/", "KargoChartRules: ghcr.io/org/charts/app")]
    #[case::image_under_the_label_of_git("git", "^ghcr\\.io/org/", "KargoImage: ghcr.io/org/app")]
    #[case::git_under_the_label_of_images(
        "image",
        "^https://github\\.com/org/",
        "KargoGit: https://github.com/org/deploy.git"
    )]
    #[case::neither(
        "git",
        "^https://gitlab\\.com/org/",
        "no manifest of Kargo's controller for Git names a place that it is for"
    )]
    fn a_copy_of_kargo_is_tried_where_its_rule_is_for(
        #[case] label: &str,
        #[case] pattern: &str,
        #[case] expected: &str,
    ) {
        let data = [LOGIN.as_slice(), &[("repoURL", pattern), ("repoURLIsRegex", "true")]].concat();
        assert_eq!(told("a", "Opaque", Some((KARGO_LABEL, label)), &data), [expected]);
    }

    #[rstest]
    #[case::owner_without_slash("^https://github\\.com/org", "true", "")]
    #[case::pattern_that_is_compared_as_a_url("^https://github\\.com/org/", "false", "")]
    #[case::flag_in_capital_letters("^https://github\\.com/org/.*$", "True", "")]
    #[case::url_of_the_owner_as_if_of_one("https://github.com/org/", "false", "")]
    #[case::other_scheme("^http://github\\.com/org/", "true", "")]
    #[case::pattern_that_does_not_compile("^https://github\\.com/(org/", "true", "")]
    #[case::host_in_capital_letters("^https://GitHub\\.com/org/", "true", "")]
    #[case::other_host("^https://gitlab\\.com/org/", "true", "no manifest")]
    #[case::other_owner("^https://github\\.com/organisation/", "true", "no manifest")]
    #[case::one_that_nobody_uses("^https://github\\.com/org/other\\.git$", "true", "no manifest")]
    #[case::host_that_goes_on("^https://xgithub\\.com/org/", "true", "no manifest")]
    fn a_copy_of_kargo_for_all_of_an_owner_is_tried_there_whether_its_rule_takes_them_or_not(
        #[case] pattern: &str,
        #[case] flag: &str,
        #[case] refused: &str,
    ) {
        let data = [LOGIN.as_slice(), &[("repoURL", pattern), ("repoURLIsRegex", flag)]].concat();
        let told = told("a", "Opaque", Some((KARGO_LABEL, "git")), &data);
        match refused {
            "" => assert_eq!(told, ["KargoGit: https://github.com/org/deploy.git"]),
            refused => assert!(told[0].starts_with(refused), "{told:?}"),
        }
    }

    #[rstest]
    #[case::charts("https://github.com/org/", "helm", "ArgoCd: https://github.com/org/deploy.git")]
    #[case::artifacts("https://github.com/org/", "oci", "ArgoCd: https://github.com/org/deploy.git")]
    #[case::other_scheme("http://github.com/org/", "git", "ArgoCd: https://github.com/org/deploy.git")]
    #[case::of_charts_alone("https://charts.example.org/org/", "helm", "its type is \"helm\": a login for charts")]
    #[case::other_host("https://gitlab.com/org/", "git", "no manifest of Argo CD names a place that it is for")]
    fn a_copy_of_argo_cd_for_all_of_an_owner_is_tried_there_whatever_its_type_is(
        #[case] url: &str,
        #[case] kind: &str,
        #[case] expected: &str,
    ) {
        let data = [LOGIN.as_slice(), &[("url", url), ("type", kind)]].concat();
        let told = told("a", "Opaque", Some((ARGO_CD_LABEL, "repo-creds")), &data);
        assert!(matches!(&told[..], [one] if one.starts_with(expected)), "{told:?}");
    }

    const SSH_KEY: (&str, &str) = ("sshPrivateKey", "{{ .k }}");

    #[rstest]
    #[case::prefix(ARGO_CD_LABEL, "repo-creds", ("url", "git@github.com:org/"), "ArgoCdSshRules: git@github.com:org/infra.git")]
    #[case::one(ARGO_CD_LABEL, "repository", ("url", "ssh://git@github.com/org/infra"), "ArgoCdSshRules: git@github.com:org/infra.git")]
    #[case::kargo(KARGO_LABEL, "git", ("repoURL", "git@github.com:org/infra"), "KargoSshRules: ssh://git@github.com/org/infra.git")]
    #[case::another_one(
        KARGO_LABEL,
        "git",
        ("repoURL", "git@github.com:org/other"),
        "no manifest of Kargo's rules for SSH names a place that it is for"
    )]
    fn a_copy_with_an_ssh_key_is_tried_over_ssh(
        #[case] label: &str,
        #[case] value: &str,
        #[case] place: (&str, &str),
        #[case] expected: &str,
    ) {
        assert_eq!(told("a", "Opaque", Some((label, value)), &[place, SSH_KEY]), [expected]);
    }

    #[test]
    fn a_copy_that_nothing_names_has_a_reason_and_one_that_needs_no_manifest_is_tried() {
        let lost = [LOGIN.as_slice(), &[("url", "https://github.com/org/")]].concat();
        assert!(told("a", "Opaque", None, &lost)[0].starts_with("no consumer is known for it"));
        assert_eq!(
            told("a", "kubernetes.io/tls", None, &[("tls.crt", "{{ .c }}"), ("tls.key", "{{ .k }}")]),
            ["TlsServer: "]
        );
    }

    #[test]
    fn where_nothing_is_known_of_a_consumer_its_copies_are_left_to_its_absence() {
        let labels = Labels::from([(ARGO_CD_LABEL.to_owned(), "repo-creds".to_owned())]);
        let keys = [("url", Written::Literal("https://github.com/org/")), ("password", Written::Read)].into();
        let copy = WrittenCopy { labels: &labels, keys: Some(keys) };
        let shape = CopyShape { name: "a", labels: &labels, secret_type: "Opaque", keys: None };
        let all = Endpoints::default();
        let found = uses(&shape, &copy, &all);
        assert_eq!(found, [Use { consumer: ARGO_CD, endpoints: Ok(Vec::new()) }]);
        assert_ne!(found[0].consumer, TLS_SERVER);
    }
}
