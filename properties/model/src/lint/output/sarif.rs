//! The Static Analysis Results Interchange Format, version 2.1.0, which code scanning services read.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{sentence, shown};
use crate::lint::{Finding, RULES, Rule};

/// Findings as one run of this version of the command.
pub fn sarif(findings: &[Finding], version: &str) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "credence",
                    "semanticVersion": version,
                    "rules": RULES.iter().map(rule).collect::<Value>(),
                },
            },
            "results": findings.iter().map(result).collect::<Value>(),
        }],
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.summary },
        "help": { "text": rule.help },
        "defaultConfiguration": { "level": rule.severity.as_str() },
        "properties": { "requirement": rule.requirement.to_string() },
    })
}

fn result(finding: &Finding) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(&finding.file) } });
    if let Some(line) = finding.line {
        place["region"] = json!({ "startLine": line });
    }
    json!({
        "ruleId": finding.rule,
        "ruleIndex": RULES.iter().position(|rule| rule.id == finding.rule),
        "level": finding.severity.as_str(),
        "message": { "text": sentence(finding) },
        "locations": [{
            "physicalLocation": place,
            "logicalLocations": [{ "fullyQualifiedName": finding.object }],
        }],
    })
}

/// A path as a reference: relative if the path is, else of scheme `file`.
fn uri(path: &Path) -> String {
    let path = shown(path);
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    let path = path.strip_prefix("./").unwrap_or(&path);
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(byte.into()),
            // Writing to a String cannot fail.
            _ => write!(uri, "%{byte:02X}").unwrap_or_default(),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::lint::tests::{EXAMPLE, findings_of};

    #[test]
    fn a_run_has_all_rules_and_a_result_for_each_finding_with_its_place() {
        let findings = findings_of(EXAMPLE);
        let report = sarif(&findings, "1.2.3");
        assert_eq!(report["version"], "2.1.0");
        let run = &report["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), RULES.len());
        assert_eq!(run["results"].as_array().unwrap().len(), findings.len());
        let result = &run["results"][0];
        assert_eq!(result["ruleId"], "refresh-interval-zero");
        assert_eq!(result["level"], "warning");
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "refresh-interval-zero");
        let place = json!({ "artifactLocation": { "uri": "a.yaml" }, "region": { "startLine": 6 } });
        assert_eq!(result["locations"][0]["physicalLocation"], place);
    }

    #[test]
    fn what_has_no_line_has_no_region() {
        let mut findings = findings_of(EXAMPLE);
        findings[0].line = None;
        let report = sarif(&findings, "1.2.3");
        let place = &report["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place, &json!({ "artifactLocation": { "uri": "a.yaml" } }));
    }

    #[rstest]
    #[case::relative("my/config/a.yaml", "my/config/a.yaml")]
    #[case::from_here("./a b.yaml", "a%20b.yaml")]
    #[case::absolute("/etc/ä.yaml", "file:///etc/%C3%A4.yaml")]
    fn paths_are_references(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(uri(Path::new(path)), expected);
    }
}
