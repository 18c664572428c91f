//! The forms in which objects travel: JSON, YAML for people, and protobuf from typed clients.

pub mod json;
pub mod protobuf;
pub mod yaml;
