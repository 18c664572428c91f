//! What every controller gets: its client, its recorder of events, and the shared views.

use std::sync::Arc;

use client::events::Recorder;
use client::informer::Watched;
use client::{Informer, Shutdown};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, ServiceAccount};
use kube::runtime::watcher;
use kube::{Api, Resource};
use tokio::task::JoinSet;

use crate::{Config, pods};

/// What every controller gets.
#[derive(Clone)]
pub(crate) struct Context {
    /// Writes under the controller's own identity.
    pub(crate) client: kube::Client,
    /// Records events under the controller's name.
    pub(crate) recorder: Recorder,
    /// What all controllers see.
    pub(crate) views: Arc<Views>,
    pub(crate) config: Arc<Config>,
    pub(crate) shutdown: Shutdown,
}

impl Context {
    /// The objects of a kind in a namespace.
    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// One view of each kind, shared by all controllers.
#[derive(Default)]
pub(crate) struct Views {
    /// Pods, without what [`pods::trim`] drops.
    pub(crate) pods: Informer<Pod>,
    pub(crate) replica_sets: Informer<ReplicaSet>,
    pub(crate) deployments: Informer<Deployment>,
    /// Nodes, without their images.
    pub(crate) nodes: Informer<Node>,
    /// The leases of `kube-node-lease`, by which nodes show that they are alive.
    pub(crate) node_leases: Informer<Lease>,
    pub(crate) namespaces: Informer<Namespace>,
    /// The service accounts named `default`.
    pub(crate) default_accounts: Informer<ServiceAccount>,
    /// The config maps named `kube-root-ca.crt`.
    pub(crate) root_cas: Informer<ConfigMap>,
}

impl Views {
    /// Starts to keep the views up to date.
    pub(crate) fn feed(&self, client: &kube::Client, shutdown: &Shutdown, tasks: &mut JoinSet<()>) {
        let named =
            |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let all = watcher::Config::default;
        let leases = Api::namespaced(client.clone(), "kube-node-lease");
        let mut feed = Feed {
            client,
            shutdown,
            tasks,
        };
        feed.start(&self.pods, feed.all(), all(), pods::trim);
        feed.start(&self.replica_sets, feed.all(), all(), |_| {});
        feed.start(&self.deployments, feed.all(), all(), |_| {});
        feed.start(&self.nodes, feed.all(), all(), trim_node);
        feed.start(&self.node_leases, leases, all(), |_| {});
        feed.start(&self.namespaces, feed.all(), all(), |_| {});
        let name = crate::service_account::NAME;
        feed.start(&self.default_accounts, feed.all(), named(name), |_| {});
        let name = crate::root_ca::NAME;
        feed.start(&self.root_cas, feed.all(), named(name), |_| {});
    }

    /// Returns when every view shows what there was at the start.
    pub(crate) async fn synced(&self) {
        futures::join!(
            self.pods.synced(),
            self.replica_sets.synced(),
            self.deployments.synced(),
            self.nodes.synced(),
            self.node_leases.synced(),
            self.namespaces.synced(),
            self.default_accounts.synced(),
            self.root_cas.synced(),
        );
    }
}

struct Feed<'a> {
    client: &'a kube::Client,
    shutdown: &'a Shutdown,
    tasks: &'a mut JoinSet<()>,
}

impl Feed<'_> {
    fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    fn start<K>(
        &mut self,
        view: &Informer<K>,
        api: Api<K>,
        config: watcher::Config,
        trim: fn(&mut K),
    ) where
        K: Watched + Resource<DynamicType = ()>,
    {
        let run = view.clone().run(api, config, trim, self.shutdown.clone());
        self.tasks.spawn(run);
    }
}

fn trim_node(node: &mut Node) {
    if let Some(status) = &mut node.status {
        status.images = None;
    }
}
