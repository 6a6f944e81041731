//! Labels of objects, and those by which consumers find their Secrets.

use std::collections::BTreeMap;

/// The labels of one object.
pub type Labels = BTreeMap<String, String>;

/// The label by which Argo CD finds its Secrets.
pub const ARGO_CD_LABEL: &str = "argocd.argoproj.io/secret-type";

/// The label by which Kargo finds its Secrets.
pub const KARGO_LABEL: &str = "kargo.akuity.io/cred-type";
