//! The taint eviction controller: deletes the pods of a node that do not tolerate its `NoExecute`
//! taints, at once or when their toleration ends.
//!
//! Watches nodes and pods. The clock of a toleration starts when the taint was added, so a restart
//! does not wind it up again.

pub(crate) mod plan;

use std::time::Duration;

use client::events::Type;
use client::informer::Change;
use client::object::{self, Key};
use client::{Queue, queue};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use crate::{Context, pods};
use plan::{Action, Observed};

/// How many pods are worked on at a time.
const WORKERS: usize = 8;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let queue: Queue<Key> = Queue::default();
    let views = &context.views;
    let keys = queue.clone();
    let nodes = views.nodes.clone();
    views.pods.handle(move |change| {
        let pod = change.object();
        let node = nodes.get("", pods::node_name(pod));
        if node.is_some_and(|node| !taints(&node).is_empty()) {
            keys.add(Key::of(&pod.metadata));
        }
    });
    let keys = queue.clone();
    let all = views.pods.clone();
    views.nodes.handle(move |change| {
        let before = match change {
            Change::Updated(old, _) => taints(old),
            Change::Added(_) => Vec::new(),
            Change::Removed(_) => return,
        };
        let node = change.object();
        if taints(node) == before {
            return;
        }
        let name = node.metadata.name.as_deref().unwrap_or_default();
        for pod in all.list().iter().filter(|pod| pods::node_name(pod) == name) {
            keys.add(Key::of(&pod.metadata));
        }
    });
    let shutdown = context.shutdown.clone();
    queue::work(queue, WORKERS, shutdown, |key| sync(&context, key)).await;
}

/// The taints of a node that drive pods away.
fn taints(node: &Node) -> Vec<k8s_openapi::api::core::v1::Taint> {
    let all = node.spec.as_ref().and_then(|s| s.taints.as_ref());
    let all = all.into_iter().flatten();
    all.filter(|t| t.effect == "NoExecute").cloned().collect()
}

async fn sync(context: &Context, key: Key) -> kube::Result<Option<Duration>> {
    let views = &context.views;
    let Some(pod) = views.pods.get(&key.namespace, &key.name) else {
        return Ok(None);
    };
    let Some(node) = views.nodes.get("", pods::node_name(&pod)) else {
        return Ok(None);
    };
    let observed = Observed {
        pod: (*pod).clone(),
        taints: taints(&node),
        now: Timestamp::now(),
    };
    match plan::plan(&observed) {
        Action::Stay => Ok(None),
        Action::Wait { millis } => Ok(Some(Duration::from_millis(millis))),
        Action::Evict => evict(context, &key, &pod).await.map(|()| None),
    }
}

async fn evict(context: &Context, key: &Key, pod: &Pod) -> kube::Result<()> {
    let text = format!("Marking for deletion Pod {key}");
    context
        .recorder
        .on(pod, Type::Normal, "TaintManagerEviction", text);
    let api: Api<Pod> = context.api(&key.namespace);
    let patch = Patch::Strategic(json!({
        "metadata": {"uid": pod.metadata.uid},
        "status": {"conditions": [{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": object::time(Timestamp::now()),
        }]},
    }));
    let patched = api
        .patch_status(&key.name, &PatchParams::default(), &patch)
        .await;
    let same = Preconditions {
        uid: pod.metadata.uid.clone(),
        resource_version: None,
    };
    let deleted = match patched {
        Ok(_) => {
            let params = DeleteParams::default().preconditions(same);
            api.delete(&key.name, &params).await.map(drop)
        }
        Err(error) => Err(error),
    };
    match deleted {
        Err(error) if object::is_not_found(&error) => Ok(()),
        other => other,
    }
}
