//! The group `authentication.k8s.io`.

pub(crate) mod selfsubjectreview;
pub(crate) mod tokenreview;

/// The name of the group.
const GROUP: &str = "authentication.k8s.io";
