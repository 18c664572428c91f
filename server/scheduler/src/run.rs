//! The loop: takes changes in, schedules what waits, and tells the server.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use client::Shutdown;
use client::events::{Recorder, Type};
use client::object;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cycle::{Cycle, fits};
use crate::node::Offer;
use crate::pod::{self, Footprint, PodInfo, Verdict};
use crate::queue::Queue;

/// How many bindings are on their way at a time.
const BINDINGS: usize = 128;
/// The reason of the condition of a pod without a possible node.
const UNSCHEDULABLE: &str = "Unschedulable";

/// What has become of a binding.
struct Bound {
    pod: Arc<PodInfo>,
    node: String,
    result: kube::Result<()>,
}

struct Scheduler {
    client: kube::Client,
    recorder: Recorder,
    queue: Queue,
    cluster: Cluster,
    cycle: Cycle,
    bindings: JoinSet<Bound>,
    /// What a list that is under way has shown so far.
    listed_pods: HashSet<String>,
    listed_nodes: HashSet<String>,
    pods_synced: bool,
    nodes_synced: bool,
}

/// Schedules pods until `shutdown`, as `client`'s identity, usually `system:kube-scheduler`.
pub async fn run(client: kube::Client, shutdown: Shutdown) {
    let running = "status.phase!=Succeeded,status.phase!=Failed";
    let config = watcher::Config::default();
    let mut pods = watch::<Pod>(&client, config.clone().fields(running));
    let mut nodes = watch::<Node>(&client, config);
    let stop = client::stopped(&shutdown);
    let mut stop = std::pin::pin!(stop);
    let mut scheduler = Scheduler {
        recorder: Recorder::new(client.clone(), "default-scheduler", ""),
        client,
        queue: Queue::default(),
        cluster: Cluster::default(),
        cycle: Cycle::default(),
        bindings: JoinSet::new(),
        listed_pods: HashSet::new(),
        listed_nodes: HashSet::new(),
        pods_synced: false,
        nodes_synced: false,
    };
    loop {
        let ready = scheduler.is_ready();
        let due = scheduler.queue.next_due();
        tokio::select! {
            biased;
            () = &mut stop => return,
            Some(Ok(bound)) = scheduler.bindings.join_next(), if !scheduler.bindings.is_empty() => {
                scheduler.on_bound(bound);
            }
            Some(event) = nodes.next() => scheduler.on_node(event),
            Some(event) = pods.next() => scheduler.on_pod(event),
            () = std::future::ready(()), if ready && scheduler.queue.has_active() => {
                scheduler.schedule_next();
            }
            () = until(due), if ready && due.is_some() => scheduler.schedule_next(),
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The changes of a kind, for ever.
fn watch<K>(client: &kube::Client, config: watcher::Config) -> BoxStream<'static, watcher::Event<K>>
where
    K: client::informer::Watched + kube::Resource<DynamicType = ()>,
{
    let events = watcher(Api::<K>::all(client.clone()), config);
    let events = events.backoff(client::informer::backoff());
    let events = events.inspect_err(|error| tracing::debug!(%error, "watch failed"));
    events.filter_map(async |event| event.ok()).boxed()
}

impl Scheduler {
    /// Whether both kinds are known, and bindings don't pile up.
    fn is_ready(&self) -> bool {
        self.pods_synced && self.nodes_synced && self.bindings.len() < BINDINGS
    }

    fn on_pod(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Apply(pod) => self.set_pod(&pod),
            watcher::Event::Delete(pod) => self.remove_pod(object::uid(&pod.metadata)),
            watcher::Event::Init => self.listed_pods.clear(),
            watcher::Event::InitApply(pod) => {
                self.listed_pods
                    .insert(object::uid(&pod.metadata).to_owned());
                self.set_pod(&pod);
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(&mut self.listed_pods);
                let known = self.cluster.placed().into_iter().chain(self.queue.uids());
                let gone: Vec<String> = known.filter(|uid| !listed.contains(uid)).collect();
                for uid in gone {
                    self.remove_pod(&uid);
                }
                self.pods_synced = true;
            }
        }
    }

    fn set_pod(&mut self, pod: &Pod) {
        let uid = object::uid(&pod.metadata);
        let node = pod::node_of(pod);
        if pod::has_ended(pod) {
            self.remove_pod(uid);
        } else if !node.is_empty() {
            self.queue.remove(uid);
            let before = self.cluster.node_of(uid).map(str::to_owned);
            self.cluster.place(uid, node, Footprint::of(pod));
            if before.is_some_and(|before| before != node) {
                // Somebody else has bound it elsewhere; the room it was to have is free again.
                self.wake_all();
            }
        } else if pod::is_waiting(pod) {
            // A pod whose binding is on its way still looks like this.
            if self.cluster.node_of(uid).is_none() {
                self.queue.add(PodInfo::of(pod), Instant::now());
            }
        } else {
            self.queue.remove(uid);
        }
    }

    fn remove_pod(&mut self, uid: &str) {
        self.queue.remove(uid);
        if let Some(node) = self.cluster.unplace(uid) {
            self.wake_for(&node);
        }
    }

    fn on_node(&mut self, event: watcher::Event<Node>) {
        match event {
            watcher::Event::Apply(node) => self.set_node(&node),
            watcher::Event::Delete(node) => {
                let name = node.metadata.name.unwrap_or_default();
                self.cluster.remove_node(&name);
            }
            watcher::Event::Init => self.listed_nodes.clear(),
            watcher::Event::InitApply(node) => {
                self.listed_nodes
                    .insert(node.metadata.name.clone().unwrap_or_default());
                self.set_node(&node);
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(&mut self.listed_nodes);
                let known = self.cluster.nodes().iter().map(|node| node.name.clone());
                let gone: Vec<String> = known.filter(|name| !listed.contains(name)).collect();
                for name in gone {
                    self.cluster.remove_node(&name);
                }
                self.nodes_synced = true;
            }
        }
    }

    fn set_node(&mut self, node: &Node) {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        if self.cluster.set_node(name, Offer::of(node)) {
            self.wake_for(name);
        }
    }

    /// Wakes the pods that a node would take as it is now.
    fn wake_for(&mut self, node: &str) {
        if let Some(node) = self.cluster.node(node) {
            self.queue.wake(Instant::now(), |pod| fits(pod, node));
        }
    }

    fn wake_all(&mut self) {
        self.queue.wake(Instant::now(), |_| true);
    }

    fn schedule_next(&mut self) {
        let Some(pod) = self.queue.pop(Instant::now()) else {
            return;
        };
        match self.cycle.choose(&pod, &self.cluster) {
            Ok(node) => {
                let node = node.to_owned();
                self.cluster.place(&pod.uid, &node, pod.footprint.clone());
                let binding = bind(self.client.clone(), pod, node);
                self.bindings.spawn(binding);
            }
            Err(reason) => {
                self.queue.unschedulable(&pod.uid, Instant::now());
                self.report(&pod, reason.message);
            }
        }
    }

    fn on_bound(&mut self, bound: Bound) {
        let Bound { pod, node, result } = bound;
        match result {
            Ok(()) => {
                self.queue.remove(&pod.uid);
                let text = format!("Successfully assigned {} to {node}", pod.key);
                self.recorder
                    .event(&reference(&pod), Type::Normal, "Scheduled", text);
            }
            Err(error) => {
                tracing::debug!(pod = %pod.key, %node, %error, "not bound");
                if !self.queue.contains(&pod.uid) {
                    // The watch has already shown that it is bound, or gone.
                    return;
                }
                self.cluster.unplace(&pod.uid);
                if object::is_not_found(&error) {
                    self.queue.remove(&pod.uid);
                } else {
                    self.queue.failed(&pod.uid, Instant::now());
                }
                self.wake_for(&node);
            }
        }
    }

    /// Tells the user why a pod has no node: an event each time, the condition when it changes.
    fn report(&mut self, pod: &PodInfo, message: String) {
        let reference = reference(pod);
        self.recorder.event(
            &reference,
            Type::Warning,
            "FailedScheduling",
            message.clone(),
        );
        let verdict = Verdict {
            reason: UNSCHEDULABLE.to_owned(),
            message,
        };
        if pod.verdict.as_ref() == Some(&verdict) {
            return;
        }
        self.queue.set_verdict(&pod.uid, verdict.clone());
        let client = self.client.clone();
        let (key, uid, generation) = (pod.key.clone(), pod.uid.clone(), pod.generation);
        tokio::spawn(async move {
            let pods: Api<Pod> = Api::namespaced(client, &key.namespace);
            let patch = Patch::Strategic(json!({
                "metadata": {"uid": uid},
                "status": {"conditions": [{
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": verdict.reason,
                    "message": verdict.message,
                    "observedGeneration": generation,
                    "lastProbeTime": null,
                    "lastTransitionTime": object::time(Timestamp::now()),
                }]},
            }));
            let patched = pods
                .patch_status(&key.name, &PatchParams::default(), &patch)
                .await;
            if let Err(error) = patched {
                tracing::debug!(pod = %key, %error, "condition not written");
            }
        });
    }
}

async fn bind(client: kube::Client, pod: Arc<PodInfo>, node: String) -> Bound {
    let pods: Api<Pod> = Api::namespaced(client, &pod.key.namespace);
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(pod.key.name.clone()),
            namespace: Some(pod.key.namespace.clone()),
            uid: Some(pod.uid.clone()),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.clone()),
            ..ObjectReference::default()
        },
    };
    let params = PostParams::default();
    let bound = pods.create_subresource::<_, serde_json::Value>(
        "binding",
        &pod.key.name,
        &params,
        &binding,
    );
    let result = match tokio::time::timeout(Duration::from_secs(60), bound).await {
        Ok(result) => result.map(drop),
        Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
    };
    Bound { pod, node, result }
}

fn reference(pod: &PodInfo) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.key.namespace.clone()),
        name: Some(pod.key.name.clone()),
        uid: Some(pod.uid.clone()),
        resource_version: Some(pod.resource_version.clone()),
        ..ObjectReference::default()
    }
}
