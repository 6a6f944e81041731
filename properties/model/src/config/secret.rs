//! Secrets of the core group, with their values out of sight.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credence_core::credential::Credential;
use credence_core::labels::Labels;
use credence_core::manifest::Manifest;
use serde_json::Value;

use super::{ConfigError, SourcePosition, typed};

/// The type of a Secret that names none.
pub const OPAQUE: &str = "Opaque";

/// A Secret as the configuration writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretManifest {
    /// The type, `Opaque` if none is written.
    pub secret_type: String,
    /// Labels of the Secret, by which searches find it.
    pub labels: Labels,
    /// The values of `data`, decoded, under those of `stringData`.
    pub data: BTreeMap<String, Credential>,
}

/// True for a Secret whose values SOPS encrypted: its keys are known, and the values are those of others.
///
/// Source: SOPS writes its metadata into the field `sops` of the document, and Flux and Argo CD's plugins remove it again.
fn is_encrypted_by_sops(manifest: &Manifest) -> bool {
    manifest.group().is_empty() && manifest.kind() == "Secret" && manifest.object.get("sops").is_some()
}

pub(super) fn read(manifest: &Manifest) -> Result<SecretManifest, ConfigError> {
    let is_encrypted = is_encrypted_by_sops(manifest);
    let mut data = BTreeMap::new();
    // In this order, because the API server lets stringData win.
    for (field, decode) in [("data", from_base64 as Decode), ("stringData", from_text)] {
        let Some(Value::Object(values)) = manifest.object.get(field) else {
            continue;
        };
        for (key, value) in values {
            if is_encrypted {
                data.insert(key.clone(), Credential::new(""));
                continue;
            }
            // Go decodes null to an empty text.
            let value = if value.is_null() { Ok(Credential::new("")) } else { decode(value) };
            let value = value.map_err(|reason| ConfigError::SecretValue {
                place: Box::new(SourcePosition::field(
                    manifest,
                    &format!("/{field}/{}", key.replace('~', "~0").replace('/', "~1")),
                )),
                key: key.clone(),
                reason,
            })?;
            data.insert(key.clone(), value);
        }
    }
    let secret_type = manifest.object.get("type").and_then(Value::as_str);
    let labels: Option<Labels> = typed(manifest, LABELS, manifest.object.pointer(LABELS).cloned().unwrap_or_default())?;
    Ok(SecretManifest {
        secret_type: secret_type.unwrap_or(OPAQUE).to_owned(),
        labels: labels.unwrap_or_default(),
        data,
    })
}

/// The labels of a Secret, and those that a SealedSecret gives it.
const LABELS: &str = "/metadata/labels";
const SEALED_LABELS: &str = "/spec/template/metadata/labels";

/// The API group of Sealed Secrets.
pub(super) const SEALED_SECRETS_GROUP: &str = "bitnami.com";

/// The Secret that a SealedSecret becomes, of the same name and namespace: its keys, with empty values for those that only
/// its controller can open.
///
/// Source: Sealed Secrets, `SealedSecret.Unseal` (pkg/apis/sealedsecrets/v1alpha1/sealedsecret_expansion.go): data are those
/// of `encryptedData`, type and labels those of `template`.
pub(super) fn sealed(manifest: &Manifest) -> Result<SecretManifest, ConfigError> {
    let field = |pointer: &str| manifest.object.pointer(pointer).cloned().unwrap_or_default();
    let sealed = field("/spec/encryptedData");
    let keys = sealed.as_object().into_iter().flat_map(|data| data.keys());
    let labels: Option<Labels> = typed(manifest, SEALED_LABELS, field(SEALED_LABELS))?;
    Ok(SecretManifest {
        secret_type: field("/spec/template/type").as_str().unwrap_or(OPAQUE).to_owned(),
        labels: labels.unwrap_or_default(),
        data: keys.map(|key| (key.clone(), Credential::new(""))).collect(),
    })
}

type Decode = fn(&Value) -> Result<Credential, &'static str>;

fn from_text(value: &Value) -> Result<Credential, &'static str> {
    value.as_str().map(Credential::new).ok_or("no text")
}

fn from_base64(value: &Value) -> Result<Credential, &'static str> {
    // Go's decoder passes over line breaks, which folded manifests have.
    let text = value.as_str().ok_or("no text")?.replace(['\r', '\n'], "");
    STANDARD.decode(text).map(Credential::new).map_err(|_| "no base64")
}
