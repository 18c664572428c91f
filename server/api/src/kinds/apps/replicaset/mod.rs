//! ReplicaSet: a number of equal pods.

mod columns;
mod default;
mod describe;
mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::workload;
use crate::field;
use crate::kind::{Column, Kind, Part, Query, Resource, STORED, Scope};
use crate::kinds::names;
use crate::kinds::read::int;

static RESOURCE: Resource = Resource {
    group: "apps",
    version: "v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    scope: Scope::Namespaced,
    verbs: STORED,
    subresources: super::SCALED,
    storage_version_hash: "P1RzHs8/mWQ=",
    schema: "io.k8s.api.apps.v1.ReplicaSet",
};

/// The kind.
pub(crate) struct ReplicaSet;

impl Kind for ReplicaSet {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        default::object(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        workload::create(&RESOURCE, object, json!({"replicas": 0}));
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        validate::object(object)
    }

    fn validate_update(&self, part: Part, new: &Value, stored: &Value) -> Vec<field::Error> {
        match part {
            Part::Status => validate::status(&new["status"]),
            _ => workload::validate_update(new, stored),
        }
    }

    fn name_problem(&self, name: &str) -> Option<String> {
        names::subdomain(name)
    }

    fn fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let replicas = int(&object["status"], "replicas").unwrap_or(0);
        vec![("status.replicas", replicas.to_string())]
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
