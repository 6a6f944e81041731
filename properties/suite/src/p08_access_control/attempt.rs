//! From a route to the requests that try it, and those that show that the refusal was for the right reason. Pure.

use credence_core::labels::Labels;
use credence_model::config::SourceRef;
use credence_model::model::Model;

use super::call::Call;
use super::objective::{Goal, Objective, sources_of};
use super::route::{AttackPath, Consequence, Identity, Route};
use super::tracers::{entitled, granted_beyond};
use crate::generate::Recipient;
use crate::testbed::tenant::Rights;

mod context;
mod identities;
mod labels;
mod pods;
mod reads;
mod stores;
mod templates;

pub(super) use context::AttackContext;

/// The requests of an attempt.
pub(super) struct Attempt {
    /// Objects of the platform, which the attempt is about.
    pub(super) platform: Vec<Call>,
    /// Requests that the tenant may make and makes first.
    pub(super) prepare: Vec<Call>,
    /// The request that the route is about, made after `prepare`.
    pub(super) call: Call,
    /// The same kind of request for what is the tenant's own: it must be allowed.
    pub(super) harmless: Option<Call>,
    /// True if somebody with more rights would be let through with the very same request.
    pub(super) exact: bool,
    /// A store that the operator has to look at, by its path, before what follows.
    pub(super) store: Option<String>,
    /// Request that uses the result, if there is one.
    pub(super) then: Option<Call>,
    /// Evidence that would show that it worked.
    pub(super) consequence: Consequence,
    /// Place at which that would be seen.
    pub(super) seen: Seen,
}

/// Place at which it would be seen that an attempt worked.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The namespace of what follows.
    pub(super) namespace: String,
    /// The Secrets that would be made.
    pub(super) secrets: Vec<String>,
    /// Object that the operator looks at, by its path.
    pub(super) object: Option<String>,
    /// True if the operator had something else to look at there before.
    pub(super) changed: bool,
    /// A user that would have rights.
    pub(super) user: Option<String>,
    /// The source that would be read or changed, and the key.
    pub(super) source: Option<(SourceRef, String)>,
}

impl Attempt {
    /// An attempt by `route`, whose consequence is in the answer or in the cluster as such.
    fn of_route(
        context: &AttackContext<'_>,
        route: Route,
        goal: &Goal<'_>,
        call: Call,
        harmless: Option<Call>,
    ) -> Self {
        let source = Some((goal.source.clone(), goal.key.to_owned()));
        Self {
            platform: Vec::new(),
            prepare: Vec::new(),
            call,
            harmless,
            exact: true,
            store: None,
            then: None,
            consequence: route.consequence(),
            seen: Seen { namespace: context.mine.to_owned(), source, ..Seen::default() },
        }
    }

    /// The same attempt, whose consequence is in the Secret of this ExternalSecret of the tenant's namespace.
    fn read_by(mut self, context: &AttackContext<'_>, external_secret: &str) -> Self {
        self.seen.secrets = vec![external_secret.to_owned()];
        self.seen.object = Some(format!("{}/{external_secret}", context.external_secrets()));
        self
    }

    /// The same attempt, if it is to create something, by a change of something harmless that exists. An attempt that has
    /// no harmless kind stays what it is.
    pub(super) fn afterwards(mut self) -> Self {
        if self.seen.object.is_some()
            && let Some(harmless) = &self.harmless
            && let (Some(call), Some(control)) = (self.call.afterwards(), harmless.afterwards())
        {
            self.prepare.push(harmless.clone().for_real());
            (self.call, self.harmless) = (call, Some(control.dry_run()));
            // What uses it is new.
            self.seen.changed = self.then.is_none();
        }
        self
    }

    /// The attempt by `route`, under `name`, after what the tenant is not entitled to, where there is such a thing. `None` if
    /// there is nothing to try it on.
    pub(super) fn of(context: &AttackContext<'_>, route: Route, objective: &Objective, name: &str) -> Option<Self> {
        let goal = objective.beyond(context.model, &entitled(context.model, context.mine, context.labels))?;
        match route {
            Route::Read(place, how) => Some(reads::read(context, route, (place, how), &goal)),
            Route::CentralStore(how) => Some(reads::central_store(context, route, how, &goal, name)),
            Route::OwnStore(how) => stores::own(context, how, &goal, name),
            Route::Platform(kind) => stores::platform(context, kind, &goal, name),
            Route::Template(trick, disguise) => Some(templates::template(context, trick, disguise, &goal, name)),
            Route::Webhook(caller) => Some(templates::webhook(context, caller, &goal, name)),
            Route::Label(how) => labels::label(context, how, objective, &goal, name),
            Route::Impersonate(whom) => identities::impersonate(context, whom, &goal),
            Route::Token(whom) => identities::token(context, whom, &goal),
            Route::Pod(how) => Some(pods::pod(context, how, &goal, name)),
            Route::Grant(how) => Some(identities::grant(context, how, &goal, name)),
            // They are no requests of a tenant.
            Route::Conditions | Route::StoreAccount => None,
        }
    }
}

/// True if there is anything to try an attack path on, for a tenant with these rights and these labels of its namespace
/// and of the neighbour's.
pub(super) fn has_subject(
    model: &Model,
    rights: Rights,
    (labels, neighbour): (&Labels, &Recipient),
    attack_path: &AttackPath,
) -> bool {
    let AttackPath { objective, route, .. } = attack_path;
    match route {
        Route::Conditions => {
            let own = entitled(model, "tenant", labels);
            !granted_beyond(model, (neighbour.name_or("neighbour"), neighbour.labels()), &own).is_empty()
        }
        Route::StoreAccount => objective.at(model).is_some_and(|goal| {
            identities::account(Identity::StoreAccount, &goal).is_some()
                && !sources_of(model, &goal.store.name).is_empty()
        }),
        _ => Attempt::of(&AttackContext::example(model, rights, labels), *route, objective, "example").is_some(),
    }
}
