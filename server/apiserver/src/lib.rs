//! The Kubernetes REST API over a store.
//!
//! ```text
//! TLS ─► server ─► routes ─► auth ─► handlers / subresources ─► admission ─► store
//! in process ─────►   │                     │                                  │
//!                     ├─► discovery, openapi, health, metrics                  ▼
//!                     └────────── get, list, watch ◄── cache ◄── every commit, in order
//! ```
//!
//! | module | what it decides |
//! |---|---|
//! | [`server`] | listening, connections, start and stop |
//! | `routes` | the only table of URLs |
//! | `access` | as whom a request is made, and whether it may be |
//! | `handlers` | a file a verb |
//! | `subresources` | a file a subresource |
//! | `admission` | a file a plugin |
//! | `cache` | what readers and watchers see |
//! | [`error`] | the only place that makes a `Status` |
//! | [`record`] | the form of objects in the store |
//! | [`auth`] | who asks, and whether they may |

pub mod auth;
pub mod bootstrap;
pub mod error;
pub mod pki;
pub mod record;
pub mod server;

mod access;
mod admission;
mod app;
mod body;
mod cache;
mod call;
mod coalesce;
mod compaction;
mod discovery;
mod expiry;
mod handlers;
mod health;
mod keys;
mod metrics;
mod negotiate;
mod node;
mod openapi;
mod options;
mod policy;
mod query;
mod respond;
mod routes;
mod subresources;
mod table;
mod version;

pub use server::{Config, Server};
