//! Pod: containers that run together on one node.

mod columns;
mod default;
mod describe;
mod difference;
pub(crate) mod spec;
mod update;
mod validate;

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::kind::{Column, Kind, Part, Query, Resource, STORED, Scope, Subresource};
use crate::kinds::names;
use crate::kinds::read::{flag, items, text};

const READ_WRITE: &[&str] = &["get", "patch", "update"];
const CONNECT: &[&str] = &["create", "get"];

static RESOURCE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    scope: Scope::Namespaced,
    verbs: STORED,
    subresources: &[
        sub("attach", Some(("", "v1", "PodAttachOptions")), CONNECT),
        sub("binding", Some(("", "v1", "Binding")), &["create"]),
        sub("ephemeralcontainers", None, READ_WRITE),
        sub("eviction", Some(("policy", "v1", "Eviction")), &["create"]),
        sub("exec", Some(("", "v1", "PodExecOptions")), CONNECT),
        sub("log", None, &["get"]),
        sub(
            "portforward",
            Some(("", "v1", "PodPortForwardOptions")),
            CONNECT,
        ),
        sub(
            "proxy",
            Some(("", "v1", "PodProxyOptions")),
            &["create", "delete", "get", "patch", "update"],
        ),
        sub("resize", None, READ_WRITE),
        sub("status", None, READ_WRITE),
    ],
    storage_version_hash: "xPOwRZ+Yhw8=",
    schema: "io.k8s.api.core.v1.Pod",
};

const fn sub(
    name: &'static str,
    body: Option<(&'static str, &'static str, &'static str)>,
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource { name, body, verbs }
}

/// The kind.
pub(crate) struct Pod;

impl Kind for Pod {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn default(&self, object: &mut Value) {
        default::object(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        default::create(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, stored: &Value) {
        update::prepare(part, new, stored);
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        validate::object(object)
    }

    fn validate_update(&self, part: Part, new: &Value, stored: &Value) -> Vec<field::Error> {
        update::validate(part, new, stored)
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        validate::warnings(object)
    }

    fn name_problem(&self, name: &str) -> Option<String> {
        names::subdomain(name)
    }

    fn fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let (spec, status) = (&object["spec"], &object["status"]);
        let address = items(status, "podIPs").first();
        let address = address.map_or("", |a| text(a, "ip"));
        let network = flag(spec, "hostNetwork").to_string();
        [
            ("spec.nodeName", text(spec, "nodeName")),
            ("spec.restartPolicy", text(spec, "restartPolicy")),
            ("spec.schedulerName", text(spec, "schedulerName")),
            ("spec.serviceAccountName", text(spec, "serviceAccountName")),
            ("spec.hostNetwork", &network),
            ("status.phase", text(status, "phase")),
            ("status.podIP", address),
            (
                "status.nominatedNodeName",
                text(status, "nominatedNodeName"),
            ),
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

    fn related(&self, object: &Value) -> Vec<Query> {
        describe::related(object)
    }

    fn describe(&self, object: &Value, related: &[Vec<Value>], now: Timestamp) -> Option<String> {
        Some(describe::describe(object, related, now))
    }
}
