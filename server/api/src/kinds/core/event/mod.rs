//! Event: what happened to an object, kept for a while.

mod columns;
mod validate;

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::kind::{Column, Kind, Resource, STORED, Scope};
use crate::kinds::names;
use crate::kinds::read::{show_times, text};

static RESOURCE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: STORED,
    subresources: &[],
    storage_version_hash: "r2yiGXH7wu8=",
    schema: "io.k8s.api.core.v1.Event",
};

/// The kind.
pub(crate) struct Event;

impl Kind for Event {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        show_times(object, &["eventTime", "firstTimestamp", "lastTimestamp"]);
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        validate::object(object)
    }

    fn name_problem(&self, name: &str) -> Option<String> {
        names::subdomain(name)
    }

    fn fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let about = &object["involvedObject"];
        let reporter = text(object, "reportingComponent");
        let source = match text(&object["source"], "component") {
            "" => reporter,
            component => component,
        };
        [
            ("involvedObject.kind", text(about, "kind")),
            ("involvedObject.namespace", text(about, "namespace")),
            ("involvedObject.name", text(about, "name")),
            ("involvedObject.uid", text(about, "uid")),
            ("involvedObject.apiVersion", text(about, "apiVersion")),
            (
                "involvedObject.resourceVersion",
                text(about, "resourceVersion"),
            ),
            ("involvedObject.fieldPath", text(about, "fieldPath")),
            ("reason", text(object, "reason")),
            ("reportingComponent", reporter),
            ("source", source),
            ("type", text(object, "type")),
        ]
        .map(|(field, value)| (field, value.to_owned()))
        .into()
    }

    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
}
