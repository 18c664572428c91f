//! The group `rbac.authorization.k8s.io`.

mod binding;
pub(crate) mod clusterrole;
pub(crate) mod clusterrolebinding;
mod describe;
pub(crate) mod role;
pub(crate) mod rolebinding;
mod rules;

pub use describe::rows;

/// The name of the group.
const GROUP: &str = "rbac.authorization.k8s.io";
