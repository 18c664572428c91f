//! Label and field selectors: their text forms, and what they match.
//!
//! Errors are Kubernetes' texts, which clients print as they are.

mod fields;
mod labels;
mod parser;

use std::fmt;

pub use fields::{FieldRequirement, Fields};
pub use labels::{Labels, Lookup, Operator, Requirement};

fn comma_separated(f: &mut fmt::Formatter<'_>, parts: &[impl fmt::Display]) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(",")?;
        }
        part.fmt(f)?;
    }
    Ok(())
}
