//! ClusterRole: what may be done in all namespaces and outside of them.

mod validate;

use jiff::Timestamp;
use serde_json::Value;

use super::{describe, rules};
use crate::field;
use crate::kind::{Column, Kind, Resource, STORED, Scope};
use crate::kinds::names;

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: STORED,
    subresources: &[],
    storage_version_hash: "bYE5ZWDrJ44=",
    schema: "io.k8s.api.rbac.v1.ClusterRole",
};

/// The kind.
pub(crate) struct ClusterRole;

impl Kind for ClusterRole {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        rules::default(object);
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        validate::object(object)
    }

    fn name_problem(&self, name: &str) -> Option<String> {
        names::path_segment(name)
    }

    fn columns(&self) -> &'static [Column] {
        rules::COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        rules::cells(object, now)
    }

    fn describe(&self, object: &Value, _related: &[Vec<Value>], _now: Timestamp) -> Option<String> {
        Some(describe::describe(object))
    }
}
