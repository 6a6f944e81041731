//! The identities of a run in the place of those that the team's own cluster has.

use std::collections::BTreeSet;

use credence_core::adjustments::OverlayField;
use credence_core::manifest::Manifest;
use serde_json::Value;

use crate::model::{ADMINISTRATORS, Identities};

/// Puts the operator and the administrator of a run into the expressions of admission policies that name those of the intent alone,
/// and says what was changed.
///
/// A policy that names the run's own too is left as it is.
pub fn apply(manifests: &mut [Manifest], identities: &Identities, operator: &str) -> Vec<OverlayField> {
    let own = identities.operator.iter().map(|name| (name.as_str(), operator));
    let own: Vec<(&str, &str)> =
        own.chain(identities.platform_groups.iter().map(|name| (name.as_str(), ADMINISTRATORS))).collect();
    let policies = manifests.iter_mut().filter(|manifest| manifest.kind() == "ValidatingAdmissionPolicy");
    policies.flat_map(|policy| of_policy(policy, &own)).collect()
}

fn of_policy(policy: &mut Manifest, identities: &[(&str, &str)]) -> Vec<OverlayField> {
    let object = format!("{} {}", policy.kind(), policy.name());
    let written: Vec<&str> = expressions(&mut policy.object).map(|(_, text)| &**text).collect();
    let has = |name: &str| written.iter().any(|text| quotes(name).iter().any(|quoted| text.contains(quoted)));
    let wanted: Vec<(&str, &str)> = identities.iter().copied().filter(|(_, by)| !has(by)).collect();
    let mut changed = BTreeSet::new();
    for (field, text) in expressions(&mut policy.object) {
        for (name, by) in &wanted {
            for (own, new) in quotes(name).iter().zip(quotes(by)) {
                if text.contains(own) {
                    *text = text.replace(own, &new);
                    changed.insert((field, format!("{by} in the place of {name}")));
                }
            }
        }
    }
    let field =
        |(field, value): (&str, String)| OverlayField { object: object.clone(), field: format!("spec.{field}"), value };
    changed.into_iter().map(field).collect()
}

/// A text in both quotes that expressions have.
fn quotes(text: &str) -> [String; 2] {
    [format!("\"{text}\""), format!("'{text}'")]
}

/// The expressions of a policy, each with its field.
fn expressions(policy: &mut Value) -> impl Iterator<Item = (&'static str, &mut String)> {
    const FIELDS: [&str; 3] = ["matchConditions", "variables", "validations"];
    let spec = policy.get_mut("spec").and_then(Value::as_object_mut);
    let lists = spec
        .into_iter()
        .flatten()
        .filter_map(|(field, list)| Some((*FIELDS.iter().find(|known| *known == field)?, list.as_array_mut()?)));
    lists.flat_map(|(field, list)| {
        list.iter_mut().filter_map(move |one| match one.get_mut("expression") {
            Some(Value::String(text)) => Some((field, text)),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;

    use super::*;

    fn policy(expression: &str) -> Vec<Manifest> {
        let text = format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: p}}\n\
             spec: {{validations: [{{expression: '{expression}'}}]}}\n"
        );
        parse_documents(Path::new("a.yaml"), &text).unwrap()
    }

    fn applied(expression: &str) -> (String, usize) {
        let identities = Identities {
            operator: Some("system:serviceaccount:eso:eso".to_owned()),
            platform_groups: vec!["platform".to_owned()],
            ..Identities::default()
        };
        let mut manifests = policy(expression);
        let changed = apply(&mut manifests, &identities, "system:serviceaccount:run:run");
        let expression = manifests[0].object.pointer("/spec/validations/0/expression").unwrap();
        (expression.as_str().unwrap().to_owned(), changed.len())
    }

    #[test]
    fn the_operator_and_the_platform_of_the_intent_give_way_to_those_of_the_run() {
        let (expression, changed) = applied(r#"user == "system:serviceaccount:eso:eso" || g in ["platform", "b"]"#);
        assert_eq!(expression, r#"user == "system:serviceaccount:run:run" || g in ["system:masters", "b"]"#);
        assert_eq!(changed, 2);
    }

    #[test]
    fn a_policy_that_names_those_of_the_run_too_is_left_as_it_is() {
        let both = r#"g in ["platform", "system:masters"]"#;
        assert_eq!(applied(both), (both.to_owned(), 0));
    }
}
