//! Namespaces in which a consumer looks for its credentials, and the labels by which they get them.

use credence_core::consumer::Consumer;
use credence_core::endpoints::Endpoints;
use credence_core::formats::{ARGO_CD, ARGO_CD_SSH_RULES};
use credence_core::labels::Labels;
use credence_model::model::{Distribution, Model, expected_in};

/// Consumer whose copies decide the labels of the namespace in which another looks.
pub(super) fn owner_of_namespace(consumer: Consumer) -> Consumer {
    if consumer == ARGO_CD_SSH_RULES { ARGO_CD } else { consumer }
}

pub(super) fn is_in(model: &Model, distribution: &Distribution, namespace: &str, labels: &Labels) -> bool {
    expected_in(model, namespace, labels).values().any(|found| found.name == distribution.name)
}

/// The labels that Argo CD's namespace has so that it gets the copies that are for Argo CD.
pub(crate) fn labels_of_argo_cd(model: &Model, endpoints: &Endpoints) -> Labels {
    labels_for(model, endpoints, ARGO_CD)
}

/// The labels of the namespace in which a consumer looks: those that the configuration gives it, or if it says nothing of
/// that namespace, as many as it takes to ask for all copies that are for this consumer and do not exclude each other.
pub(super) fn labels_for(model: &Model, endpoints: &Endpoints, consumer: Consumer) -> Labels {
    let Some(namespace) = endpoints.namespace_of(consumer) else { return Labels::new() };
    if let Some(labels) = model.namespaces.get(namespace) {
        return labels.clone();
    }
    let mut labels = Labels::new();
    for distribution in
        model.distributions.iter().filter(|distribution| Consumer::of(&distribution.shape()) == Some(consumer))
    {
        let named = distribution.named_ways().into_iter().filter(|(names, _)| names.contains(namespace));
        let ways = distribution.opt_in_labels().into_iter().chain(named.map(|(_, labels)| labels));
        let joined = ways.filter_map(|way| {
            let agrees = way.iter().all(|(key, value)| labels.get(key).is_none_or(|own| own == value));
            agrees.then(|| labels.clone().into_iter().chain(way).collect::<Labels>())
        });
        if let Some(more) = joined.into_iter().find(|labels| is_in(model, distribution, namespace, labels)) {
            labels = more;
        }
    }
    labels
}
