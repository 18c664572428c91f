//! What a ConfigMap may hold, and what `immutable` freezes.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::payload;
use crate::kinds::read::{entries, has};
use crate::meta::name;

pub(super) fn object(object: &Value) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in entries(object, "data") {
        let path = Path::new("data").key(key);
        let problems = name::config_map_key(key).into_iter();
        errors.extend(problems.map(|p| Error::invalid(&path, key, p)));
        if has(&object["binaryData"], key) {
            let detail = "duplicate of key present in binaryData";
            errors.push(Error::invalid(&path, key, detail));
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in entries(object, "binaryData") {
        let path = Path::new("binaryData").key(key);
        let problems = name::config_map_key(key).into_iter();
        errors.extend(problems.map(|p| Error::invalid(&path, key, p)));
        size += payload::size(value);
    }
    if size > payload::MAX {
        errors.push(Error::too_long(&Path::default(), payload::MAX));
    }
    errors
}

pub(super) fn update(new: &Value, stored: &Value) -> Vec<Error> {
    payload::frozen(new, stored, &["data", "binaryData"])
}
