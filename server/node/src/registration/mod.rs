//! The Node object: registered once, its Lease renewed all the time, its status reported on change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::Shutdown;
use client::events::Type;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

pub(crate) mod eviction;
pub(crate) mod facts;
pub(crate) mod status;

use crate::clock::Clock;
use crate::events::Events;
use crate::pod::effects::ImageSource;
use eviction::Thresholds;
use facts::{Facts, Pressure};
use status::Identity;

/// Between renewals of the Lease; the status is looked at as often.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Without a renewal for so long the node counts as gone.
const LEASE_SECONDS: i32 = 40;
/// A status that does not change is reported this often, in seconds.
const REPORT_SECONDS: i64 = 300;
/// Between attempts to register.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(7);

/// Keeps this node's objects.
pub(crate) struct Registration {
    pub(crate) client: kube::Client,
    pub(crate) identity: Identity,
    pub(crate) facts: Facts,
    pub(crate) data: PathBuf,
    pub(crate) thresholds: Thresholds,
    pub(crate) images: Arc<dyn ImageSource>,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
}

impl Registration {
    /// Registers the node; returns when the API server holds it, ready.
    pub(crate) async fn register(&self) -> Node {
        let mut wait = FIRST_WAIT;
        loop {
            match self.try_register().await {
                Ok(node) => return node,
                Err(error) => tracing::warn!(%error, "node not registered, trying again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn try_register(&self) -> kube::Result<Node> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let name = &self.identity.name;
        let node = status::node(&self.identity);
        let created = nodes.create(&PostParams::default(), &node).await;
        let held = match created {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let labels = json!({"metadata": {"labels": status::labels(&self.identity)}});
                let patch = Patch::Strategic(labels);
                nodes.patch(name, &PatchParams::default(), &patch).await?
            }
            other => other?,
        };
        let before = held.status.clone();
        let status = self.status(before.as_ref()).await;
        let node = self.report(&status).await?;
        let was_ready = before.and_then(|s| s.conditions).is_some_and(|conditions| {
            let ready = conditions.iter().find(|c| c.type_ == "Ready");
            ready.is_some_and(|ready| ready.status == "True")
        });
        self.events
            .node(Type::Normal, "Starting", "Starting kubelet.");
        if !was_ready {
            let message = format!("Node {name} status is now: NodeReady");
            self.events.node(Type::Normal, "NodeReady", message);
        }
        Ok(node)
    }

    /// Renews the Lease and reports the status until `shutdown`. `node` is what was registered.
    pub(crate) async fn keep(self, node: Node, shutdown: Shutdown) {
        let mut held = node.status.clone().unwrap_or_default();
        let mut reported = self.clock.now();
        let mut ticks = tokio::time::interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopped = std::pin::pin!(client::stopped(&shutdown));
        loop {
            tokio::select! {
                () = &mut stopped => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.renew(&node).await {
                tracing::warn!(%error, "lease not renewed");
            }
            let status = self.status(Some(&held)).await;
            let now = self.clock.now();
            let due = now.duration_since(reported).as_secs() >= REPORT_SECONDS;
            if !due && !status::differs(&held, &status) {
                continue;
            }
            match self.report(&status).await {
                Ok(_) => (held, reported) = (status, now),
                Err(kube::Error::Api(gone)) if gone.code == 404 => {
                    self.register().await;
                }
                Err(error) => tracing::warn!(%error, "node status not reported"),
            }
        }
    }

    async fn status(&self, old: Option<&NodeStatus>) -> NodeStatus {
        let images = self.images.clone();
        let (data, thresholds) = (self.data.clone(), self.thresholds.clone());
        // Both read files.
        let read =
            tokio::task::spawn_blocking(move || (images.all(), Pressure::read(&data, &thresholds)));
        let (images, pressure) = read.await.unwrap_or_default();
        let now = self.clock.now();
        let allocatable = status::Allocatable::new(&self.facts, &self.thresholds);
        let machine = (&self.facts, allocatable);
        status::status(&self.identity, machine, pressure, &images, old, now)
    }

    /// A taint or condition of somebody else stays; lists of ours are replaced whole.
    async fn report(&self, status: &NodeStatus) -> kube::Result<Node> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let patch = Patch::Strategic(json!({"status": status}));
        let params = PatchParams::default();
        nodes
            .patch_status(&self.identity.name, &params, &patch)
            .await
    }

    async fn renew(&self, node: &Node) -> kube::Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "kube-node-lease");
        let name = &self.identity.name;
        let now = MicroTime(self.clock.now());
        let patch = Patch::Merge(json!({"spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
        }}));
        let renewed = leases.patch(name, &PatchParams::default(), &patch).await;
        match renewed {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => return other.map(drop),
        }
        let lease = lease(node, self.clock.now());
        leases.create(&PostParams::default(), &lease).await?;
        Ok(())
    }
}

/// The node's Lease, which goes with its Node.
fn lease(node: &Node, now: Timestamp) -> Lease {
    let name = node.metadata.name.clone().unwrap_or_default();
    Lease {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some("kube-node-lease".to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: name.clone(),
                uid: node.metadata.uid.clone().unwrap_or_default(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
    }
}
