//! Whole clusters: controllers, scheduler, rollouts, nodes that vanish.

mod demo;
mod deployments;
mod nodes;
mod scheduling;
