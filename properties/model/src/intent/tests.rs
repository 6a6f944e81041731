use std::collections::BTreeSet;
