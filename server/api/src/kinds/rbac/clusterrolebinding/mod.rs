//! ClusterRoleBinding: who has a role, in all namespaces and outside of them.

use jiff::Timestamp;
use serde_json::Value;

use super::binding;
use crate::field;
use crate::kind::{Column, Kind, Part, Resource, STORED, Scope};
use crate::kinds::names;

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: STORED,
    subresources: &[],
    storage_version_hash: "48tpQ8gZHFc=",
    schema: "io.k8s.api.rbac.v1.ClusterRoleBinding",
};

static COLUMNS: [Column; 6] = binding::columns(
    "roleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
    "Users in the clusterRoleBinding",
    "Groups in the clusterRoleBinding",
    "ServiceAccounts in the clusterRoleBinding",
);

/// The kind.
pub(crate) struct ClusterRoleBinding;

impl Kind for ClusterRoleBinding {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        binding::default(object);
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        binding::validate(object, &["ClusterRole"], false)
    }

    fn validate_update(&self, _part: Part, new: &Value, stored: &Value) -> Vec<field::Error> {
        binding::validate_update(new, stored)
    }

    fn name_problem(&self, name: &str) -> Option<String> {
        names::path_segment(name)
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        binding::cells(object, now)
    }

    fn describe(&self, object: &Value, _related: &[Vec<Value>], _now: Timestamp) -> Option<String> {
        Some(binding::describe(object))
    }
}
