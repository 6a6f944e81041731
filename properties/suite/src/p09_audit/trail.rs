//! Facts that the audit log must tell of a case, and whether it does. Pure.

use std::collections::BTreeMap;
use std::fmt;

use credence_cluster::evidence::audit::AuditEntry;
use credence_core::text::Reason;

/// The stage of an entry that tells the answer.
const ANSWERED: &str = "ResponseComplete";
/// Tells in an entry of a token request which token was issued (KEP-4193).
const ISSUED: &str = "authentication.kubernetes.io/issued-credential-id";
/// Tells in the entry of any request with which token it was made.
const USED: &str = "authentication.kubernetes.io/credential-id";

/// Kind of thing that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    Secret,
    /// A token of a ServiceAccount, which reads what the account may read.
    Token,
}

/// Fact that an entry tells of a request for Secrets or tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fact {
    /// The user name, of the user in whose name it was made.
    pub(super) user: String,
    /// The user name of who made it, if that is another user.
    pub(super) impersonator: Option<String>,
    pub(super) resource: Resource,
    /// Verb in the log.
    pub(super) verb: &'static str,
    pub(super) namespace: String,
    /// The Secret's name; none where Kubernetes does not log it.
    pub(super) name: Option<String>,
    /// The status code of the answer.
    pub(super) code: u16,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, verb, namespace, code, .. } = self;
        if let Some(impersonator) = &self.impersonator {
            write!(f, "{impersonator} as ")?;
        }
        let token = if self.resource == Resource::Token { " token of" } else { "" };
        let name = self.name.as_deref().unwrap_or("*");
        write!(f, "{user} {verb}{token} {namespace}/{name} with answer {code}")
    }
}

/// Writers of the Secrets of a namespace.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writer<'a> {
    /// A user, whatever its program.
    User(&'a str),
    /// A program by what it calls itself, whoever uses it.
    Agent(&'a str),
}

/// The entries of a log in which requests were answered, in order.
pub(super) struct Trail(Vec<AuditEntry>);

impl Trail {
    /// Keeps what was answered of `entries`.
    pub(super) fn new(entries: Vec<AuditEntry>) -> Self {
        Self(entries.into_iter().filter(|entry| entry.stage == ANSWERED).collect())
    }

    /// True if the log tells of requests for tokens at all: an audit policy may leave all of them out.
    pub(super) fn tells_of_tokens(&self) -> bool {
        self.0.iter().any(is_token)
    }

    /// Compares what a program that calls itself `agent` did to Secrets with what the log says it did: each request once,
    /// and no other. The same for tokens, if the log tells of any.
    ///
    /// # Errors
    /// The first request without its entry, or the first entry without a request.
    pub(super) fn tells_exactly(&self, agent: &str, facts: &[Fact]) -> Result<(), Reason> {
        let mut open: BTreeMap<&Fact, i64> = BTreeMap::new();
        let tells_of_tokens = self.tells_of_tokens();
        for fact in facts.iter().filter(|fact| tells_of_tokens || fact.resource == Resource::Secret) {
            *open.entry(fact).or_default() += 1;
        }
        let logged = self.0.iter().filter(|entry| entry.user_agent == agent && (is_secret(entry) || is_token(entry)));
        for entry in logged {
            let fact = open.iter_mut().find(|(fact, left)| **left > 0 && says(entry, fact));
            match fact {
                Some((_, left)) => *left -= 1,
                None => {
                    let object = entry.object_ref.clone().unwrap_or_default();
                    return Err(format!(
                        "the audit log says that {} did {} {}/{} with answer {}, which did not happen so",
                        entry.acting_user(),
                        entry.verb,
                        object.namespace,
                        object.name,
                        code(entry)
                    )
                    .into());
                }
            }
        }
        match open.into_iter().find(|(_, left)| *left > 0) {
            Some((fact, _)) => Err(format!("no entry of the audit log says: {fact}").into()),
            None => Ok(()),
        }
    }

    /// Number of entries that say that one of the `writers` did one of `verbs` to a Secret, with success.
    pub(super) fn count(&self, writers: &[Writer<'_>], verbs: &[&str], namespace: &str, name: &str) -> usize {
        let is_by = |entry: &AuditEntry| {
            writers.iter().any(|writer| match writer {
                Writer::User(user) => entry.acting_user() == *user,
                Writer::Agent(agent) => entry.user_agent == *agent,
            })
        };
        self.0.iter().filter(|entry| is_by(entry) && did(entry, None, verbs, namespace, name)).count()
    }

    /// True if the ServiceAccount `reader` (a user name) read all of `reads` before the first creation of the Secret
    /// `namespace/name` by `writer`, with whatever tokens.
    pub(super) fn has_read(
        &self,
        reader: &str,
        reads: &BTreeMap<(&str, &str), usize>,
        writer: &str,
        (namespace, name): (&str, &str),
    ) -> bool {
        let made = self.0.iter().position(|entry| did(entry, Some(writer), &["create"], namespace, name));
        let before = &self.0[..made.unwrap_or_default()];
        reads.iter().all(|(place, number)| {
            before.iter().filter(|entry| did(entry, Some(reader), &["get"], place.0, place.1)).count() >= *number
        })
    }

    /// Number of tokens of the ServiceAccount `reader` (a user name) that read all of `reads` (namespace, name, number of
    /// reads) before the first creation of the Secret `namespace/name` by `writer`: the reads that it may have been made of.
    /// None if there is no such creation.
    pub(super) fn readers(
        &self,
        reader: &str,
        reads: &BTreeMap<(&str, &str), usize>,
        writer: &str,
        (namespace, name): (&str, &str),
    ) -> Option<usize> {
        let made = self.0.iter().position(|entry| did(entry, Some(writer), &["create"], namespace, name))?;
        let before = &self.0[..made];
        let issued: Vec<&str> = before
            .iter()
            .filter(|entry| entry.acting_user() == writer)
            .filter_map(|entry| entry.annotations.get(ISSUED).map(String::as_str))
            .collect();
        let with = |token: &str, place: &(&str, &str)| {
            let by_token = |entry: &&AuditEntry| {
                did(entry, Some(reader), &["get"], place.0, place.1)
                    && entry.user.extra.get(USED).is_some_and(|used| used.iter().any(|used| used == token))
            };
            before.iter().filter(by_token).count()
        };
        let complete = |token: &&str| reads.iter().all(|(place, number)| with(token, place) >= *number);
        Some(issued.into_iter().filter(complete).count())
    }
}

fn is_secret(entry: &AuditEntry) -> bool {
    entry.object_ref.as_ref().is_some_and(|object| {
        object.resource == "secrets" && object.api_group.is_empty() && object.subresource.is_empty()
    })
}

fn is_token(entry: &AuditEntry) -> bool {
    entry
        .object_ref
        .as_ref()
        .is_some_and(|object| object.resource == "serviceaccounts" && object.subresource == "token")
}

fn code(entry: &AuditEntry) -> u16 {
    entry.response_status.as_ref().map_or(0, |status| status.code)
}

fn says(entry: &AuditEntry, fact: &Fact) -> bool {
    let Some(object) = &entry.object_ref else { return false };
    let impersonator = entry.impersonated_user.as_ref().map(|_| &entry.user.username);
    let is_about = match fact.resource {
        Resource::Secret => is_secret(entry),
        Resource::Token => is_token(entry),
    };
    is_about
        && entry.acting_user() == fact.user
        && impersonator == fact.impersonator.as_ref()
        && entry.verb == fact.verb
        && object.namespace == fact.namespace
        && fact.name.as_ref().is_none_or(|name| object.name == *name)
        && code(entry) == fact.code
}

fn did(entry: &AuditEntry, user: Option<&str>, verbs: &[&str], namespace: &str, name: &str) -> bool {
    is_secret(entry)
        && user.is_none_or(|user| entry.acting_user() == user)
        && verbs.contains(&entry.verb.as_str())
        && entry.object_ref.as_ref().is_some_and(|object| object.namespace == namespace && object.name == name)
        && (200..300).contains(&code(entry))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(user: &str, verb: &str, name: &str, code: u16, extra: serde_json::Value) -> AuditEntry {
        let mut entry = json!({
            "auditID": "1", "level": "Metadata", "stage": "ResponseComplete", "verb": verb,
            "user": { "username": user }, "userAgent": "case",
            "objectRef": { "resource": "secrets", "namespace": "a", "name": name },
            "responseStatus": { "code": code },
        });
        for (key, value) in extra.as_object().into_iter().flatten() {
            entry[key] = value.clone();
        }
        serde_json::from_value(entry).unwrap()
    }

    fn fact(user: &str, verb: &'static str, name: Option<&str>, code: u16) -> Fact {
        let (impersonator, resource) = (None, Resource::Secret);
        Fact {
            user: user.into(),
            impersonator,
            resource,
            verb,
            namespace: "a".into(),
            name: name.map(str::to_owned),
            code,
        }
    }

    fn trail() -> Trail {
        let none = || json!({});
        Trail::new(vec![
            entry("admin", "create", "one", 201, none()),
            entry("admin", "get", "one", 200, none()),
            entry("tenant", "get", "one", 403, none()),
            entry("tenant", "list", "", 200, none()),
        ])
    }

    fn all() -> Vec<Fact> {
        vec![
            fact("tenant", "list", None, 200),
            fact("tenant", "get", Some("one"), 403),
            fact("admin", "get", Some("one"), 200),
            fact("admin", "create", Some("one"), 201),
        ]
    }

    #[test]
    fn a_log_that_tells_each_request_once_is_exact() {
        trail().tells_exactly("case", &all()).unwrap();
    }

    #[test]
    fn a_request_without_its_entry_is_told_by_its_facts() {
        let mut facts = all();
        facts.push(fact("admin", "get", Some("one"), 200));
        let error = trail().tells_exactly("case", &facts).unwrap_err();
        assert!(error.as_str().contains("admin get a/one with answer 200"), "{error}");
    }

    #[test]
    fn an_entry_with_another_user_name_or_answer_is_not_the_one() {
        for wrong in [fact("admin", "list", None, 200), fact("tenant", "list", None, 403)] {
            let mut facts = all();
            facts[0] = wrong;
            trail().tells_exactly("case", &facts).unwrap_err();
        }
    }

    #[test]
    fn a_request_in_the_name_of_another_needs_both_users() {
        let both = json!({ "impersonatedUser": { "username": "tenant" } });
        let trail = Trail::new(vec![entry("admin", "get", "one", 200, both)]);
        let of = |impersonator: Option<&str>| Fact {
            impersonator: impersonator.map(str::to_owned),
            ..fact("tenant", "get", Some("one"), 200)
        };
        trail.tells_exactly("case", &[of(Some("admin"))]).unwrap();
        trail.tells_exactly("case", &[of(Some("somebody"))]).unwrap_err();
        trail.tells_exactly("case", &[of(None)]).unwrap_err();
    }

    fn token_of(name: &str) -> Fact {
        Fact { resource: Resource::Token, ..fact("admin", "create", Some(name), 201) }
    }

    fn token(name: &str) -> AuditEntry {
        let object = json!({ "resource": "serviceaccounts", "subresource": "token", "namespace": "a", "name": name });
        entry("admin", "create", name, 201, json!({ "objectRef": object }))
    }

    #[test]
    fn a_token_that_a_person_asked_for_is_told_where_any_is() {
        let [mine, of_others] = ["mine", "other"].map(token);
        let other = AuditEntry { user_agent: "somebody".to_owned(), ..of_others };
        Trail::new(vec![mine, other.clone()]).tells_exactly("case", &[token_of("mine")]).unwrap();
        Trail::new(vec![other]).tells_exactly("case", &[token_of("mine")]).unwrap_err();
        Trail::new(Vec::new()).tells_exactly("case", &[token_of("mine")]).unwrap();
    }

    #[test]
    fn reads_without_tokens_are_those_of_the_account_before_the_copy() {
        let entries = |names: &[(&str, &str)]| {
            let one = |(user, name): &(&str, &str)| {
                entry(user, if *user == "store" { "get" } else { "create" }, name, 201, json!({}))
            };
            Trail::new(names.iter().map(one).collect())
        };
        let reads = BTreeMap::from([(("a", "source"), 1)]);
        let has_read = |trail: Trail| trail.has_read("store", &reads, "operator", ("a", "copy"));
        assert!(has_read(entries(&[("store", "source"), ("operator", "copy")])));
        assert!(!has_read(entries(&[("operator", "copy"), ("store", "source")])));
        assert!(!has_read(entries(&[("other", "source"), ("operator", "copy")])));
    }

    #[test]
    fn reads_are_attributed_to_the_copy_that_was_made_after_them() {
        let issued = |token: &str| json!({ "annotations": { (ISSUED): token } });
        let with = |token: &str| json!({ "user": { "username": "store", "extra": { (USED): [token] } } });
        let trail = Trail::new(vec![
            entry("operator", "create", "", 201, issued("JTI=1")),
            entry("operator", "create", "", 201, issued("JTI=2")),
            entry("store", "get", "source", 200, with("JTI=1")),
            entry("store", "get", "source", 200, with("JTI=1")),
            entry("store", "get", "source", 200, with("JTI=2")),
            entry("operator", "create", "copy", 201, json!({})),
            entry("store", "get", "source", 200, with("JTI=2")),
        ]);
        let reads = |number| BTreeMap::from([(("a", "source"), number)]);
        let readers = |number| trail.readers("store", &reads(number), "operator", ("a", "copy"));
        assert_eq!([readers(1), readers(2), readers(3)], [Some(2), Some(1), Some(0)]);
        assert_eq!(trail.readers("store", &reads(1), "operator", ("a", "other")), None);
    }
}
