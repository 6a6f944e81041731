//! The part of Backstage's environment that is no secret.

use std::collections::BTreeMap;

use reqwest::Url;

/// Addresses of a Backstage and its forge. The credentials are not here: they come from distributed copies, by `envFrom`
/// and `secretKeyRef`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The URL under which this Backstage is reached. It needs no name service: a [`super::Client`] is told the
    /// address.
    pub base_url: Url,
    /// Address and port to listen on, as in `0.0.0.0:7007`.
    pub listen: String,
    /// The forge, an `https` or `http` URL without a path.
    pub forge: Url,
    /// File in the image with the authority of the forge's certificate.
    pub authority: Option<String>,
}

impl Settings {
    /// The variables that `app-config.yaml` reads, and Node.js' own for the authority.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let host = self.forge.host_str().unwrap_or_default();
        let host = self.forge.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut variables = BTreeMap::from([
            variable("BACKEND_BASE_URL", without_slash(&self.base_url)),
            variable("BACKEND_LISTEN", &self.listen),
            variable("GITHUB_HOST", &host),
            variable("GITHUB_URL", without_slash(&self.forge)),
        ]);
        variables.extend(self.authority.as_deref().map(|file| variable("NODE_EXTRA_CA_CERTS", file)));
        variables
    }

    /// The redirect URI that the OAuth application at the forge has to allow.
    pub fn redirect_uri(&self) -> String {
        format!("{}{}", without_slash(&self.base_url), super::client::CALLBACK)
    }
}

/// A `Url` without a path prints a slash, which Backstage would put before those of its own paths.
fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_has_every_variable_that_the_configuration_reads_but_the_credentials() {
        let settings = Settings {
            base_url: Url::parse("http://backstage.test:7007").unwrap(),
            listen: "0.0.0.0:7007".into(),
            forge: Url::parse("https://10.0.0.1:3000").unwrap(),
            authority: Some("/etc/forge/ca.crt".into()),
        };
        let variables = settings.environment();
        let expected = [
            ("BACKEND_BASE_URL", "http://backstage.test:7007"),
            ("BACKEND_LISTEN", "0.0.0.0:7007"),
            ("GITHUB_HOST", "10.0.0.1:3000"),
            ("GITHUB_URL", "https://10.0.0.1:3000"),
            ("NODE_EXTRA_CA_CERTS", "/etc/forge/ca.crt"),
        ];
        let found: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(settings.redirect_uri(), "http://backstage.test:7007/api/auth/github/handler/frame");

        let [.., (_, configuration)] = super::super::FIXTURE;
        let read = configuration.split("${").skip(1).filter_map(|rest| rest.split('}').next());
        let missing: std::collections::BTreeSet<_> = read.filter(|name| !variables.contains_key(*name)).collect();
        let credentials = ["AUTH_GITHUB_CLIENT_ID", "AUTH_GITHUB_CLIENT_SECRET", "GITHUB_TOKEN"];
        assert!(missing.into_iter().eq(credentials));
    }
}
