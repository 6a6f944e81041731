//! Functions of templates, as far as they ask something of what they are given or give a part of it.

use credence_core::credential::Credential;

use super::{End, Reader, Step, Value};

/// Functions that fail for a value that is not in a form of their own.
///
/// Source: ESO pkg/template/v2/{pkcs12,jwk,decrypt}.go, and Sprig crypto.go, semver.go and date.go.
const WITH_FORMS: [&str; 8] = [
    "jwkPublicKeyPem",
    "jwkPrivateKeyPem",
    "rsaDecrypt",
    "decryptAES",
    "buildCustomCert",
    "semver",
    "semverCompare",
    "mustToDate",
];

/// Calls a function; what it is given last may come through a pipe.
pub(super) fn call(reader: &mut Reader, function: &str, mut arguments: Vec<Value>) -> Value {
    match function {
        "fromJson" | "mustFromJson" => last(reader, arguments).step(Step::Json),
        "fromYaml" => last(reader, arguments).step(Step::Yaml),
        "b64dec" => last(reader, arguments).step(Step::Base64),
        // They give back what they are given, but for white space at its ends or where it is empty.
        "trim" | "toString" | "default" | "required" => last(reader, arguments),
        "first" | "mustFirst" | "last" | "mustLast" => last(reader, arguments).step(Step::Element(0)),
        "index" | "get" if !arguments.is_empty() => {
            let whole = arguments.remove(0);
            part(reader, whole, arguments)
        }
        "dig" if arguments.len() > 2 => {
            let whole = arguments.pop().unwrap_or(Value::Other);
            // What is given where there is nothing.
            arguments.pop();
            part(reader, whole, arguments)
        }
        "filterPEM" => form(reader, End::Pem, arguments),
        "filterCertChain" => form(reader, End::Certificates, arguments),
        "urlParse" => form(reader, End::Url, arguments),
        "pkcs12key" | "pkcs12cert" => form(reader, End::Pkcs12, arguments),
        "pkcs12keyPass" | "pkcs12certPass" if arguments.len() == 2 => match with_password(&arguments[0]) {
            Some(end) => form(reader, end, arguments),
            None => {
                let function = if function == "pkcs12keyPass" { "pkcs12keyPass" } else { "pkcs12certPass" };
                form(reader, End::Of(function), arguments)
            }
        },
        "pemToPkcs12" | "pemToPkcs12Pass" | "fullPemToPkcs12" | "fullPemToPkcs12Pass" => {
            forms(reader, &[End::Certificates, End::PrivateKey], &arguments)
        }
        "pemTruststoreToPKCS12" | "pemTruststoreToPKCS12Pass" => forms(reader, &[End::Certificates], &arguments),
        function => match WITH_FORMS.into_iter().find(|known| *known == function) {
            Some(function) => form(reader, End::Of(function), arguments),
            None => reader.read_all(&arguments),
        },
    }
}

/// A PKCS#12 file with this password, if it is one that is written, or a value as it is.
fn with_password(password: &Value) -> Option<End> {
    match password {
        Value::Text(text) if text.is_empty() => Some(End::Pkcs12),
        Value::Text(text) => Some(End::Pkcs12WithText(Credential::new(text.as_str()))),
        Value::Part { name, steps } if steps.is_empty() => Some(End::Pkcs12WithValue(name.clone())),
        _ => None,
    }
}

/// The last argument, after the others were read as text.
fn last(reader: &mut Reader, mut arguments: Vec<Value>) -> Value {
    let last = arguments.pop().unwrap_or(Value::Other);
    reader.read_all(&arguments);
    last
}

/// The part of a value to which keys and positions lead.
fn part(reader: &mut Reader, whole: Value, way: Vec<Value>) -> Value {
    way.into_iter().fold(whole, |value, step| match step {
        Value::Text(name) => value.member(&name),
        Value::Index(index) => value.step(Step::Element(index)),
        step => reader.read_all(&[value, step]),
    })
}

/// Reads the last argument in a form of its own, and the others as text.
fn form(reader: &mut Reader, end: End, mut arguments: Vec<Value>) -> Value {
    if let Some(last) = arguments.pop() {
        reader.read(&last, end);
    }
    reader.read_all(&arguments)
}

/// Reads the first arguments in these forms, and the others as text.
fn forms(reader: &mut Reader, ends: &[End], arguments: &[Value]) -> Value {
    for (number, argument) in arguments.iter().enumerate() {
        reader.read(argument, ends.get(number).cloned().unwrap_or(End::Text));
    }
    Value::Other
}
