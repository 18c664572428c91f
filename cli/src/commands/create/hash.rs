//! Hashes of config maps and secrets, which make a name a new one whenever the content is.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::printer::json::compact;

/// How many digits of the hash a name gets.
const LENGTH: usize = 10;

/// The hash, in digits that make no words.
pub(super) fn of(object: &Value) -> String {
    let mut content = json!({"kind": object["kind"], "name": api::meta::name(object)});
    content["data"] = match &object["data"] {
        Value::Null => json!({}),
        data => data.clone(),
    };
    if object["kind"] == "Secret" {
        content["type"] = object["type"].as_str().unwrap_or_default().into();
    }
    if object["binaryData"].is_object() {
        content["binaryData"] = object["binaryData"].clone();
    }
    let digest = Sha256::digest(compact(&content));
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.chars().take(LENGTH).map(digit).collect()
}

/// No vowels, and nothing that looks like one.
fn digit(hexadecimal: char) -> char {
    match hexadecimal {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    }
}
