//! The type of a Secret, and `stringData`, which exists in requests only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::kinds::read::{part_or_new, remove, set_default};

pub(super) fn object(object: &mut Value) {
    merge_string_data(object);
    set_default(object, "type", "Opaque");
}

/// `stringData` wins over `data`, and is never stored.
fn merge_string_data(object: &mut Value) {
    if let Value::Object(strings) = object["stringData"].take() {
        let data = part_or_new(object, "data");
        for (key, value) in strings {
            let text = value.as_str().unwrap_or_default();
            data[key] = STANDARD.encode(text).into();
        }
    }
    remove(object, "stringData");
}
