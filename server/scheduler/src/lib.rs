//! The scheduler: gives each pod that has no node the node that suits it best.
//!
//! ```text
//! watch pods, nodes ──► Queue ──pop──► Cycle (filter, score) ──► assume ──► bind (in the background)
//!                  └──► Cluster ────────────────┘                  └── failed: forget, try again
//! ```
//!
//! One task owns the queue and the cluster, so nothing is locked and no change is missed between a
//! failed cycle and the moment the pod sleeps. Deciding is pure ([`cycle`], [`queue`], [`cluster`]).
//! Pods are not taken away to make room for others.

mod cluster;
mod cycle;
mod node;
mod plugins;
mod pod;
mod queue;
mod resources;
mod run;

pub use run::run;
