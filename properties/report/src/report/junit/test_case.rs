//! One test, as junit-report takes it.

use junit_report::{Duration, TestCase, TestResult};

use super::xml::Properties;
use crate::verdict::Verdict;

/// One test, and what junit-report has no place for.
pub(super) struct Test {
    /// Its name, the same in every run.
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// The type of what it did not do.
    pub(super) kind: &'static str,
    /// Why it did not pass; its first line counts, because parsers turn line breaks in an attribute into spaces.
    pub(super) message: String,
    /// Everything that explains why it did not pass.
    pub(super) details: String,
    /// Standard output of the test: what was tried.
    pub(super) output: String,
    /// Wall time in seconds.
    pub(super) seconds: f64,
    pub(super) properties: Properties,
}

impl Test {
    /// A test that took no time of its own and has nothing to say yet.
    pub(super) fn new(name: &str, verdict: Verdict) -> Self {
        Self {
            name: name.to_owned(),
            verdict,
            kind: verdict.name(),
            message: String::new(),
            details: String::new(),
            output: String::new(),
            seconds: 0.0,
            properties: Properties::default(),
        }
    }

    /// The test in a class, in a run that is strict or not.
    pub(super) fn case(&self, class: &str, strict: bool) -> TestCase {
        let mut case = TestCase::success(&self.name, Duration::saturating_seconds_f64(self.seconds));
        let (type_, message) = (self.kind.to_owned(), self.message.lines().next().unwrap_or_default().to_owned());
        let cause = (!self.details.is_empty()).then(|| cdata(&self.details));
        case.result = match self.verdict {
            Verdict::Held => TestResult::Success,
            Verdict::KnownViolated if !strict => TestResult::SkippedWithCause { type_, message, cause },
            Verdict::Skipped => TestResult::SkippedWithCause { type_, message, cause },
            Verdict::Unknown => TestResult::Error { type_, message, cause },
            Verdict::Violated | Verdict::KnownViolated => TestResult::Failure { type_, message, cause },
        };
        case.set_classname(class);
        if !self.output.is_empty() {
            case.set_system_out(&cdata(&self.output));
        }
        case
    }
}

/// junit-report writes CDATA as it is, so the one sequence that ends a section is split over two.
fn cdata(text: &str) -> String {
    text.replace("]]>", "]]]]><![CDATA[>")
}
