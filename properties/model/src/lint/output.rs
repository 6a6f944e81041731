//! Findings as text for a person, as JSON, and as SARIF for code scanning.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::Finding;

mod sarif;

pub use sarif::sarif;

/// Findings as a person reads them: `FILE:LINE: severity[rule]: message`, each with its help on a line of its own.
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Finding { rule, requirement, severity, file, line, help, .. } = finding;
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let message = sentence(finding);
        // Writing to a String cannot fail.
        writeln!(text, "{}{line}: {severity}[{rule}]: {message} (requirement {requirement})", file.display()).ok();
        writeln!(text, "  help: {help}").ok();
    }
    text
}

/// Findings as a JSON array of objects.
pub fn json(findings: &[Finding]) -> Value {
    let object = |finding: &Finding| {
        json!({
            "rule": finding.rule,
            "severity": finding.severity.as_str(),
            "requirement": finding.requirement.to_string(),
            "object": finding.object,
            "file": shown(&finding.file),
            "line": finding.line,
            "message": finding.message,
            "help": finding.help,
        })
    };
    findings.iter().map(object).collect()
}

/// The finding with the object that it is about.
fn sentence(finding: &Finding) -> String {
    format!("{}: {}", finding.object, finding.message)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::tests::{EXAMPLE, findings_of};

    #[test]
    fn text_names_the_place_the_rule_and_the_object() {
        let mut findings = findings_of(EXAMPLE);
        let expected = "a.yaml:6: warning[refresh-interval-zero]: ClusterExternalSecret c: updates of the source never \
                        arrive: refreshInterval is 0 (requirement 1.2)\n  help: Set refreshInterval above zero";
        assert!(text(&findings).starts_with(expected), "{}", text(&findings));
        findings[0].line = None;
        assert!(text(&findings).starts_with("a.yaml: warning["), "{}", text(&findings));
    }

    #[test]
    fn json_has_an_object_for_each_finding() {
        let findings = findings_of(EXAMPLE);
        let array = json(&findings);
        assert_eq!(array.as_array().unwrap().len(), findings.len());
        let expected = json!({
            "rule": "refresh-interval-zero",
            "severity": "warning",
            "requirement": "1.2",
            "object": "ClusterExternalSecret c",
            "file": "a.yaml",
            "line": 6,
            "message": "updates of the source never arrive: refreshInterval is 0",
            "help": findings[0].help,
        });
        assert_eq!(array[0], expected);
        assert_eq!(json(&[]), json!([]));
    }
}
