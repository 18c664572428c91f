//! Changes of objects: JSON patch, merge patch, strategic merge patch, server-side apply.
//!
//! | module | what |
//! |---|---|
//! | [`apply`] | server-side apply, and who owns which field |
//! | [`json`] | RFC 6902, in the dialect of kube-apiserver's library |
//! | [`merge`] | RFC 7386, its diff, and the three-way diff that `apply` uses for custom resources |
//! | [`strategic`] | strategic merge patch, and the three-way diff that `apply` uses |

pub mod apply;
pub mod json;
pub mod merge;
pub mod strategic;

use serde_json::Value;

/// Why a patch does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is not of the form its type asks for.
    #[error("{0}")]
    Malformed(String),
    /// The patch is well-formed, and does not fit the object.
    #[error("{0}")]
    Unprocessable(String),
    /// The patch asks for too much work.
    #[error("{0}")]
    TooLarge(String),
}

/// The name of a value's type in Go, which error texts show.
fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

/// A value as Go's `%v` prints it: `map[name:web ports:[80 443]]`.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(list) => {
            let parts: Vec<String> = list.iter().map(go_text).collect();
            format!("[{}]", parts.join(" "))
        }
        Value::Object(fields) => {
            let parts = fields.iter().map(|(k, v)| format!("{k}:{}", go_text(v)));
            format!("map[{}]", parts.collect::<Vec<_>>().join(" "))
        }
    }
}
