//! Denials by the API server, with their reason: a denial only counts for the right one.
//!
//! Pure.

use credence_core::text::chain;
use credence_model::model::Model;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// A ValidatingAdmissionPolicy denied it, because one of its validations did not hold.
    Policy {
        /// Name of the ValidatingAdmissionPolicy.
        policy: String,
    },
    /// The actor has no right to make it.
    NoRight,
    /// Any other answer, or none, with its causes in words.
    Other(String),
}

impl Denial {
    /// Reads the answer of the API server.
    ///
    /// Source of the texts: apiserver `pkg/admission/plugin/policy/validating/dispatcher.go`, and `ForbiddenStatusError`
    /// in `pkg/endpoints/handlers/responsewriters/errors.go`.
    pub fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Other(chain(error)) };
        if let Some(policy) = denied_by(&status.message) {
            return Self::Policy { policy: policy.to_owned() };
        }
        let no_right = status.is_forbidden() && status.message.contains("\" cannot ");
        if no_right { Self::NoRight } else { Self::Other(chain(error)) }
    }

    /// True if it is a denial by a policy that the configuration brings.
    pub(crate) fn is_by(&self, model: &Model) -> bool {
        matches!(self, Self::Policy { policy } if model.admission_policies.contains(policy))
    }
}

/// The policy that denied a request, unless it denies everything because it does not work.
fn denied_by(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("ValidatingAdmissionPolicy '")?;
    let (policy, rest) = rest.split_once('\'')?;
    let (_, why) = rest.split_once("denied request: ")?;
    let broken = why.starts_with("failed to configure") || why.contains("' resulted in error: ");
    (!broken).then_some(policy)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;

    use super::*;

    fn refused(code: u16, reason: &str, message: &str) -> Denial {
        Denial::of(&kube::Error::Api(Status::failure(message, reason).with_code(code).boxed()))
    }

    #[rstest]
    #[case::by_its_own_reason(403, "Forbidden")]
    #[case::by_the_default_reason(422, "Invalid")]
    fn a_denial_names_its_policy(#[case] code: u16, #[case] reason: &str) {
        let message = "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'copies' with binding 'all' denied request: \
                       hand-made credential";
        assert_eq!(refused(code, reason, message), Denial::Policy { policy: "copies".to_owned() });
    }

    #[rstest]
    #[case::evaluation("expression 'object.a' resulted in error: no such key: a")]
    #[case::configuration("failed to configure binding: no params found")]
    fn a_policy_that_does_not_work_denies_for_no_right_reason(#[case] why: &str) {
        let message = format!("ValidatingAdmissionPolicy 'copies' with binding 'all' denied request: {why}");
        assert!(matches!(refused(422, "Invalid", &message), Denial::Other(_)));
    }

    #[test]
    fn a_missing_right_is_no_denial_by_a_policy() {
        let message = "secrets is forbidden: User \"system:serviceaccount:a:b\" cannot create resource \"secrets\" in API \
                       group \"\" in the namespace \"a\"";
        assert_eq!(refused(403, "Forbidden", message), Denial::NoRight);
        assert!(matches!(refused(404, "NotFound", "secrets \"a\" not found"), Denial::Other(_)));
    }
}
