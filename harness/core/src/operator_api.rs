//! Groups and versions of the API of External Secrets Operator.

/// Group of stores, ExternalSecrets and ClusterExternalSecrets.
pub const EXTERNAL_SECRETS_GROUP: &str = "external-secrets.io";

/// Version of that group in which credence reads and writes its objects.
pub const EXTERNAL_SECRETS_VERSION: &str = "v1";

/// `apiVersion` of stores, ExternalSecrets and ClusterExternalSecrets.
pub const EXTERNAL_SECRETS_API: &str = "external-secrets.io/v1";

/// `apiVersion` of PushSecrets, which have no later one.
pub const PUSH_SECRETS_API: &str = "external-secrets.io/v1alpha1";

/// Group of generators.
pub const GENERATORS_GROUP: &str = "generators.external-secrets.io";

/// `apiVersion` of generators.
pub const GENERATORS_API: &str = "generators.external-secrets.io/v1alpha1";
