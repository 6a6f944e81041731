//! Reads of templates.

use rstest::rstest;

use super::*;

/// Reads as `name/step/step:end`.
fn told(template: &str) -> Vec<String> {
    let told = |read: &Read| {
        let steps = read.steps.iter().map(|step| match step {
            Step::Json => "/json".to_owned(),
            Step::Yaml => "/yaml".to_owned(),
            Step::Member(name) => format!("/{name}"),
            Step::Element(index) => format!("/{index}"),
            Step::Each { is_by_name } => {
                if *is_by_name {
                    "/each".to_owned()
                } else {
                    "/*".to_owned()
                }
            }
            Step::Base64 => "/base64".to_owned(),
        });
        let end = match &read.end {
            End::Text => String::new(),
            end => format!(":{end:?}"),
        };
        format!("{}{}{end}", read.name, steps.collect::<String>())
    };
    reads(template).values.iter().map(told).collect()
}

#[rstest]
#[case::field("{{ .a }}", &["a"])]
#[case::index(r#"{{ index . "a-b" }}"#, &["a-b"])]
#[case::of_the_root("{{ $.a }}", &["a"])]
#[case::json("{{ (.a | fromJson).b.c }}", &["a/json/b/c"])]
#[case::json_by_index(r#"{{ index (fromJson .a) "b" 1 "c" }}"#, &["a/json/b/1/c"])]
#[case::json_by_variable("{{ $d := .a | fromJson }}{{ $d.b }}{{ $d.c }}", &["a/json/b", "a/json/c"])]
#[case::json_in_scope("{{ with fromJson .a }}{{ .b }}{{ $.c }}{{ end }}{{ .d }}", &["a/json", "a/json/b", "c", "d"])]
#[case::elements("{{ range $i, $e := (.a | fromJson).b }}{{ $e.c }}{{ end }}", &["a/json/b/*", "a/json/b/*/c"])]
#[case::members("{{ range $k, $v := .a | fromJson }}{{ $k }}={{ $v }}{{ end }}", &["a/json/each", "a/json/each"])]
#[case::either_of_both("{{ range .a | fromJson }}{{ .b }}{{ end }}", &["a/json/*", "a/json/*/b"])]
#[case::either("{{ if .a }}{{ .b }}{{ else if .c }}{{ .d }}{{ else }}{{ .e }}{{ end }}", &["a", "b", "c", "d", "e"])]
#[case::yaml("{{ (fromYaml .a).b }}", &["a/yaml/b"])]
#[case::base64("{{ .a | b64dec | fromJson | toYaml }}", &["a/base64/json"])]
#[case::base64_in_json("{{ (.a | fromJson).b | b64dec }}", &["a/json/b/base64"])]
#[case::composed(r#"{{ dict "auth" (printf "%s:%s" .u .p | b64enc) | toJson }}"#, &["u", "p"])]
#[case::trimmed("{{ .a | trim | fromJson | toJson }}", &["a/json"])]
#[case::with_a_default(r#"{{ (.a | default "{}" | fromJson).b }}"#, &["a/json/b"])]
#[case::dug(r#"{{ dig "b" "c" "none" (.a | fromJson) }}"#, &["a/json/b/c"])]
#[case::filtered(r#"{{ .a | filterPEM "CERTIFICATE" }}"#, &["a:Pem"])]
#[case::chain(r#"{{ .a | filterCertChain "leaf" }}"#, &["a:Certificates"])]
#[case::pair("{{ fullPemToPkcs12Pass .c .k .p | b64dec }}", &["c:Certificates", "k:PrivateKey", "p"])]
#[case::bundle("{{ .a | b64dec | pkcs12keyPass .p }}", &["a/base64:Pkcs12WithValue(\"p\")", "p"])]
#[case::bundle_with_a_part("{{ pkcs12keyPass (.p | fromJson).b .a }}", &["a:Of(\"pkcs12keyPass\")", "p/json/b"])]
#[case::bundle_without_password(r#"{{ .a | pkcs12key }}{{ .b | b64dec | pkcs12certPass "" }}"#, &["a:Pkcs12", "b/base64:Pkcs12"])]
#[case::nothing("{{ now }} {{/* .a */}} {{ `{{ .b }}` }}", &[])]
fn values_are_followed_to_where_they_are_read(#[case] template: &str, #[case] expected: &[&str]) {
    assert_eq!(told(template), expected);
}

#[test]
fn all_values_at_once_are_told_from_single_ones() {
    for template in ["{{ . | toJson }}", "{{ range $k, $v := . }}{{ $v }}{{ end }}", "{{ toYaml $ }}"] {
        assert!(reads(template).all, "{template}");
    }
    assert!(!reads("{{ .a }}").all);
}

#[test]
fn only_a_value_with_nothing_beside_it_is_taken_over_as_it_is() {
    for template in ["{{ .a }}", "{{- .a -}}", r#"{{ index . "a" }}"#, "{{.a}}"] {
        assert_eq!(verbatim(template).as_deref(), Some("a"), "{template}");
    }
    for template in ["{{ .a }}\n", "x{{ .a }}", "{{ .a.b }}", "{{ .a | toString }}", "{{ .a }}{{ .b }}", "a"] {
        assert_eq!(verbatim(template), None, "{template}");
    }
}

#[test]
fn parentheses_without_end_are_read_without_harm() {
    assert_eq!(reads(&format!("{{{{ {} .a }}}}", "(".repeat(100_000))).values, []);
    assert_eq!(told("{{ ) .a }}{{ end }}{{ else }}{{ | }}{{ .b }}"), ["b"]);
}

#[test]
fn the_password_that_a_template_writes_is_not_shown() {
    let reads = reads(r#"{{ .a | pkcs12certPass "hunter2" }}"#);
    assert_eq!(reads.values[0].end, End::Pkcs12WithText(Credential::new("hunter2")));
    assert!(!format!("{reads:?}").contains("hunter2"));
}
