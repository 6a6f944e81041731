//! `report.json`: the whole report, for programs.

use serde::Serialize;

use super::{EncodeError, Report, Unfinished, Writer};

pub(super) struct Json;

impl Writer for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn file_name(&self) -> &'static str {
        "report.json"
    }

    fn report(&self, report: &Report) -> Result<String, EncodeError> {
        self.pretty(report)
    }

    fn unfinished(&self, run: &Unfinished) -> Result<String, EncodeError> {
        self.pretty(run)
    }
}

impl Json {
    fn pretty(&self, value: &impl Serialize) -> Result<String, EncodeError> {
        let mut json = serde_json::to_string_pretty(value).map_err(EncodeError::of(self.name()))?;
        json.push('\n');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{known, property, record, report, unfinished, violated};
    use super::super::{Report, Unfinished, Writer};
    use super::Json;
    use crate::verdict::Outcome;

    #[test]
    fn the_report_has_the_designed_fields_and_reads_back() {
        let report = report(false, vec![property(&[record(0, Outcome::Held), violated(1, "copy stayed"), known(2)])]);
        let text = Json.report(&report).expect("encodes");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("decodes"), report);

        let json: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!((&json["schema"], &json["state"]), (&"credence.report/v2".into(), &"finished".into()));
        assert_eq!(json["started"], "2026-01-02T03:04:05Z");
        let property = &json["properties"][0];
        assert_eq!(property["id"], "p03");
        assert_eq!(property["requirements"], serde_json::json!(["2.3", "2.5"]));
        assert_eq!(property["claims"][0]["verdict"], "violated");
        assert_eq!(property["missed"][0], serde_json::json!({"one_in": 10, "chance": 0.729}));
        assert_eq!(property["verdict"], "violated");
        assert_eq!(property["started"], "2026-01-02T03:04:35Z");
        assert_eq!(
            property["cases"],
            serde_json::json!({"planned": 3, "run": 3, "held": 1, "violated": 2, "unknown": 0})
        );
        assert_eq!(property["latency_ms"], serde_json::json!({"p50": 100, "p95": 400, "max": 400, "bound": 20_000}));
        assert_eq!(property["replay"], "credence replay p03:42:1");
        let known = &property["known"][0];
        assert_eq!((&known["cases"], &known["checks"], &known["leftovers"]), (&1.into(), &0.into(), &0.into()));
        let finding = &property["findings"][0];
        assert_eq!(finding["operations"], serde_json::json!({"relabel": 2}));
        assert_eq!(finding["context"], serde_json::json!({"namespace looked at": 3}));
        assert_eq!(finding["reproduced"], serde_json::Value::Null);
        assert_eq!(json["resources"]["cpu_percent"], 4.0);
    }

    #[test]
    fn a_run_without_a_report_says_so_and_reads_back() {
        let run = unfinished().failed("failed to deploy: no\u{1b}answer");
        let text = Json.unfinished(&run).expect("encodes");
        assert_eq!(serde_json::from_str::<Unfinished>(&text).expect("decodes"), run);
        let json: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!((&json["state"], &json["seed"]), (&"failed".into(), &42.into()));
        assert_eq!(json["reason"], "failed to deploy: no\u{fffd}answer");
        // A reader that looks for verdicts finds none, rather than none that is bad.
        assert_eq!((json.get("properties"), json.get("totals")), (None, None));
    }
}
