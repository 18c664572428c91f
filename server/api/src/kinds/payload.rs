//! What ConfigMaps and Secrets have in common: bytes under keys, a limit, and `immutable`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::read::flag;

/// The most bytes that all values of one object may have together.
pub(crate) const MAX: usize = 1024 * 1024;

/// The bytes of a base64 value; none for what is not base64, which the schema refuses.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    STANDARD
        .decode(value.as_str().unwrap_or_default())
        .unwrap_or_default()
}

/// The number of bytes that a base64 value stands for.
pub(crate) fn size(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    let padding = text.bytes().rev().take_while(|b| *b == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

/// Changes that a stored `immutable: true` forbids.
pub(crate) fn frozen(new: &Value, stored: &Value, fields: &[&str]) -> Vec<Error> {
    const DETAIL: &str = "field is immutable when `immutable` is set";
    if !flag(stored, "immutable") {
        return Vec::new();
    }
    let changed = |field: &&&str| new.get(**field) != stored.get(**field);
    let thawed = (!flag(new, "immutable")).then_some(&"immutable");
    thawed
        .into_iter()
        .chain(fields.iter().filter(changed))
        .map(|field| Error::forbidden(&Path::new(field), DETAIL))
        .collect()
}
