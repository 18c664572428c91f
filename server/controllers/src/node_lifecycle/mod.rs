//! The node lifecycle controller: notices nodes that no longer report, and taints nodes by what they
//! report.
//!
//! Watches nodes and their leases. A node is alive when its lease is renewed or its status changes.
//! Ages are measured by this machine's clock from the moment a sign of life was seen, so clocks of
//! nodes don't matter. No ticks: each node is looked at again when its grace would be over.

pub(crate) mod plan;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::events::Type;
use client::informer::Change;
use client::object;
use client::{Queue, queue};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use crate::{Context, pods};
use plan::{Observed, Plan};

/// How many nodes are worked on at a time.
const WORKERS: usize = 4;

#[derive(Clone)]
struct Controller {
    context: Context,
    queue: Queue<String>,
    /// When each node last gave a sign of life.
    seen: Arc<Mutex<HashMap<String, Instant>>>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let controller = Controller {
        context,
        queue: Queue::default(),
        seen: Arc::default(),
    };
    controller.watch();
    let shutdown = controller.context.shutdown.clone();
    let queue = controller.queue.clone();
    queue::work(queue, WORKERS, shutdown, |name| controller.sync(name)).await;
}

impl Controller {
    fn watch(&self) {
        let this = self.clone();
        self.context
            .views
            .nodes
            .handle(move |change| this.on_node(change));
        let this = self.clone();
        self.context
            .views
            .node_leases
            .handle(move |change| this.on_lease(change));
    }

    fn on_node(&self, change: &Change<Node>) {
        let node = change.object();
        let name = node.metadata.name.clone().unwrap_or_default();
        let recorder = &self.context.recorder;
        match change {
            Change::Added(_) => {
                self.seen.lock().insert(name.clone(), Instant::now());
                let text = format!("Node {name} event: Registered Node {name} in Controller");
                recorder.on(&**node, Type::Normal, "RegisteredNode", text);
            }
            Change::Updated(old, new) => {
                // Its own writes of Unknown are no sign of life.
                if heartbeat(old) < heartbeat(new) {
                    self.seen.lock().insert(name.clone(), Instant::now());
                }
            }
            Change::Removed(_) => {
                self.seen.lock().remove(&name);
                let text = format!("Node {name} event: Removing Node {name} from Controller");
                recorder.on(&**node, Type::Normal, "RemovingNode", text);
            }
        }
        self.queue.add(name);
    }

    fn on_lease(&self, change: &Change<Lease>) {
        let lease = change.object();
        let name = lease.metadata.name.clone().unwrap_or_default();
        let renewed = match change {
            Change::Updated(old, new) => renew_time(old) != renew_time(new),
            Change::Added(_) => false,
            Change::Removed(_) => return,
        };
        let mut seen = self.seen.lock();
        if let Some(at) = seen.get_mut(&name).filter(|_| renewed) {
            // The node is looked at when its grace would be over; if it was silent, it is now.
            let silent = at.elapsed() >= self.context.config.node_monitor_grace;
            *at = Instant::now();
            if silent {
                self.queue.add(name);
            }
        }
    }

    async fn sync(&self, name: String) -> kube::Result<Option<Duration>> {
        let views = &self.context.views;
        let Some(node) = views.nodes.get("", &name) else {
            return Ok(None);
        };
        let silent = self
            .seen
            .lock()
            .get(&name)
            .map_or(Duration::ZERO, Instant::elapsed);
        let observed = Observed {
            node: (*node).clone(),
            // Ages of a running process fit.
            silent: SignedDuration::try_from(silent).unwrap_or(SignedDuration::MAX),
            grace: SignedDuration::try_from(self.context.config.node_monitor_grace)
                .unwrap_or(SignedDuration::MAX),
            now: Timestamp::now(),
        };
        let plan = plan::plan(&observed);
        self.perform(&name, &node, &plan).await?;
        Ok(plan.again_in_millis.map(Duration::from_millis))
    }

    async fn perform(&self, name: &str, node: &Node, plan: &Plan) -> kube::Result<()> {
        let nodes: Api<Node> = Api::all(self.context.client.clone());
        let params = PatchParams::default();
        if !plan.conditions.is_empty() {
            let patch = json!({"status": {"conditions": plan.conditions}});
            let patched = nodes
                .patch_status(name, &params, &Patch::Strategic(patch))
                .await;
            if ignore_gone(patched)?.is_some() && plan.became_not_ready {
                let text = format!("Node {name} status is now: NodeNotReady");
                self.context
                    .recorder
                    .on(node, Type::Normal, "NodeNotReady", text);
            }
        }
        if let Some(taints) = &plan.taints {
            let mut patch = json!({"spec": {"taints": taints}});
            if plan.conditions.is_empty() {
                patch["metadata"]["resourceVersion"] = json!(node.metadata.resource_version);
            }
            ignore_gone(nodes.patch(name, &params, &Patch::Merge(patch)).await)?;
        }
        if plan.pods_not_ready {
            self.mark_pods_not_ready(name).await?;
        }
        Ok(())
    }

    /// Nobody can say that the pods of a silent node are ready.
    async fn mark_pods_not_ready(&self, node: &str) -> kube::Result<()> {
        let all = self.context.views.pods.list();
        let here = all
            .iter()
            .filter(|pod| pods::node_name(pod) == node && pods::is_ready(pod));
        for pod in here {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let api: Api<Pod> = self.context.api(namespace);
            let condition = json!({
                "type": "Ready", "status": "False",
                "lastTransitionTime": object::time(Timestamp::now()),
            });
            let patch = Patch::Strategic(json!({
                "metadata": {"uid": pod.metadata.uid},
                "status": {"conditions": [condition]},
            }));
            let patched = api
                .patch_status(name, &PatchParams::default(), &patch)
                .await;
            if ignore_gone(patched)?.is_some() {
                let recorder = &self.context.recorder;
                recorder.on(&**pod, Type::Warning, "NodeNotReady", "Node is not ready");
            }
        }
        Ok(())
    }
}

fn ignore_gone<T>(result: kube::Result<T>) -> kube::Result<Option<T>> {
    match result {
        Err(error) if object::is_not_found(&error) => Ok(None),
        other => other.map(Some),
    }
}

fn renew_time(lease: &Lease) -> Option<Timestamp> {
    let spec = lease.spec.as_ref()?;
    spec.renew_time.as_ref().map(|t| t.0)
}

/// The latest heartbeat in a node's conditions.
fn heartbeat(node: &Node) -> Option<Timestamp> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let times = conditions
        .iter()
        .filter_map(|c| c.last_heartbeat_time.as_ref());
    times.map(|t| t.0).max()
}
