//! The spec of a pod, which Pods have and which templates of workloads have.
//!
//! | module | what it holds |
//! |---|---|
//! | [`default`] | what is filled in |
//! | [`validate`] | problems, with [`container`], [`env`], [`volume`], [`probe`], [`resources`], [`placement`] and [`security`] |
//! | [`qos`] | the quality of service that follows from the resources |

mod container;
mod default;
pub(crate) mod describe;
mod describe_env;
mod env;
mod placement;
mod probe;
pub(crate) mod qos;
pub(crate) mod resources;
mod security;
mod validate;
mod volume;
mod volume_source;

pub(crate) use default::{host_ports, quantities, requests_from_limits, spec as default};
pub(crate) use placement::effect as taint_effect;
pub(crate) use validate::{
    metadata as validate_metadata, spec as validate, template as validate_template,
};

/// Whether the spec stands in a Pod or in the template of a workload, which may leave more open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A Pod.
    Pod,
    /// A template that Pods are made from.
    Template,
}

/// The lists of containers in a spec, in the order they are checked.
pub(crate) const CONTAINERS: &[&str] = &["containers", "initContainers", "ephemeralContainers"];
