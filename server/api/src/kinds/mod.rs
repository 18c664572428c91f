//! The kinds, a folder each, and the one list that registers them.

mod apps;
mod authentication;
mod authorization;
mod cell;
mod check;
mod coordination;
mod core;
mod description;
mod names;
mod payload;
mod rbac;
mod read;
mod selectors;

use crate::kind::Kind;
pub use rbac::rows as rule_rows;

/// The template of a workload as descriptions show it, with tabs between its columns.
pub fn pod_template(template: &serde_json::Value) -> String {
    let mut out = description::Description::default();
    core::pod::spec::describe::template(&mut out, template);
    out.raw()
}

/// Every built-in kind, in the order of discovery: a line a kind.
pub static KINDS: &[&dyn Kind] = &[
    &core::configmap::ConfigMap,
    &core::event::Event,
    &core::namespace::Namespace,
    &core::node::Node,
    &core::pod::Pod,
    &core::secret::Secret,
    &core::serviceaccount::ServiceAccount,
    &apps::deployment::Deployment,
    &apps::replicaset::ReplicaSet,
    &authentication::selfsubjectreview::SelfSubjectReview,
    &authentication::tokenreview::TokenReview,
    &authorization::localsubjectaccessreview::LocalSubjectAccessReview,
    &authorization::selfsubjectaccessreview::SelfSubjectAccessReview,
    &authorization::selfsubjectrulesreview::SelfSubjectRulesReview,
    &authorization::subjectaccessreview::SubjectAccessReview,
    &rbac::clusterrolebinding::ClusterRoleBinding,
    &rbac::clusterrole::ClusterRole,
    &rbac::rolebinding::RoleBinding,
    &rbac::role::Role,
    &coordination::lease::Lease,
];

/// The kind that a URL names.
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|k| {
        let r = k.resource();
        r.plural == plural && r.group == group && r.version == version
    })
}

/// The kind that an object's `apiVersion` and `kind` name.
pub fn by_kind(api_version: &str, kind: &str) -> Option<&'static dyn Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    KINDS.iter().copied().find(|k| {
        let r = k.resource();
        r.kind == kind && r.group == group && r.version == version
    })
}
