//! The forms in which objects travel: JSON, and YAML for people.

pub mod json;
pub mod yaml;
