//! YAML in and out.

use serde::Deserialize as _;
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
}
impl Document {
    pub(crate) fn position(&self, _p: &str) -> Option<(usize, usize)> {
        None
    }
}
pub(crate) struct Error {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}
pub(crate) fn documents(text: &str) -> Result<Vec<Document>, Error> {
    let mut all = Vec::new();
    for d in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(d).map_err(|e| Error {
            line: e.location().map_or(0, |l| l.line()),
            column: e.location().map_or(0, |l| l.column()),
            message: e.to_string(),
        })?;
        all.push(Document { value });
    }
    Ok(all)
}
pub(crate) fn write(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_default()
}
