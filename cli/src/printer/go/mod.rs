//! Values as Go programs see them: their types, how `fmt` prints them, literals and quotes.
//!
//! Templates and JSONPath show their users Go's types and texts, so both rest on this.

pub(crate) mod compare;
pub(crate) mod float;
pub(crate) mod number;
pub(crate) mod print;
mod printf;
pub(crate) mod quote;
pub(crate) mod value;
mod verbs;

pub(crate) use value::{Data, Value};
