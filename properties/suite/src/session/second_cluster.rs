//! A second cluster, for properties that need one for themselves: they are tested on it while the others are on the first.

use std::sync::Arc;

use credence_cluster::capability::Capability;
use credence_cluster::cluster::Cluster;
use credence_core::id::PropertyId;
use credence_programs::supply::{Part, Progress, Step};

use super::Session;
use crate::driver::Registered;
use crate::error::RunError;
use crate::events::{Event, Events};
use crate::options::Options;
use crate::registry::PROPERTIES;
use crate::stop::Stop;

/// The properties of a run that are tested on a cluster of their own beside the first, `cluster`; none if that can have no other
/// beside it, if the user wants one thing after the other, or if all of them need it for themselves.
pub(super) fn properties(options: &Options, cluster: &Cluster) -> Vec<PropertyId> {
    match cluster.supports(Capability::SecondCluster) {
        Ok(()) if options.lanes.get() > 1 => needing_all(options),
        _ => Vec::new(),
    }
}

/// The wanted properties that need a cluster to themselves, if there are others.
fn needing_all(options: &Options) -> Vec<PropertyId> {
    let wanted = PROPERTIES.iter().filter(|property| options.wants(property.meta().id));
    let (apart, beside): (Vec<&dyn Registered>, Vec<&dyn Registered>) =
        wanted.copied().partition(|property| property.shares().needs_all());
    if beside.is_empty() { Vec::new() } else { apart.iter().map(|property| property.meta().id).collect() }
}

/// The same options, for all wanted properties but `apart`.
pub(super) fn without(options: &Options, apart: &[PropertyId]) -> Options {
    let ids = PROPERTIES.iter().map(|property| property.meta().id);
    let properties = ids.filter(|id| options.wants(*id) && !apart.contains(id)).collect();
    Options { properties, ..options.clone() }
}

/// Starts another session with its own cluster, and tests `properties` there.
///
/// # Errors
/// When it cannot be started.
pub(super) async fn test(
    options: &Options,
    properties: &[&dyn Registered],
    events: &Arc<dyn Events>,
    stop: &Stop,
) -> Result<Session, RunError> {
    let ids: Vec<PropertyId> = properties.iter().map(|property| property.meta().id).collect();
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    events.note(&format!("on a cluster of their own, beside the others: {}", names.join(", ")));
    let options = Options { properties: ids, ..options.clone() };
    let quiet: Arc<dyn Events> = Arc::new(SetUpSilently(Arc::clone(events)));
    let mut session = tokio::select! {
        biased;
        () = stop.requested() => return Err(RunError::Interrupted),
        session = Box::pin(Session::start(options, &quiet)) => session?,
    };
    // Those of the first cluster are in the report.
    session.phases.clear();
    session.test_here(events.as_ref(), properties, stop).await;
    Ok(session)
}

/// The events of a set-up that was told of already, but for what is obtained.
struct SetUpSilently(Arc<dyn Events>);

impl Progress for SetUpSilently {
    fn step(&self, part: Part, step: &Step) {
        self.0.step(part, step);
    }

    fn note(&self, _text: &str) {}
}

impl Events for SetUpSilently {
    fn event(&self, _event: &Event<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::testing::options;

    fn ids(numbers: &[u8]) -> Vec<PropertyId> {
        numbers.iter().map(|number| PropertyId::new(*number)).collect()
    }

    #[test]
    fn what_leaves_no_room_for_others_is_tested_apart_where_there_are_others() {
        let wanting = |numbers: &[u8]| Options { properties: ids(numbers), ..options("out".into()) };
        assert_eq!(needing_all(&options("out".into())), ids(&[11, 12]));
        assert_eq!(needing_all(&wanting(&[1, 11])), ids(&[11]));
        assert_eq!(needing_all(&wanting(&[11, 12])), []);
        assert_eq!(needing_all(&wanting(&[1, 2])), []);
        assert_eq!(without(&wanting(&[1, 2, 11]), &ids(&[11])).properties, ids(&[1, 2]));
    }
}
