//! The controllers of the control plane: each brings what is there nearer to what is asked for.
//!
//! A controller is a folder: `mod.rs` says what it watches and does what its plan says; `plan.rs` is
//! pure, from what is observed to what is to be done, and tested with data. All controllers share one
//! view of each kind; each writes under its own identity.

mod context;
mod deployment;
mod discovery;
mod expectations;
mod garbage_collector;
mod namespace;
mod node_lifecycle;
mod ownership;
mod pod_gc;
mod pods;
mod replicaset;
mod root_ca;
mod service_account;
mod status;
mod taint_eviction;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use client::Shutdown;
use futures::future::BoxFuture;

pub(crate) use context::{Context, Views};

/// The identity that reads for all controllers.
pub const IDENTITY: &str = "system:kube-controller-manager";

/// What the controllers can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The certificate authority that pods verify the API server with, published to every namespace.
    pub root_ca_pem: String,
    /// How long a node may be silent before it counts as gone.
    pub node_monitor_grace: std::time::Duration,
    /// How many ended pods are kept.
    pub terminated_pods_kept: usize,
}

impl Config {
    /// kube-controller-manager's defaults: 40 s and 12,500 pods.
    pub fn new(root_ca_pem: impl Into<String>) -> Self {
        Self {
            root_ca_pem: root_ca_pem.into(),
            node_monitor_grace: std::time::Duration::from_secs(40),
            terminated_pods_kept: 12_500,
        }
    }
}

/// A controller: whose identity it has, what its events are signed with, and what it does.
struct Controller {
    /// The service account in `kube-system` that it acts as.
    account: &'static str,
    /// The source of its events.
    component: &'static str,
    run: fn(Context) -> BoxFuture<'static, ()>,
}

/// Every controller: a line each.
#[rustfmt::skip]
const CONTROLLERS: &[Controller] = &[
    Controller { account: "deployment-controller", component: "deployment-controller", run: |c| Box::pin(deployment::run(c)) },
    Controller { account: "generic-garbage-collector", component: "garbage-collector-controller", run: |c| Box::pin(garbage_collector::run(c)) },
    Controller { account: "namespace-controller", component: "namespace-controller", run: |c| Box::pin(namespace::run(c)) },
    Controller { account: "node-controller", component: "node-controller", run: |c| Box::pin(node_lifecycle::run(c)) },
    Controller { account: "pod-garbage-collector", component: "pod-garbage-collector", run: |c| Box::pin(pod_gc::run(c)) },
    Controller { account: "replicaset-controller", component: "replicaset-controller", run: |c| Box::pin(replicaset::run(c)) },
    Controller { account: "root-ca-cert-publisher", component: "root-ca-certificate-publisher-controller", run: |c| Box::pin(root_ca::run(c)) },
    Controller { account: "service-account-controller", component: "serviceaccount-controller", run: |c| Box::pin(service_account::run(c)) },
    Controller { account: "node-controller", component: "taint-eviction-controller", run: |c| Box::pin(taint_eviction::run(c)) },
];

/// Runs all controllers until `shutdown`. `clients` gives a client for each identity: the service
/// accounts `system:serviceaccount:kube-system:...` that RBAC knows, and [`IDENTITY`].
pub async fn run(clients: impl Fn(&str) -> kube::Client, config: Config, shutdown: Shutdown) {
    let views = Arc::new(Views::default());
    let config = Arc::new(config);
    let mut tasks = tokio::task::JoinSet::new();
    views.feed(&clients(IDENTITY), &shutdown, &mut tasks);
    // Controllers start on complete views: what is not listed yet would look as if it were gone.
    let controllers: &[Controller] = tokio::select! {
        () = views.synced() => CONTROLLERS,
        () = client::stopped(&shutdown) => &[],
    };
    for controller in controllers {
        let client = clients(&format!(
            "system:serviceaccount:kube-system:{}",
            controller.account
        ));
        let recorder = client::events::Recorder::new(client.clone(), controller.component, "");
        let context = Context {
            client,
            recorder,
            views: Arc::clone(&views),
            config: Arc::clone(&config),
            shutdown: shutdown.clone(),
        };
        tasks.spawn((controller.run)(context));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a controller has failed");
        }
    }
}
