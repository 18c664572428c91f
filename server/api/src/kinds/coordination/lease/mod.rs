//! Lease: who leads, and who is alive.

mod columns;
mod validate;

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::kind::{Column, Kind, Part, Resource, STORED, Scope};
use crate::kinds::names;
use crate::kinds::read::{part_mut, remove};

static RESOURCE: Resource = Resource {
    group: "coordination.k8s.io",
    version: "v1",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: STORED,
    subresources: &[],
    storage_version_hash: "gqkMMb/YqFM=",
    schema: "io.k8s.api.coordination.v1.Lease",
};

/// The kind.
pub(crate) struct Lease;

impl Kind for Lease {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    /// Leases change every few seconds and have no generation.
    fn prepare_create(&self, object: &mut Value) {
        without_election(object);
    }

    fn prepare_update(&self, _part: Part, new: &mut Value, _stored: &Value) {
        without_election(new);
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        validate::object(object)
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
}

/// Coordinated leader election (KEP-4355) is off, as it is by default: its fields are not kept.
fn without_election(object: &mut Value) {
    if let Some(spec) = part_mut(object, "spec") {
        remove(spec, "strategy");
        remove(spec, "preferredHolder");
    }
}
