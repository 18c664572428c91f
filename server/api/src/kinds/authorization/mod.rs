//! The group `authorization.k8s.io`.

mod access;
pub(crate) mod localsubjectaccessreview;
mod selector;
pub(crate) mod selfsubjectaccessreview;
pub(crate) mod selfsubjectrulesreview;
pub(crate) mod subjectaccessreview;

/// The name of the group.
const GROUP: &str = "authorization.k8s.io";
