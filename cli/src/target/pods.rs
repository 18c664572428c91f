//! From `deploy/web` to its pods, and from a pod to one of its containers.

use serde_json::Value;

use super::Spec;
use crate::client::Request;
use crate::context::{Context, note};
use crate::error::Result;

/// The label selector of a thing that has pods, or `None` for a kind that has none.
fn selector(object: &Value) -> Option<Result<String>> {
    let spec = &object["spec"];
    let selector = match object["kind"].as_str()? {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => {
            api::meta::selector::Labels::from_selector(&spec["selector"]).map(|s| s.to_string())
        }
        "ReplicationController" | "Service" => {
            Ok(api::meta::selector::Labels::from_map(&spec["selector"]).to_string())
        }
        _ => return None,
    };
    Some(selector.map_err(Into::into))
}

/// The pods that a word of the command line means: itself, or those of a thing that has pods.
///
/// `task` is what the user wants of them, for the complaint about things that have none.
pub(crate) async fn of(context: &Context, words: &[String], task: &str) -> Result<Vec<Value>> {
    let words: Vec<String> = match words {
        [name] if !name.contains('/') => vec!["pods".to_owned(), name.clone()],
        words => words.to_vec(),
    };
    let spec = Spec {
        words,
        ..Spec::default()
    };
    let (found, errors) = super::objects(context, &spec).await?;
    crate::error::Error::many(errors)?;
    let Some(thing) = found.into_iter().next() else {
        return Err("no pod was named".into());
    };
    if thing.resource.kind == "Pod" {
        return Ok(vec![thing.object]);
    }
    let Some(selector) = selector(&thing.object) else {
        let kind = &thing.resource.kind;
        return Err(format!(
            "{task} *{}.{kind}: selector for *{}.{kind} not implemented",
            thing.resource.version, thing.resource.version
        )
        .into());
    };
    let pods = listed(context, &thing.namespace, &selector?).await?;
    if pods.is_empty() {
        return Err("timed out waiting for the condition".into());
    }
    Ok(pods)
}

/// One pod: of several, the one that kubectl would take.
pub(crate) async fn one(context: &Context, words: &[String], task: &str) -> Result<Value> {
    let mut pods = of(context, words, task).await?;
    if pods.len() > 1 {
        sort(&mut pods);
        note(&format!(
            "Found {} pods, using pod/{}",
            pods.len(),
            api::meta::name(&pods[0])
        ));
    }
    Ok(pods.swap_remove(0))
}

/// The first pod without saying that there are more, as exec does.
pub(crate) async fn quietly_one(context: &Context, words: &[String]) -> Result<Value> {
    let mut pods = of(context, words, "cannot attach to").await?;
    sort(&mut pods);
    pods.reverse();
    pods.pop().ok_or_else(|| "no pod was named".into())
}

/// Pods by label selector.
pub(crate) async fn listed(context: &Context, namespace: &str, labels: &str) -> Result<Vec<Value>> {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let mut list = context
        .client()?
        .json(Request::get(path).query("labelSelector", labels))
        .await?;
    Ok(list["items"]
        .as_array_mut()
        .map(std::mem::take)
        .unwrap_or_default())
}

/// Pods that are likeliest to answer come first: on a node, running, ready, for longest, oldest.
fn sort(pods: &mut [Value]) {
    let rank = |pod: &Value| {
        let unassigned = pod["spec"]["nodeName"]
            .as_str()
            .unwrap_or_default()
            .is_empty();
        let phase = match pod["status"]["phase"].as_str() {
            Some("Running") => 0,
            Some("Unknown") => 1,
            _ => 2,
        };
        let ready = condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
        let since = condition(pod, "Ready")
            .and_then(|c| c["lastTransitionTime"].as_str())
            .unwrap_or_default()
            .to_owned();
        (unassigned, phase, !ready, since)
    };
    pods.sort_by(|a, b| {
        rank(a).cmp(&rank(b)).then_with(|| {
            a["metadata"]["creationTimestamp"]
                .as_str()
                .cmp(&b["metadata"]["creationTimestamp"].as_str())
        })
    });
}

fn condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    pod["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == kind)
}

/// The names of a pod's containers of one list, such as `initContainers`.
pub(crate) fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let containers = pod["spec"][list].as_array();
    containers
        .into_iter()
        .flatten()
        .filter_map(|c| c["name"].as_str())
        .collect()
}

/// The container that is meant: by flag, by the pod's annotation, or the first; with several, says
/// so unless `quiet`.
pub(crate) fn container(pod: &Value, flag: Option<&str>, quiet: bool) -> Result<String> {
    let (containers, init) = (names(pod, "containers"), names(pod, "initContainers"));
    let ephemeral = names(pod, "ephemeralContainers");
    let name = api::meta::name(pod);
    if let Some(wanted) = flag.filter(|c| !c.is_empty()) {
        if containers
            .iter()
            .chain(&init)
            .chain(&ephemeral)
            .any(|c| *c == wanted)
        {
            return Ok(wanted.to_owned());
        }
        let mut all = containers.join(", ");
        for (list, what) in [(&init, "init"), (&ephemeral, "ephem")] {
            if !list.is_empty() {
                let joined: Vec<String> = list.iter().map(|c| format!("{c} ({what})")).collect();
                all = format!("{all}, {}", joined.join(", "));
            }
        }
        return Err(format!("container {wanted} is not valid for pod {name} out of: {all}").into());
    }
    if let Some(chosen) = api::meta::annotation(pod, "kubectl.kubernetes.io/default-container") {
        if containers.contains(&chosen) {
            return Ok(chosen.to_owned());
        }
        note(&format!(
            "Default container name {chosen:?} not found in pod {name}"
        ));
    }
    let first = containers
        .first()
        .ok_or_else(|| format!("pod {name} has no containers"))?;
    if containers.len() + init.len() + ephemeral.len() > 1 && !quiet {
        let mut all: Vec<String> = containers.iter().map(|c| (*c).to_owned()).collect();
        all.extend(init.iter().map(|c| format!("{c} (init)")));
        all.extend(ephemeral.iter().map(|c| format!("{c} (ephem)")));
        note(&format!(
            "Defaulted container {first:?} out of: {}",
            all.join(", ")
        ));
    }
    Ok((*first).to_owned())
}

/// The path of a pod.
pub(crate) fn path(pod: &Value) -> String {
    format!(
        "/api/v1/namespaces/{}/pods/{}",
        api::meta::namespace(pod),
        api::meta::name(pod)
    )
}
