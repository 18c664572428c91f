//! What every component needs to talk to the API server: a client, in process or over the network,
//! informers, a work queue, and a recorder of events.
//!
//! ```text
//! in_process / remote ──► kube::Client ──► Informer (list + watch, shared objects) ──► handlers
//!                                                                                       │ keys
//!                         kube::Client ◄── reconcile(key) ◄── work(Queue, ..) ◄─────────┘
//! ```

mod connect;
pub mod events;
pub mod informer;
pub mod object;
pub mod queue;
#[cfg(test)]
mod testing;

pub use connect::{Error, in_process, remote};
pub use informer::Informer;
pub use queue::Queue;

/// Turns true when the process stops: whoever holds one returns soon after.
pub type Shutdown = tokio::sync::watch::Receiver<bool>;

/// Returns when `shutdown` is true, or when nobody is left to make it so.
pub async fn stopped(shutdown: &Shutdown) {
    let mut shutdown = shutdown.clone();
    // A dropped sender is a process that is going down.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
