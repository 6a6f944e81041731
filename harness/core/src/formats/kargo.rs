//! Credentials as Kargo reads them.
//!
//! Source: kargo pkg/credentials/kubernetes/database.go and pkg/credentials/basic/basic.go.

use std::collections::BTreeMap;

use super::{Decoded, FormatError, FormatKind, KARGO_LABEL, Role, required, text};
use crate::credential::Credential;
use crate::labels::Labels;

/// The credential, if the labels make the copy one of Kargo's.
pub(super) fn decode(labels: &Labels, data: &BTreeMap<String, Credential>) -> Option<Result<Decoded, FormatError>> {
    let kind = match labels.get(KARGO_LABEL)?.as_str() {
        "git" => FormatKind::KargoGit,
        "image" => FormatKind::KargoImage,
        "helm" => FormatKind::KargoHelm,
        // What is in a generic one, only a promotion step knows.
        "generic" => return None,
        value => {
            return Some(Err(FormatError::Label { label: KARGO_LABEL, value: value.to_owned() }));
        }
    };
    Some(decode_as(kind, data))
}

fn decode_as(kind: FormatKind, data: &BTreeMap<String, Credential>) -> Result<Decoded, FormatError> {
    let url = text("repoURL", required(data, "repoURL")?)?;
    // Kargo takes only this very text for yes, so that anything else is a regular expression compared as a URL.
    if let Some(value) = data.get("repoURLIsRegex")
        && !["true", "false"].contains(&text("repoURLIsRegex", value)?)
    {
        return Err(FormatError::Setting { key: "repoURLIsRegex", expected: "\"true\" or \"false\"" });
    }
    Ok(Decoded {
        kind,
        parts: BTreeMap::from([
            (Role::Username, required(data, "username")?.clone()),
            (Role::Secret, required(data, "password")?.clone()),
        ]),
        endpoints: vec![url.to_owned()],
    })
}
