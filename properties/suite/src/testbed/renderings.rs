//! Output of templates for the values of their source: the expected values of keys for which nothing else tells them.
//!
//! The operator's own engine renders them before the values are written or relied on, so that whoever looks at a copy only looks up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use credence_model::config::{SourceRef, spec_in};
use credence_model::model::Distribution;
use credence_model::values::Values;
use credence_programs::esoctl::{RenderError, TemplateEngine};
use serde_json::Value;

use crate::oracle::{self, Rendered};

/// Everything that was rendered so far.
#[derive(Default)]
pub(crate) struct Renderings {
    engine: OnceLock<TemplateEngine>,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    /// The templates that are rendered, each with who has it: several may have the same.
    templates: BTreeMap<(String, Arc<str>), Template>,
    /// Output of each template; none if the engine refuses the values, as the operator does.
    made: BTreeMap<Arc<str>, Vec<Made>>,
}

/// Values that went in, and what came out.
struct Made {
    of: Values,
    made: Option<Arc<Values>>,
}

impl All {
    /// Output of a template for values; none if they were not rendered. The latest are looked up most.
    fn made_of(&self, template: &str, values: &Values) -> Option<&Made> {
        self.made.get(template)?.iter().rev().find(|made| made.of == *values)
    }
}

#[derive(Clone)]
struct Template {
    distribution: Arc<Distribution>,
    template: Arc<Value>,
}

impl Renderings {
    /// Has `engine` render from now on.
    pub(crate) fn use_engine(&self, engine: TemplateEngine) {
        // A session has one engine.
        self.engine.get_or_init(|| engine);
    }

    /// Renders the template of this one as well, if only that tells what its copies must hold.
    pub(crate) fn add(&self, distribution: &Distribution) {
        if !distribution.needs_rendering() {
            return;
        }
        if let Ok(template) = distribution.rendering() {
            let template = Template { distribution: Arc::new(distribution.clone()), template: Arc::new(template) };
            self.lock().templates.insert((distribution.name.clone(), text(distribution)), template);
        }
    }

    /// Renders the template of this one no more.
    pub(crate) fn remove(&self, distribution: &Distribution) {
        self.lock().templates.remove(&(distribution.name.clone(), text(distribution)));
    }

    /// Renders what is made of `values` of this source, if that is not known yet. Without an engine nothing is: who compares
    /// copies [needs](crate::supplies::Need::Renderings) one before it begins.
    ///
    /// # Errors
    /// When the engine does not run.
    pub(crate) async fn learn(&self, source: &SourceRef, values: &Values) -> Result<(), RenderError> {
        let Some(engine) = self.engine.get() else { return Ok(()) };
        let templates = self.lock().templates.clone();
        for ((_, text), Template { distribution, template }) in templates {
            // What is made of other sources, or of keys that these values do not have.
            let Some(inputs) = oracle::inputs(&distribution, &(source, values)) else { continue };
            if self.lock().made_of(&text, &inputs).is_some() {
                continue;
            }
            let made = engine.render_if_taken(&distribution.name, &template, &inputs).await?.map(Arc::new);
            self.lock().made.entry(text).or_default().push(Made { of: inputs, made });
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Whole entries are put in, or none.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rendered for Renderings {
    fn of(&self, distribution: &Distribution, values: &dyn Fn() -> Option<Values>) -> Option<Arc<Values>> {
        if distribution.composed.is_empty() {
            return None;
        }
        let all = self.lock();
        let has_it = (distribution.name.clone(), text(distribution));
        all.templates.get(&has_it)?;
        all.made_of(&has_it.1, &values()?)?.made.clone()
    }
}

/// The template of a distribution as it is written.
fn text(distribution: &Distribution) -> Arc<str> {
    spec_in(&distribution.object).pointer("/target/template").map(Value::to_string).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use credence_core::credential::Credential;
    use credence_core::manifest::parse_documents;
    use credence_model::config::Config;
    use credence_model::model::Model;
    use credence_watch::observer::SecretSeen;

    use super::*;

    const DISTRIBUTION: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: store}
spec:
  provider:
    kubernetes:
      remoteNamespace: vault
      server: {caProvider: {type: ConfigMap, name: kube-root-ca.crt, namespace: vault, key: ca.crt}}
      auth: {serviceAccount: {name: reader, namespace: vault}}
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: bearer}
spec:
  namespaceSelectors: [{matchLabels: {bearer: wanted}}]
  externalSecretSpec:
    secretStoreRef: {kind: ClusterSecretStore, name: store}
    target: {template: {data: {header: 'Bearer {{ .token }}'}}}
    data: [{secretKey: token, remoteRef: {key: api, property: token}}]
---
apiVersion: v1
kind: Secret
metadata: {name: api, namespace: vault}
stringData: {token: first}
";

    /// An engine that makes the value of `token` of every template, and counts in the file `runs`.
    const ENGINE: &str = "#!/bin/sh
printf . >>RUNS
value=$(sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')
printf 'data:\\n  header: %s\\n' \"$value\"
";

    fn values(token: &str) -> Values {
        Values::from([("token".to_owned(), Credential::new(token))])
    }

    fn engine(directory: &Path) -> TemplateEngine {
        let program = directory.join("esoctl");
        fs::write(&program, ENGINE.replace("RUNS", &directory.join("runs").display().to_string())).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        TemplateEngine::new(&program, directory)
    }

    fn copy(distribution: &Distribution, header: &str) -> SecretSeen {
        SecretSeen {
            uid: String::new(),
            owners: Vec::new(),
            type_: distribution.secret_type.clone(),
            labels: distribution.labels.clone(),
            data: Values::from([("header".to_owned(), Credential::new(header))]),
            resource_version: String::new(),
            deleting: false,
        }
    }

    #[tokio::test]
    async fn a_copy_that_a_template_composes_is_told_from_one_of_older_values() {
        let directory = tempfile::tempdir().unwrap();
        let manifests = parse_documents(Path::new("a.yaml"), DISTRIBUTION).unwrap();
        let model = Model::derive(&Config::from_manifests(manifests).unwrap());
        let distribution = &model.distributions[0];
        let source = distribution.sources().into_iter().next().unwrap();
        let renderings = Renderings::default();
        renderings.add(distribution);
        renderings.use_engine(engine(directory.path()));
        for token in ["first", "second", "first"] {
            renderings.learn(source, &values(token)).await.unwrap();
        }
        assert_eq!(fs::read_to_string(directory.path().join("runs")).unwrap(), "..", "each is rendered once");
        let (first, second) = (values("first"), values("second"));
        let is_of = |header: &str, token: &Values| {
            let known = (source, token);
            let known = oracle::WithRenderings::new(&known, &renderings);
            oracle::matches_source(distribution, &copy(distribution, header), &known)
        };
        assert_eq!((is_of("first", &first), is_of("second", &second)), (Ok(()), Ok(())));
        let stale = is_of("first", &second).unwrap_err();
        assert!(stale.as_str().contains("header is") && !stale.as_str().contains("first"), "{stale}");
        renderings.remove(distribution);
        assert_eq!(is_of("first", &second), Ok(()), "what is not rendered is not compared");
    }
}
