//! YAML as kubectl reads and writes it: YAML 1.1 in the dialect of `sigs.k8s.io/yaml` (go-yaml v2).
//!
//! Reading gives a JSON value for each document, and the line and column of every field in it.
//! Writing is byte for byte what `kubectl -o yaml` prints.

mod read;
mod scalar;
mod write;

pub use read::{Document, Error, body, documents};
pub use write::write;

#[cfg(test)]
mod tests;
