//! The shape that Go's structs give to the things of a kubeconfig: which fields there are, in which
//! order they are written, and which are written even when they are empty.

use base64::{DecodeError, Engine as _};
use serde_json::{Map, Value};

/// The fields of a credential plug-in.
pub(crate) const PLUGIN: [&str; 7] = [
    "command",
    "args",
    "env",
    "apiVersion",
    "installHint",
    "provideClusterInfo",
    "interactiveMode",
];

/// The fields that a thing of a section can have.
pub(crate) fn fields(section: &str) -> &'static [&'static str] {
    match section {
        "clusters" => &[
            "server",
            "tls-server-name",
            "insecure-skip-tls-verify",
            "certificate-authority",
            "certificate-authority-data",
            "proxy-url",
            "disable-compression",
            "extensions",
        ],
        "contexts" => &["cluster", "user", "namespace", "extensions"],
        _ => &[
            "client-certificate",
            "client-certificate-data",
            "client-key",
            "client-key-data",
            "token",
            "tokenFile",
            "as",
            "as-uid",
            "as-groups",
            "as-user-extra",
            "username",
            "password",
            "auth-provider",
            "exec",
            "extensions",
        ],
    }
}

/// Checks that what holds bytes is in base64.
pub(crate) fn check_data(section: &str, body: &Value) -> Result<(), String> {
    for field in fields(section).iter().filter(|f| f.ends_with("-data")) {
        decode(body[*field].as_str().unwrap_or_default())?;
    }
    Ok(())
}

/// The bytes of base64, in which lines may be broken.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let decoded = base64::engine::general_purpose::STANDARD.decode(&text);
    decoded.map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len(),
        };
        format!("illegal base64 data at input byte {at}")
    })
}

/// Drops the fields that kubectl doesn't know.
pub(crate) fn only_known(section: &str, body: &mut Value) {
    keep(body, |field, _| fields(section).contains(&field));
    if let Some(plugin) = body.get_mut("exec") {
        keep(plugin, |field, _| PLUGIN.contains(&field));
    }
}

/// Adds what is always written, and drops what is only written when it holds something.
pub(crate) fn complete(section: &str, body: &mut Value) {
    let always: &[(&str, Value)] = match section {
        "clusters" => &[("server", Value::String(String::new()))],
        "contexts" => &[
            ("cluster", Value::String(String::new())),
            ("user", Value::String(String::new())),
        ],
        _ => &[],
    };
    fill(body, always);
    if let Some(plugin) = body.get_mut("exec").filter(|exec| exec.is_object()) {
        let always = [
            ("command", Value::String(String::new())),
            ("args", Value::Null),
            ("env", Value::Null),
            ("provideClusterInfo", Value::Bool(false)),
        ];
        fill(plugin, &always);
    }
}

fn fill(body: &mut Value, always: &[(&str, Value)]) {
    if !body.is_object() {
        *body = Value::Object(Map::new());
    }
    for (field, empty) in always {
        if body[*field].is_null() {
            body[*field] = empty.clone();
        }
    }
    keep(body, |field, value| {
        always.iter().any(|(name, _)| *name == field) || !is_empty(value)
    });
}

fn keep(body: &mut Value, wanted: impl Fn(&str, &Value) -> bool) {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|field, value| wanted(field, value));
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}
