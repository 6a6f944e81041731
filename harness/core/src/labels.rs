//! Labels of objects.

use std::collections::BTreeMap;

/// The labels of one object.
pub type Labels = BTreeMap<String, String>;
