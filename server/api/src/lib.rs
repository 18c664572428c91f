//! The Kubernetes API as values: kinds, the schema engine, patches, selectors and wire formats.
//!
//! Nothing here waits, opens or asks the time. An object is a [`serde_json::Value`] from the edge to
//! the store; a kind's own code reads it as the typed struct of `k8s-openapi` where that is clearer.
//!
//! | module | what it decides |
//! |---|---|
//! | [`kind`] | the contract of a kind, and the facts that routes, discovery and tables derive from |
//! | [`meta`] | what every object carries: names, labels, selectors, quantities, times |
//! | [`patch`] | JSON patch, merge patch, strategic merge patch, server-side apply |
//! | [`review`] | what kinds ask the server that are answered and not stored |
//! | [`schema`] | what fields a kind has, and how they merge |
//! | [`wire`] | how objects are read and written: JSON, YAML |

pub mod auth;
pub mod field;
pub mod kind;
pub mod kinds;
pub mod meta;
pub mod patch;
pub mod review;
pub mod schema;
pub mod wire;
