//! Namespace: a scope for names, and what goes with it when it is deleted.

mod columns;
mod default;
mod describe;
mod validate;

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::kind::{Column, Kind, Part, Query, Resource, Scope, Subresource};
use crate::kinds::names;
use crate::kinds::read::{carry, text};

static RESOURCE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    scope: Scope::Cluster,
    verbs: &[
        "create", "delete", "get", "list", "patch", "update", "watch",
    ],
    subresources: &[
        Subresource {
            name: "finalize",
            body: None,
            verbs: &["update"],
        },
        Subresource {
            name: "status",
            body: None,
            verbs: &["get", "patch", "update"],
        },
    ],
    storage_version_hash: "Q3oi5N2YM8M=",
    schema: "io.k8s.api.core.v1.Namespace",
};

/// The kind.
pub(crate) struct Namespace;

impl Kind for Namespace {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        default::object(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        default::create(object);
    }

    /// Finalizers change through `finalize` alone, the phase through `status`.
    fn prepare_update(&self, part: Part, new: &mut Value, stored: &Value) {
        match part {
            Part::Main => {
                carry(&stored["spec"], &mut new["spec"], "finalizers");
                carry(stored, new, "status");
            }
            Part::Status => carry(stored, new, "spec"),
            Part::Other(_) => carry(stored, new, "status"),
        }
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        validate::object(object)
    }

    fn validate_update(&self, part: Part, new: &Value, _stored: &Value) -> Vec<field::Error> {
        validate::update(part, new)
    }

    fn name_problem(&self, name: &str) -> Option<String> {
        names::label(name)
    }

    fn fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let phase = text(&object["status"], "phase");
        vec![
            // Both names of the object are selectable; older clients ask for the short one.
            ("name", text(&object["metadata"], "name").to_owned()),
            ("status.phase", phase.to_owned()),
        ]
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

    fn describe(&self, object: &Value, related: &[Vec<Value>], _now: Timestamp) -> Option<String> {
        Some(describe::describe(object, related))
    }
}
