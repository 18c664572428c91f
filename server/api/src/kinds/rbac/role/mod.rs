//! Role: what may be done in one namespace.

use jiff::Timestamp;
use serde_json::Value;

use super::{describe, rules};
use crate::field;
use crate::kind::{Column, Kind, Resource, STORED, Scope};
use crate::kinds::names;

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "Role",
    plural: "roles",
    singular: "role",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: STORED,
    subresources: &[],
    storage_version_hash: "7FuwZcIIItM=",
    schema: "io.k8s.api.rbac.v1.Role",
};

/// The kind.
pub(crate) struct Role;

impl Kind for Role {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        rules::default(object);
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        rules::validate(object, true)
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
