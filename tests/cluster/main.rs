//! Whole clusters: controllers, scheduler, rollouts, nodes that vanish.

mod deployments;
mod nodes;
mod scheduling;
