//! The pod garbage collector: deletes pods that nobody else will.
//!
//! Watches pods and nodes. Pods of a node that is gone are deleted after a quarantine, in which a
//! node that was only registered again comes back; so are pods that were deleted before they had a
//! node, and the oldest of too many that have ended.

pub(crate) mod plan;

use std::time::Duration;

use client::informer::Change;
use client::object::{self, Key};
use client::{Queue, queue};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use crate::{Context, pods};
use plan::{Candidate, Observed, Reason};

/// How long a node's pods outlive it.
const QUARANTINE: Duration = Duration::from_secs(40);
/// How soon after a pod has ended the ended ones are counted: a burst is counted once.
const COUNT_DELAY: Duration = Duration::from_secs(20);
/// The queue's only key: all pods are looked at together.
const ALL: &str = "all pods";

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let queue: Queue<&'static str> = Queue::default();
    let views = &context.views;
    let keys = queue.clone();
    let nodes = views.nodes.clone();
    views.pods.handle(move |change| {
        if let Some(delay) = interest(change, &nodes) {
            keys.add_after(ALL, delay);
        }
    });
    let keys = queue.clone();
    views.nodes.handle(move |change| {
        if matches!(change, Change::Removed(_)) {
            keys.add_after(ALL, QUARANTINE);
        }
    });
    let shutdown = context.shutdown.clone();
    queue::work(queue, 1, shutdown, |_| sync(&context)).await;
}

/// When to look at all pods because of a change of one.
fn interest(change: &Change<Pod>, nodes: &client::Informer<Node>) -> Option<Duration> {
    let pod = match change {
        Change::Added(pod) | Change::Updated(_, pod) => pod,
        Change::Removed(_) => return None,
    };
    let node = pods::node_name(pod);
    if node.is_empty() {
        let going = pod.metadata.deletion_timestamp.is_some();
        return going.then_some(Duration::ZERO);
    }
    if nodes.get("", node).is_none() {
        return Some(QUARANTINE);
    }
    pods::is_terminal(pod).then_some(COUNT_DELAY)
}

async fn sync(context: &Context) -> kube::Result<Option<Duration>> {
    let views = &context.views;
    let all = views.pods.list();
    let mut missing: Vec<String> = Vec::new();
    let nodes: Api<Node> = Api::all(context.client.clone());
    for pod in &all {
        let node = pods::node_name(pod);
        let known = node.is_empty() || views.nodes.get("", node).is_some();
        if known || missing.iter().any(|m| m == node) {
            continue;
        }
        // The view may lag; the server is asked before anything is lost.
        if nodes.get_metadata_opt(node).await?.is_none() {
            missing.push(node.to_owned());
        }
    }
    let observed = Observed {
        pods: all.iter().map(|pod| Candidate::of(pod)).collect(),
        missing_nodes: missing,
        keep: context.config.terminated_pods_kept,
    };
    for victim in plan::plan(&observed) {
        delete(context, &victim.key(), &victim.uid, victim.reason).await?;
    }
    Ok(None)
}

async fn delete(context: &Context, key: &Key, uid: &str, reason: Reason) -> kube::Result<()> {
    let api: Api<Pod> = context.api(&key.namespace);
    if reason == Reason::NodeGone {
        let patch = Patch::Strategic(json!({
            "metadata": {"uid": uid},
            "status": {"phase": "Failed", "conditions": [{
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": "PodGC: node no longer exists",
                "lastTransitionTime": object::time(Timestamp::now()),
            }]},
        }));
        let view = context.views.pods.get(&key.namespace, &key.name);
        if view.is_some_and(|pod| !pods::is_terminal(&pod)) {
            match api
                .patch_status(&key.name, &PatchParams::default(), &patch)
                .await
            {
                Err(error) if object::is_not_found(&error) => return Ok(()),
                other => drop(other?),
            }
        }
    }
    let params = DeleteParams::default()
        .grace_period(0)
        .preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
    match api.delete(&key.name, &params).await {
        Err(error) if object::is_not_found(&error) => Ok(()),
        other => other.map(drop),
    }
}
