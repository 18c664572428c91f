//! node

pub mod image;
pub mod runtime;
