//! What a Secret may hold: the keys that its type asks for, and what `immutable` freezes.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::payload;
use crate::kinds::read::{entries, has, text};
use crate::meta::name;

/// The annotation that names the account of a service account token.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

pub(super) fn object(object: &Value) -> Vec<Error> {
    let data = Path::new("data");
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in entries(object, "data") {
        let problems = name::config_map_key(key).into_iter();
        errors.extend(problems.map(|p| Error::invalid(&data.key(key), key, p)));
        size += payload::size(value);
    }
    if size > payload::MAX {
        errors.push(Error::too_long(&data, payload::MAX));
    }
    errors.extend(of_type(object));
    errors
}

/// What the type of the Secret asks for.
fn of_type(object: &Value) -> Vec<Error> {
    let data = &object["data"];
    let path = Path::new("data");
    let missing = |keys: &[&str]| -> Vec<Error> {
        let absent = keys.iter().filter(|key| !has(data, key));
        absent
            .map(|key| Error::required(&path.key(key), ""))
            .collect()
    };
    match text(object, "type") {
        "kubernetes.io/service-account-token" => {
            let annotations = &object["metadata"]["annotations"];
            if text(annotations, ACCOUNT).is_empty() {
                let path = Path::new("metadata").child("annotations").key(ACCOUNT);
                return vec![Error::required(&path, "")];
            }
            Vec::new()
        }
        "kubernetes.io/dockercfg" => registry_file(data, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => registry_file(data, ".dockerconfigjson"),
        "kubernetes.io/basic-auth" => {
            let errors = missing(&["username", "password"]);
            // One of the two is enough.
            if errors.len() == 2 {
                errors
            } else {
                Vec::new()
            }
        }
        "kubernetes.io/ssh-auth" => {
            if payload::bytes(&data["ssh-privatekey"]).is_empty() {
                return vec![Error::required(&path.key("ssh-privatekey"), "")];
            }
            Vec::new()
        }
        "kubernetes.io/tls" => missing(&["tls.crt", "tls.key"]),
        _ => Vec::new(),
    }
}

/// The credentials of image registries: a JSON object under one key.
fn registry_file(data: &Value, key: &str) -> Vec<Error> {
    let path = Path::new("data").key(key);
    if !has(data, key) {
        return vec![Error::required(&path, "")];
    }
    let problem = json_problem(&payload::bytes(&data[key]));
    problem
        .map(|p| Error::invalid(&path, "<secret contents redacted>", p))
        .into_iter()
        .collect()
}

/// Why `bytes` is not a JSON object, in the words of Go's decoder where they are short to tell.
fn json_problem(bytes: &[u8]) -> Option<String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Some("unexpected end of JSON input".to_owned());
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(_) | Value::Null) => None,
        Ok(other) => Some(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            go_name(&other)
        )),
        Err(error) if error.is_eof() => Some("unexpected end of JSON input".to_owned()),
        Err(_) => first_bad(bytes),
    }
}

fn go_name(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        _ => "array",
    }
}

/// The complaint about bytes that don't even begin a JSON value.
fn first_bad(bytes: &[u8]) -> Option<String> {
    let text = bytes.trim_ascii_start();
    let literal: &[u8] = match text.first()? {
        b'n' => b"null",
        b't' => b"true",
        b'f' => b"false",
        first => {
            let first = char::from(*first);
            return Some(format!(
                "invalid character '{first}' looking for beginning of value"
            ));
        }
    };
    let mut pairs = text.iter().zip(literal);
    let (found, wanted) = pairs.find(|(a, b)| a != b)?;
    Some(format!(
        "invalid character '{}' in literal {} (expecting '{}')",
        char::from(*found),
        String::from_utf8_lossy(literal),
        char::from(*wanted)
    ))
}

pub(super) fn update(new: &Value, stored: &Value) -> Vec<Error> {
    let mut errors = Vec::new();
    if new.get("type") != stored.get("type") {
        let kind = text(new, "type");
        errors.push(Error::invalid(
            &Path::new("type"),
            kind,
            "field is immutable",
        ));
    }
    errors.extend(payload::frozen(new, stored, &["data"]));
    errors
}
