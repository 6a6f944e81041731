use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

const VALUE: &str = "ghp_\"quoted\"\\and>long?enough~~~";

fn scan(value: impl Into<Vec<u8>>) -> LeakScan {
    LeakScan::labelled([("it".to_owned(), &Credential::new(value))]).unwrap()
}

fn inside(text: &str) -> String {
    format!("something before, {text}, and behind")
}

/// A JSON string as Go's encoding/json writes it, byte by byte as `appendString` does.
fn go_json(value: &[u8], html: bool) -> Vec<u8> {
    let (mut json, mut rest) = (vec![b'"'], value);
    while let Some(&byte) = rest.first() {
        let length = (1..=rest.len().min(4)).find(|length| std::str::from_utf8(&rest[..*length]).is_ok());
        match (byte, length.map(|length| std::str::from_utf8(&rest[..length]).unwrap())) {
            (_, None) => json.extend(br"\ufffd"),
            (b'"' | b'\\', _) => json.extend([b'\\', byte]),
            (0x08, _) => json.extend(br"\b"),
            (0x0c, _) => json.extend(br"\f"),
            (b'\n', _) => json.extend(br"\n"),
            (b'\r', _) => json.extend(br"\r"),
            (b'\t', _) => json.extend(br"\t"),
            (0..0x20, _) => json.extend(format!("\\u00{byte:02x}").bytes()),
            (b'<' | b'>' | b'&', _) if html => json.extend(format!("\\u00{byte:02x}").bytes()),
            (_, Some("\u{2028}")) => json.extend(br"\u2028"),
            (_, Some("\u{2029}")) => json.extend(br"\u2029"),
            (_, Some(char)) => json.extend(char.bytes()),
        }
        rest = &rest[length.unwrap_or(1)..];
    }
    json.push(b'"');
    json
}

fn percent(value: &[u8], marks: &str, space: &str, is_upper: bool) -> Vec<u8> {
    let encoded = value.iter().map(|&byte| match char::from(byte) {
        ' ' => space.to_owned(),
        char if char.is_ascii_alphanumeric() || marks.contains(char) => char.to_string(),
        _ if is_upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    });
    encoded.collect::<String>().into_bytes()
}

fn hex(value: &[u8], is_upper: bool) -> Vec<u8> {
    let digits = |byte: &u8| if is_upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
    value.iter().map(digits).collect::<String>().into_bytes()
}

/// One way of writing a value, with up to two bytes before and behind it that are written along.
type Write = fn(&[u8]) -> Vec<u8>;

const WRITES: &[Write] = &[
    <[u8]>::to_vec,
    |value| go_json(value, true),
    |value| go_json(value, false),
    |value| serde_json::to_vec(&String::from_utf8_lossy(value)).unwrap(),
    |value| percent(value, "-._~", "%20", true),
    |value| percent(value, "-._~", "%20", false),
    |value| percent(value, "-._~", "+", true),
    |value| percent(value, "-._~", "+", false),
    |value| percent(value, "*-._", "+", true),
    |value| percent(value, "-._~!*'()", "%20", true),
    |value| hex(value, true),
    |value| hex(value, false),
    |value| STANDARD.encode(value).into_bytes(),
    |value| STANDARD_NO_PAD.encode(value).into_bytes(),
    |value| URL_SAFE.encode(value).into_bytes(),
    |value| URL_SAFE_NO_PAD.encode(value).into_bytes(),
    |value| STANDARD.encode(go_json(value, true)).into_bytes(),
    |value| URL_SAFE.encode(serde_json::to_vec(&String::from_utf8_lossy(value)).unwrap()).into_bytes(),
    |value| STANDARD.encode(format!("{{\"auth\":\"{}\"}}", STANDARD.encode(value))).into_bytes(),
    |value| URL_SAFE.encode(format!("xx{}", URL_SAFE_NO_PAD.encode(value))).into_bytes(),
];

/// Values of text that every form escapes, with bytes among it that are not UTF-8, short ones and long ones.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => "[A-Za-z0-9+/_-]{1,20}".prop_map(String::into_bytes),
        3 => prop::sample::select(vec!["\"", "\\", "<", ">", "&", "\u{2028}", "\n", "\r\n", "\t", " ", "~", "?", "%"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => any::<char>().prop_map(|char| char.to_string().into_bytes()),
        1 => (0..0x20u8).prop_map(|byte| vec![byte]),
        1 => prop::sample::select(vec![&b"\xff"[..], b"\xe2\x82", b"\xf0\x9f\x94", b"\xc3"]).prop_map(<[u8]>::to_vec),
    ];
    // Where much is not UTF-8, what JSON leaves is no value any more.
    let beginning = "[A-Za-z0-9]{12,16}".prop_map(String::into_bytes);
    (beginning, prop::collection::vec(piece, 0..40))
        .prop_map(|(beginning, pieces)| [beginning, pieces.concat()].concat())
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{0,400}".prop_map(String::into_bytes),
        "[A-Za-z0-9+/]{0,400}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..400),
    ]
}

proptest! {
    #[test]
    fn a_value_is_found_in_every_form_at_any_place_in_any_pieces(
        value in any_value(),
        write in prop::sample::select(WRITES),
        along in ("[a-z]{0,4}", "[a-z]{0,4}"),
        around in (any_text(), any_text()),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let written = write(&[along.0.as_bytes(), &value, along.1.as_bytes()].concat());
        let text = [around.0, written, around.1].concat();
        let scan = scan(value);
        prop_assert_eq!(scan.find(&text).map(|leak| leak.label), Some("it"));
        let mut search = scan.search();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        cuts.sort_unstable();
        let mut begin = 0;
        for end in cuts.into_iter().chain([text.len()]) {
            search.push(&text[begin..end]);
            begin = end;
        }
        prop_assert_eq!(search.found().first().map(|leak| leak.label), Some("it"));
    }

    #[test]
    fn nothing_is_found_in_text_without_the_value(value in "[A-Za-z0-9]{12,80}", text in any_text()) {
        let scan = scan(value);
        prop_assert_eq!(scan.find(&text), None);
        prop_assert!(scan.find_all(&text).is_empty());
    }

    #[test]
    fn a_value_that_differs_in_one_byte_is_another(
        value in "[A-Za-z0-9]{20,80}",
        write in prop::sample::select(WRITES),
        at in any::<prop::sample::Index>(),
    ) {
        let mut other = value.clone().into_bytes();
        // The first and the last byte can share a character of base64 with what is beside the value.
        let at = 1 + at.index(value.len().min(LONGEST) - 2);
        other[at] = if other[at] == b'-' { b'_' } else { b'-' };
        let scan = scan(value);
        prop_assert_eq!(scan.find(&write(&other)), None);
    }

    #[test]
    fn a_value_is_found_in_an_object_below_three_layers_of_base64(value in "\\PC{20,60}", before in "[a-z]{0,3}") {
        let text = format!("{before}{value}");
        let secret = json!({ "data": [{ "key": STANDARD.encode(STANDARD.encode(STANDARD.encode(&text))) }] });
        let scan = scan(value);
        let found = scan.find_all_in_json(&secret);
        prop_assert_eq!(found.first().map(|leak| leak.label), Some("it"));
    }
}

#[rstest]
#[case::plain(inside(VALUE), Form::Plain)]
#[case::json(json!({ "token": VALUE }).to_string(), Form::Json)]
#[case::hex(inside(&String::from_utf8(hex(VALUE.as_bytes(), false)).unwrap()), Form::Hex)]
#[case::base64(inside(&STANDARD.encode(VALUE)), Form::Base64)]
#[case::base64_inside_of_more(STANDARD.encode(inside(VALUE)), Form::Base64)]
#[case::base64_of_json(STANDARD.encode(json!({ "token": VALUE }).to_string()), Form::Base64OfJson)]
#[case::twice(URL_SAFE.encode(STANDARD.encode(inside(VALUE))), Form::Base64Twice)]
fn the_form_is_told_and_the_value_is_not(#[case] text: String, #[case] form: Form) {
    let credential = Credential::new(VALUE);
    let scan = LeakScan::new([&credential]).unwrap();
    let leak = scan.find(text.as_bytes()).unwrap();
    assert_eq!(leak, Leak { label: &credential.to_string(), form });
    let shown = format!("{leak} {leak:?} {scan:?}");
    assert!(!shown.contains("quoted"), "{shown}");
}

#[test]
fn a_quote_among_the_first_bytes_does_not_hide_a_value_in_json() {
    let value = format!("0123456789 \"quoted\" {}", "x".repeat(100));
    let file = json!({ "message": format!("refused: {value}") }).to_string();
    assert_eq!(scan(value).find(file.as_bytes()).unwrap().form, Form::Json);
}

// As `json.Marshal` of Go 1.26 writes it, and an encoder with `SetEscapeHTML(false)`; Go 1.21 has \u0008 and \u000c.
#[rstest]
#[case::marshal(r#""\u003cquoted\u003e\"\u0026\"\\ \b\f\n\r\t\u0001\u001fDEL \u2028\u2029é漢🔑 end""#)]
#[case::without_html(r#""<quoted>\"&\"\\ \b\f\n\r\t\u0001\u001fDEL \u2028\u2029é漢🔑 end""#)]
#[case::go_1_21(r#""\u003cquoted\u003e\"\u0026\"\\ \u0008\u000c\n\r\t\u0001\u001fDEL \u2028\u2029é漢🔑 end""#)]
fn a_value_is_found_in_what_go_writes(#[case] json: &str) {
    let value = "<quoted>\"&\"\\ \u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f} \u{2028}\u{2029}é漢🔑 end";
    let json = json.replace("DEL", "\u{7f}");
    assert_eq!(scan(value).find(json.as_bytes()).unwrap().form, Form::Json);
}

// As url.QueryEscape, url.PathEscape and url.UserPassword of Go 1.26, and encodeURIComponent and URLSearchParams of
// Node write it.
#[rstest]
#[case::query("user+name%2B~%2A%21%27%28%29%24%26%2C%3B%3D%3A%40%2F%25%C3%A9+end")]
#[case::path("user%20name+~%2A%21%27%28%29$&%2C%3B=:@%2F%25%C3%A9%20end")]
#[case::user("user%20name+~%2A%21%27%28%29$&,;=%3A%40%2F%25%C3%A9%20end")]
#[case::component("user%20name%2B~*!'()%24%26%2C%3B%3D%3A%40%2F%25%C3%A9%20end")]
#[case::form("user+name%2B%7E*%21%27%28%29%24%26%2C%3B%3D%3A%40%2F%25%C3%A9+end")]
fn a_value_is_found_in_what_go_and_node_write_into_urls(#[case] text: &str) {
    let scan = scan("user name+~*!'()$&,;=:@/%é end");
    assert_eq!(scan.find(inside(text).as_bytes()).unwrap().form, Form::Percent);
}

#[rstest]
#[case::go_json(&br"valid beginning\ufffd\ufffd\ufffd valid end"[..], Form::Json)]
#[case::go_text("valid beginning\u{fffd}\u{fffd}\u{fffd} valid end".as_bytes(), Form::Replaced)]
#[case::rust_text("valid beginning\u{fffd}\u{fffd} valid end".as_bytes(), Form::Replaced)]
fn a_value_that_is_not_utf_8_is_found_in_text(#[case] text: &[u8], #[case] form: Form) {
    assert_eq!(scan(b"valid beginning\xff\xe2\x82 valid end").find(text).unwrap().form, form);
}

#[test]
fn what_replacements_leave_of_a_binary_value_is_not_the_value() {
    let scan = scan([0xff; 32]);
    assert_eq!(scan.find(&go_json(&[0xfe; 32], true)), None);
    assert_eq!(scan.find(&[0xff; 32]).unwrap().form, Form::Plain);
}

#[test]
fn a_value_is_found_in_a_text_that_was_cut_off() {
    let value = "0123456789abcdef".repeat(4096);
    let scan = scan(value.clone());
    assert!(scan.find(&value.as_bytes()[..LONGEST]).is_some());
    assert!(scan.find(&value.as_bytes()[..LONGEST - 1]).is_none());
    assert!(scan.find(&STANDARD.encode(&value).as_bytes()[..64]).is_some());
}

#[test]
fn the_longest_form_is_found_wherever_a_stream_is_cut() {
    let value = "0123456789abcdef".repeat(3);
    let (scan, text) = (scan(value.clone()), hex(value.as_bytes(), false));
    assert_eq!(scan.longest, text.len());
    for cut in 0..text.len() {
        let mut search = scan.search();
        search.push(&text[..cut]);
        search.push(&text[cut..]);
        assert_eq!(search.found().first().map(|leak| leak.form), Some(Form::Hex), "cut at {cut}");
    }
}

#[rstest]
#[case::short("elevenbytes", Reason::TooShort)]
#[case::empty("", Reason::TooShort)]
#[case::certificate(
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ\n-----END CERTIFICATE-----\n",
    Reason::Certificate
)]
#[case::no_key("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", Reason::TooShort)]
fn what_proves_nothing_is_not_looked_for_and_named(#[case] value: &str, #[case] reason: Reason) {
    let credential = Credential::new(value);
    assert!(!is_searchable(&credential));
    let scan = LeakScan::labelled([("it".to_owned(), &credential)]).unwrap();
    assert_eq!((scan.searchable(), scan.find(value.as_bytes())), (0, None));
    assert_eq!(scan.unsearchable(), [Unsearchable { label: "it".to_owned(), reason }]);
}

#[test]
fn of_a_private_key_only_what_is_its_own_is_looked_for() {
    let key =
        |own: &str| format!("-----BEGIN PRIVATE KEY-----\n{}\n{own}\n-----END PRIVATE KEY-----\n", "M".repeat(71));
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ\n-----END CERTIFICATE-----\n";
    let (one, another) = (key(&"a".repeat(64)), key(&"b".repeat(64)));
    let scan = scan(format!("{certificate}{one}"));
    assert!(scan.find(one.as_bytes()).is_some() && scan.find(STANDARD.encode(&one).as_bytes()).is_some());
    assert_eq!((scan.find(another.as_bytes()), scan.find(certificate.as_bytes())), (None, None));
}

#[test]
fn a_token_is_found_whoever_it_belongs_to() {
    let scan = LeakScan::with_bearer_tokens([]).unwrap();
    let found = scan.find(b"\"token\":\"eyJhbGciOiJSUzI1NiJ9.e30.c2ln\"").unwrap();
    assert_eq!(found.to_string(), "a bearer token in plain");
}

#[test]
fn all_values_are_found_each_under_its_label() {
    let values = ["one-0123456789", "two-0123456789", "one-0123456789"].map(Credential::new);
    let labels = ["one", "two", "one again"].map(str::to_owned);
    let scan = LeakScan::labelled(labels.into_iter().zip(&values)).unwrap();
    let found = scan.find_all(format!("one-0123456789 {}", STANDARD.encode("two-0123456789")).as_bytes());
    assert_eq!(found.iter().map(|leak| leak.label).collect::<Vec<_>>(), ["one", "one again", "two"]);
}

#[test]
fn a_pull_secret_shows_its_password_and_keys_count() {
    let scan = scan(VALUE);
    let auth = STANDARD.encode(format!("name:{VALUE}"));
    let config = STANDARD.encode(json!({ "auths": { "h": { "auth": auth } } }).to_string());
    assert!(!scan.find_all_in_json(&json!({ "data": { ".dockerconfigjson": config } })).is_empty());
    assert!(!scan.find_all_in_json(&json!({ VALUE: 1 })).is_empty());
    assert!(scan.find_all_in_json(&json!({ "a": [VALUE[1..].to_owned(), true, null] })).is_empty());
}

#[test]
fn thousands_of_long_values_take_memory_in_proportion_to_what_is_looked_for() {
    let long = |number: u32| {
        let hash = blake3::hash(&number.to_le_bytes()).to_hex();
        Credential::new(format!("{}\"<\u{2028}\u{8}& {hash}{}", &hash[..6], "x".repeat(64 * 1024)))
    };
    let values: Vec<Credential> = (0..2000).map(long).collect();
    let scan = LeakScan::new(&values).unwrap();
    let patterns: Vec<&Pattern> = scan.patterns.iter().flatten().collect();
    let rest: usize = patterns.iter().map(|pattern| pattern.bytes.len() + size_of::<Pattern>()).sum();
    let (automaton, most) = (scan.beginnings.memory_usage(), 16 * 1024 * scan.searchable());
    assert!(automaton + rest < most, "{automaton} + {rest} bytes for {} patterns", patterns.len());
    assert!(scan.find(&values[1234].expose()[..100]).is_some());
}

#[test]
fn what_is_not_looked_for_is_told_with_its_reason_and_a_scan_with_its_size() {
    assert!(is_searchable(&Credential::new(VALUE)));
    let values = [VALUE, "short", "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ\n"].map(Credential::new);
    let scan = LeakScan::labelled(["a", "b", "c"].map(str::to_owned).into_iter().zip(&values)).unwrap();
    let told: Vec<String> = scan.unsearchable().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["b has fewer than 12 bytes of its own", "c is a certificate, which is public"]);
    assert_eq!(format!("{scan:?}"), "LeakScan { searchable: 1, unsearchable: 2, .. }");
}
