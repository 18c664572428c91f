//! ConfigMap: configuration as text and binary data.

mod columns;
mod describe;
mod validate;

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::kind::{Column, Kind, Part, Query, Resource, STORED, Scope};
use crate::kinds::names;

static RESOURCE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: STORED,
    subresources: &[],
    storage_version_hash: "qFsyl6wFWjQ=",
    schema: "io.k8s.api.core.v1.ConfigMap",
};

/// The kind.
pub(crate) struct ConfigMap;

impl Kind for ConfigMap {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        validate::object(object)
    }

    fn validate_update(&self, _part: Part, new: &Value, stored: &Value) -> Vec<field::Error> {
        validate::update(new, stored)
    }

    fn name_problem(&self, name: &str) -> Option<String> {
        names::subdomain(name)
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
