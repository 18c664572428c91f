//! The REST API over the memory store: requests go through the router, as the in-process client's do.

mod harness;
mod objects;
mod patches;
mod reads;
mod watches;
