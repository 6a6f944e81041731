//! Values that the sources have before the first case.

use std::collections::BTreeMap;

use credence_cluster::apply::RUN_LABEL;
use credence_model::config::SourceRef;
use credence_model::model::Model;
use credence_model::values::Values;
use proptest::strategy::{Strategy, ValueTree};

use crate::generate;
use crate::testbed::TestBed;
use crate::testbed::sources::SourceError;

/// Gives each source generated values in place of the configuration's placeholders.
pub(super) async fn write_sources(env: &TestBed, seed: u64) -> Result<(), SourceError> {
    for (index, (name, source)) in env.model.sources.iter().enumerate() {
        let values = initial_values(&env.model, seed, index, name);
        if let Some(mut lease) = env.sources.rotate(name).await {
            let labels = BTreeMap::from([(RUN_LABEL.to_owned(), env.namespaces.run().to_owned())]);
            lease.write_first(&env.cluster.client, &labels, &source.secret_type, &values).await?;
        }
    }
    Ok(())
}

/// The values that a source has before the first case.
pub(super) fn initial_values(model: &Model, seed: u64, index: usize, name: &SourceRef) -> Values {
    let mut runner = generate::runner(seed, "sources", u32::try_from(index).unwrap_or_default());
    let strategy = generate::values_of(model, name, &model.sources[name].keys);
    // These strategies filter nothing, so they cannot be rejected.
    strategy.new_tree(&mut runner).expect("nothing is filtered").current()
}
