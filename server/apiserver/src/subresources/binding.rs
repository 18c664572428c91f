//! `pods/binding`: puts a pod on a node. Only a pod without one can be put.

use api::field::{self, Path};
use api::kind::Part;
use api::meta;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::body::{self, Expected};
use crate::call::Call;
use crate::error::{self, Error, Result};
use crate::handlers::write::{self, Change};
use crate::options::WriteOptions;
use crate::respond;

const SCHEMA: &str = "io.k8s.api.core.v1.Binding";

/// Binds the pod that the URL names to the node in the body.
pub(crate) async fn create(call: &Call, body: &Bytes) -> Result<Response> {
    let options = WriteOptions::parse("CreateOptions", &call.query)?;
    let expected = Expected {
        api_version: "v1",
        kind: "Binding",
        schema: Some(SCHEMA),
    };
    let binding = body::object(call, body, options.validation, expected)?;
    if meta::name(&binding) != call.name {
        return Err(Error::bad_request(
            "name in URL does not match name in Binding object",
        ));
    }
    let node = target(&binding)?;
    let change = Change {
        part: Part::Other("binding"),
        options: &options,
        create: false,
        // As in Kubernetes: the scheduler puts the pod, and does not own its place.
        owned: true,
    };
    write::change(call, &change, |pod| {
        let pod = pod.ok_or_else(|| Error::not_found(call.resource(), &call.name))?;
        bound(call, pod, &binding, node)
    })
    .await?;
    Ok(respond::value(call.form, 201, &error::created()))
}

fn target(binding: &Value) -> Result<&str> {
    let target = &binding["target"];
    let path = Path::new("target");
    let mut problems = Vec::new();
    let kind = target["kind"].as_str().unwrap_or_default();
    if !matches!(kind, "" | "Node") {
        let allowed = ["Node", "<empty>"];
        problems.push(field::Error::not_supported(
            &path.child("kind"),
            kind,
            &allowed,
        ));
    }
    let name = target["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        problems.push(field::Error::required(&path.child("name"), ""));
    }
    match problems.is_empty() {
        true => Ok(name),
        false => Err(Error::invalid(
            "Binding",
            "",
            meta::name(binding),
            &problems,
        )),
    }
}

fn bound(call: &Call, pod: &Value, binding: &Value, node: &str) -> Result<Value> {
    let conflict = |why: String| Error::conflict_of("pods/binding", &call.name, &why);
    let (asked, uid) = (meta::uid(binding), meta::uid(pod));
    if !asked.is_empty() && asked != uid {
        return Err(conflict(format!(
            "Precondition failed: UID in precondition: {asked}, UID in object meta: {uid}"
        )));
    }
    if meta::deletion_timestamp(pod).is_some() {
        return Err(conflict(format!(
            "pod {} is being deleted, cannot be assigned to a host",
            call.name
        )));
    }
    if let Some(held) = pod["spec"]["nodeName"]
        .as_str()
        .filter(|held| !held.is_empty())
    {
        return Err(conflict(format!(
            "pod {} is already assigned to node {held:?}",
            call.name
        )));
    }
    if !meta::list(&pod["spec"]["schedulingGates"]).is_empty() {
        return Err(conflict(format!(
            "pod {} has non-empty .spec.schedulingGates",
            call.name
        )));
    }
    let mut pod = pod.clone();
    pod["spec"]["nodeName"] = node.into();
    for (key, value) in meta::annotations(binding) {
        pod["metadata"]["annotations"][key] = value.into();
    }
    scheduled(&mut pod["status"]);
    Ok(pod)
}

/// Notes in the status that the pod has a node.
fn scheduled(status: &mut Value) {
    let condition = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": meta::time::seconds(Timestamp::now()),
    });
    let Some(conditions) = status["conditions"].as_array_mut() else {
        status["conditions"] = json!([condition]);
        return;
    };
    let same = |c: &&mut Value| c["type"] == "PodScheduled";
    match conditions.iter_mut().find(same) {
        Some(present) => *present = condition,
        None => conditions.push(condition),
    }
}
