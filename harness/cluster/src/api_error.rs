//! The error of a request that the API server refused or did not answer, for every module that does nothing more with it.

use kube::Error;

/// A request to the API server that failed: "failed to delete ClusterExternalSecret NAME".
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} {object}")]
pub struct ApiError {
    act: &'static str,
    object: String,
    // Boxed, as it is far larger than what it is an alternative to.
    #[source]
    source: Box<Error>,
}

impl ApiError {
    /// Makes the error of `act`, a verb such as `delete`, on `object`, its kind and name, once its cause is known.
    pub fn of<E: From<Self>>(act: &'static str, object: &str) -> impl Fn(Error) -> E + use<E> {
        let object = object.to_owned();
        move |source| Self { act, object: object.clone(), source: Box::new(source) }.into()
    }
}
