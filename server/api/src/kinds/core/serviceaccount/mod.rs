//! ServiceAccount: an identity for what runs in pods.

mod columns;
mod describe;
mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field;
use crate::kind::{Column, Kind, Part, Query, Resource, STORED, Scope, Subresource};
use crate::kinds::names;
use crate::kinds::read::{items_mut, text};

static RESOURCE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: STORED,
    subresources: &[Subresource {
        name: "token",
        body: Some(("authentication.k8s.io", "v1", "TokenRequest")),
        verbs: &["create"],
    }],
    storage_version_hash: "pbx9ZvyFpBE=",
    schema: "io.k8s.api.core.v1.ServiceAccount",
};

/// The kind.
pub(crate) struct ServiceAccount;

impl Kind for ServiceAccount {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn prepare_create(&self, object: &mut Value) {
        name_secrets(object);
    }

    fn prepare_update(&self, _part: Part, new: &mut Value, _stored: &Value) {
        name_secrets(new);
    }

    fn validate(&self, _object: &Value) -> Vec<field::Error> {
        Vec::new()
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        validate::warnings(object)
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

/// References to secrets are names: secrets of other namespaces can't be meant.
fn name_secrets(object: &mut Value) {
    for secret in items_mut(object, "secrets") {
        let name = text(secret, "name");
        *secret = if name.is_empty() {
            json!({})
        } else {
            json!({"name": name})
        };
    }
}
