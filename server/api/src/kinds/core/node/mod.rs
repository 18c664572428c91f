//! Node: a machine that runs pods.

mod columns;
mod default;
mod describe;
mod validate;

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::kind::{Column, Kind, Part, Query, Resource, STORED, Scope, Subresource};
use crate::kinds::names;
use crate::kinds::read::{carry, flag};

static RESOURCE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    scope: Scope::Cluster,
    verbs: STORED,
    subresources: &[
        Subresource {
            name: "proxy",
            body: Some(("", "v1", "NodeProxyOptions")),
            verbs: &["create", "delete", "get", "patch", "update"],
        },
        Subresource {
            name: "status",
            body: None,
            verbs: &["get", "patch", "update"],
        },
    ],
    storage_version_hash: "XwShjMxG9Fs=",
    schema: "io.k8s.api.core.v1.Node",
};

/// The kind.
pub(crate) struct Node;

impl Kind for Node {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        default::object(object);
    }

    /// A node that registers itself brings its status along.
    fn prepare_create(&self, _object: &mut Value) {}

    fn prepare_update(&self, part: Part, new: &mut Value, stored: &Value) {
        match part {
            Part::Main => carry(stored, new, "status"),
            Part::Status => carry(stored, new, "spec"),
            Part::Other(_) => {}
        }
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        validate::object(object)
    }

    fn validate_update(&self, _part: Part, new: &Value, stored: &Value) -> Vec<field::Error> {
        validate::update(new, stored)
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        validate::warnings(object)
    }

    fn name_problem(&self, name: &str) -> Option<String> {
        names::subdomain(name)
    }

    fn fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let unschedulable = flag(&object["spec"], "unschedulable");
        vec![("spec.unschedulable", unschedulable.to_string())]
    }

    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }

    fn related(&self, object: &Value) -> Vec<Query> {
        describe::related(object)
    }

    fn describe(&self, object: &Value, related: &[Vec<Value>], now: Timestamp) -> Option<String> {
        Some(describe::describe(object, related, now))
    }
}
