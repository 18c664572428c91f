//! A pod's life on this node: a state machine that decides, and a worker that does.
//!
//! ```text
//!                     ┌───────── back-off ◄────────┐
//!  Preparing ─────► Running ──── container ended ──┘
//!  volumes, sandbox   │ init containers in order, then containers
//!     │               │
//!     │ deletion      │ deletion · deadline · failed init · all containers over for good
//!     ▼               ▼
//!  Ending ── containers get TERM, then KILL; sidecars last, in reverse
//!     │ nothing runs
//!     ▼
//!  Reporting ── the last status reaches the API server
//!     ▼
//!  Removing ── sandbox, volumes
//!     ▼
//!  Removed ── deletion was asked for ──► object deleted ──► Gone (logs removed)
//! ```
//!
//! [`machine::Machine`] is pure: it takes [`machine::Input`]s and the time and gives
//! [`machine::Action`]s. [`worker`] performs the actions, whose results are inputs again, so that a
//! worker waits for nothing but its inputs and one timer.

pub(crate) mod backoff;
pub(crate) mod container;
mod decide;
pub(crate) mod effects;
pub(crate) mod hooks;
pub(crate) mod machine;
pub(crate) mod observed;
pub(crate) mod resources;
mod sandbox;
pub(crate) mod spec;
mod start;
pub(crate) mod stop;
mod termination;
pub(crate) mod worker;
