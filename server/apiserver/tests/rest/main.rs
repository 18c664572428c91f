//! The REST API over the memory store: requests go through the router, as the in-process client's do.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

mod forgetting;
mod harness;
mod impersonation;
mod objects;
mod patches;
mod pods;
mod reads;
mod reviews;
mod watches;
