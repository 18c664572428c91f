//! Where a problem is and what it is: field paths and field errors, in Kubernetes' wording.
//!
//! Clients and their tests match on these texts (`k8s.io/apimachinery/pkg/util/validation/field`).

use std::fmt::{self, Write as _};

use serde_json::Value;

/// A path to a field, such as `spec.containers[0].env[2].name` or `metadata.labels[app]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// The path of a field at the top of the object.
    pub fn new(field: &str) -> Self {
        Self(field.to_owned())
    }

    /// A field of the object at this path.
    #[must_use]
    pub fn child(&self, field: &str) -> Self {
        if self.0.is_empty() {
            return Self::new(field);
        }
        Self(format!("{}.{field}", self.0))
    }

    /// An element of the list at this path.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An entry of the map at this path.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a field. [`Reason::cause`] is the machine-readable form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Refers to something that does not exist.
    NotFound,
    /// Must be set and is not.
    Required,
    /// Repeats a value that must be unique.
    Duplicate,
    /// Malformed, or out of range.
    Invalid,
    /// Not one of the allowed values.
    NotSupported,
    /// May not be set here, or not by this user.
    Forbidden,
    /// A string longer than allowed.
    TooLong,
    /// A list or map with more entries than allowed.
    TooMany,
    /// Could not be checked.
    Internal,
    /// Of another JSON type than the schema's.
    TypeInvalid,
}

impl Reason {
    /// The `reason` of a `StatusCause`.
    pub fn cause(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }
}

/// One problem of one field. `Display` gives `path: message`; [`Error::message`] leaves the path out.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// What is wrong.
    pub reason: Reason,
    /// Where.
    pub field: Path,
    /// The offending value, where the message shows it.
    pub value: Option<Value>,
    /// What was expected.
    pub detail: String,
}

impl Error {
    /// A problem whose message shows the value.
    pub fn with_value(
        reason: Reason,
        field: &Path,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            reason,
            field: field.clone(),
            value: Some(value.into()),
            detail: detail.into(),
        }
    }

    fn without_value(reason: Reason, field: &Path, detail: impl Into<String>) -> Self {
        Self {
            reason,
            field: field.clone(),
            value: None,
            detail: detail.into(),
        }
    }

    /// The value is malformed or out of range.
    pub fn invalid(field: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::with_value(Reason::Invalid, field, value, detail)
    }

    /// The field must be set.
    pub fn required(field: &Path, detail: impl Into<String>) -> Self {
        Self::without_value(Reason::Required, field, detail)
    }

    /// The field may not be set or changed.
    pub fn forbidden(field: &Path, detail: impl Into<String>) -> Self {
        Self::without_value(Reason::Forbidden, field, detail)
    }

    /// The value occurs twice.
    pub fn duplicate(field: &Path, value: impl Into<Value>) -> Self {
        Self::with_value(Reason::Duplicate, field, value, "")
    }

    /// The value refers to nothing.
    pub fn not_found(field: &Path, value: impl Into<Value>) -> Self {
        Self::with_value(Reason::NotFound, field, value, "")
    }

    /// The value is not one of `allowed`, which the message lists in order.
    pub fn not_supported(field: &Path, value: impl Into<Value>, allowed: &[&str]) -> Self {
        let list: Vec<String> = allowed.iter().map(|v| format!("{v:?}")).collect();
        let detail = if list.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", list.join(", "))
        };
        Self::with_value(Reason::NotSupported, field, value, detail)
    }

    /// The string has more than `max` bytes.
    pub fn too_long(field: &Path, max: usize) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::without_value(
            Reason::TooLong,
            field,
            format!("may not be more than {max} {unit}"),
        )
    }

    /// The collection has `actual` entries, more than `max`.
    pub fn too_many(field: &Path, actual: usize, max: usize) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::with_value(
            Reason::TooMany,
            field,
            actual,
            format!("must have at most {max} {unit}"),
        )
    }

    /// What is wrong, without the path: the `message` of a `StatusCause`.
    pub fn message(&self) -> String {
        let mut text = self.reason.words().to_owned();
        match &self.value {
            Some(Value::String(s)) => {
                let _ = write!(text, ": {}", go_quoted(s));
            }
            Some(value) => {
                let _ = write!(text, ": {value}");
            }
            None => {}
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

impl std::error::Error for Error {}

/// A string in Go's `%q` form, which messages use for string values.
pub fn go_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
