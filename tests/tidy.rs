//! The architecture, checked.
