//! HelmReleases of Flux whose chart is in the same tree or repository.
//!
//! Source: Flux, helm-controller `api/v2/helmrelease_types.go` (names and defaults) and github.com/fluxcd/pkg `chartutil/values.go`
//! (`ChartValuesFromReferences`: a later object wins over an earlier one, and `values` over all of them).

use std::path::PathBuf;

use credence_core::manifest::{Location, Manifest};
use credence_core::text::Reason;
use serde_json::Value;

use super::flux::config_map;
use super::pointer::{Helm, How, Pointer};
use super::roots::Roots;
use crate::kustomize::is_chart;

/// The chart that a HelmRelease installs, or why it is not followed: the field, and the reason.
pub(super) fn pointer<'m>(
    manifest: &Manifest,
    roots: &Roots,
    others: impl Iterator<Item = &'m Manifest> + Clone,
) -> Result<Pointer, (String, String)> {
    let spec = &manifest.object["spec"];
    let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let not = |field: &str, why: String| (format!("/spec/{field}"), why);
    let (Some(chart), Some(kind)) = (text("/chart/spec/chart"), text("/chart/spec/sourceRef/kind")) else {
        return Err(not("chartRef", "its chart would be fetched".to_owned()));
    };
    if kind != "GitRepository" {
        let source = text("/chart/spec/sourceRef/name").unwrap_or_default();
        return Err(not("chart/spec/chart", format!("chart {chart} of {kind} {source} would be fetched")));
    }
    let below = roots.below(chart).filter(|(_, directory)| is_chart(directory));
    let Some((root, directory)) = below else {
        return Err(not("chart/spec/chart", format!("there is no chart {chart} in the tree")));
    };
    let items = |field: &str| spec.pointer(field).and_then(Value::as_array).into_iter().flatten();
    if items("/postRenderers").next().is_some() {
        return Err(not("postRenderers", "postRenderers changes what is rendered".to_owned()));
    }
    let files = items("/chart/spec/valuesFiles").enumerate().filter_map(|(index, file)| {
        let at = manifest.location(&format!("/spec/chart/spec/valuesFiles/{index}"));
        Some((root.join(file.as_str()?.trim_start_matches('/')), at))
    });
    let files: Vec<(PathBuf, Location)> = files.collect();
    // Without it among them Flux leaves the chart's own file of values out, and helm does not.
    if !files.is_empty() && files.iter().all(|(path, _)| *path != directory.join("values.yaml")) {
        return Err(not("chart/spec/valuesFiles", "valuesFiles leaves out the chart's own values.yaml".to_owned()));
    }
    let (mut values, mut set) = (Vec::new(), Vec::new());
    for (index, from) in items("/valuesFrom").enumerate() {
        let taken = taken_from(manifest, from, others.clone());
        match taken.map_err(|why| not(&format!("valuesFrom/{index}"), why.into()))? {
            Some((Some(path), value)) => set.push(("--set", format!("{path}={value}"))),
            Some((None, value)) => values.push(value),
            None => {}
        }
    }
    values.extend(spec.get("values").filter(|values| !values.is_null()).map(Value::to_string));
    // Of helm, what is set wins over all files; of Flux, the values that are written here do.
    if !set.is_empty() && spec.get("values").is_some_and(|values| !values.is_null()) {
        return Err(not("valuesFrom", "a targetPath beside values is not worked out".to_owned()));
    }
    let target = text("/targetNamespace");
    let name = target.map_or_else(|| manifest.name().to_owned(), |target| format!("{target}-{}", manifest.name()));
    let release = text("/releaseName").map_or(name, str::to_owned);
    let namespace = target.or(manifest.namespace()).map(str::to_owned);
    let helm = Helm { release, value_files: files, values, set };
    let (by, at) = (manifest.object_name(), manifest.location("/spec/chart/spec/chart"));
    Ok(Pointer { by, at, directory, how: How::Installed { namespace, recurse: false, helm } })
}

/// What one entry of `valuesFrom` gives: the path that it is put at, if not everywhere, and the value. None if it is optional and
/// not there.
type Taken = Option<(Option<String>, String)>;

fn taken_from<'m>(
    release: &Manifest,
    from: &Value,
    others: impl Iterator<Item = &'m Manifest>,
) -> Result<Taken, Reason> {
    let text = |field: &str| from.get(field).and_then(Value::as_str);
    let (kind, name) = (text("kind").unwrap_or_default(), text("name").unwrap_or_default());
    if kind != "ConfigMap" {
        return Err(format!("{kind} {name} is not read, as values of Secrets never are").into());
    }
    let map = config_map(release.namespace(), name, others);
    let key = text("valuesKey").unwrap_or("values.yaml");
    let value = map.and_then(|map| map.object.get("data")?.get(key)?.as_str());
    let is_optional = from.get("optional").and_then(Value::as_bool) == Some(true);
    match value {
        Some(value) => Ok(Some((text("targetPath").map(str::to_owned), value.to_owned()))),
        None if is_optional => Ok(None),
        None => Err(format!("there is no {key} of ConfigMap {name} beside it").into()),
    }
}
