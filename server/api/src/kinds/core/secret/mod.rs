//! Secret: bytes that are kept from those who need not see them.

mod columns;
mod default;
mod describe;
mod validate;

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::kind::{Column, Kind, Part, Resource, STORED, Scope};
use crate::kinds::names;
use crate::kinds::read::text;

static RESOURCE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: STORED,
    subresources: &[],
    storage_version_hash: "S6u1pOWzb84=",
    schema: "io.k8s.api.core.v1.Secret",
};

/// The kind.
pub(crate) struct Secret;

impl Kind for Secret {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        default::object(object);
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

    fn fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        vec![("type", text(object, "type").to_owned())]
    }

    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }

    fn describe(&self, object: &Value, _related: &[Vec<Value>], _now: Timestamp) -> Option<String> {
        Some(describe::describe(object))
    }
}
