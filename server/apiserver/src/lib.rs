//! The Kubernetes REST API over a store.

pub mod auth;
pub mod bootstrap;
pub mod pki;
