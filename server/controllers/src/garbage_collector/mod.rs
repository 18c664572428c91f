//! The garbage collector: deletes objects whose owners are gone, and carries out what `DELETE` was
//! told about dependents (`propagationPolicy`).
//!
//! Watches the metadata of all kinds that the server has, but for Events. Kinds that appear later are
//! found when an owner reference names one.

mod graph;
pub(crate) mod plan;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use client::object::{self, uid};
use client::{Queue, queue};
use futures::TryStreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;

use crate::Context;
use crate::discovery::{self, Kind};
use graph::{FOREGROUND, Graph, Node, ORPHAN};
use plan::{Action, Dependent, Observed, Owner, Propagation};

/// How many objects are worked on at a time.
const WORKERS: usize = 20;
/// How soon the kinds are asked for again when the server does not answer.
const DISCOVERY_RETRY: Duration = Duration::from_secs(2);

/// Why an object could not be dealt with.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Server(#[from] kube::Error),
    #[error("owner {name} is of the unknown kind {kind} in {api_version}")]
    UnknownKind {
        api_version: String,
        kind: String,
        name: String,
    },
}

#[derive(Clone)]
struct Controller {
    context: Context,
    queue: Queue<String>,
    kinds: Arc<Vec<Kind>>,
    graph: Arc<Mutex<Graph>>,
    /// How many kinds have not been listed yet.
    unlisted: Arc<watch::Sender<usize>>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let shutdown = context.shutdown.clone();
    let Some(kinds) = kinds(&context).await else {
        return;
    };
    let controller = Controller {
        context,
        queue: Queue::default(),
        unlisted: Arc::new(watch::Sender::new(kinds.len())),
        kinds: Arc::new(kinds),
        graph: Arc::default(),
    };
    let watches = (0..controller.kinds.len()).map(|kind| controller.clone().watch(kind));
    let work = async {
        let mut unlisted = controller.unlisted.subscribe();
        tokio::select! {
            // The sender lives in `controller`.
            _ = unlisted.wait_for(|n| *n == 0) => {}
            () = client::stopped(&shutdown) => return,
        }
        for uid in controller.graph.lock().owned() {
            controller.queue.add(uid);
        }
        let queue = controller.queue.clone();
        queue::work(queue, WORKERS, shutdown, |uid| controller.sync(uid)).await;
    };
    futures::join!(futures::future::join_all(watches), work);
}

/// The kinds to watch, once the server answers; `None` at shutdown.
async fn kinds(context: &Context) -> Option<Vec<Kind>> {
    loop {
        match discovery::kinds(&context.client).await {
            Ok(kinds) => {
                let watched = |k: &Kind| k.watchable && k.resource.kind != "Event";
                return Some(kinds.into_iter().filter(watched).collect());
            }
            Err(error) => tracing::debug!(%error, "the kinds are not known yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(DISCOVERY_RETRY) => {}
            () = client::stopped(&context.shutdown) => return None,
        }
    }
}

impl Controller {
    async fn watch(self, kind: usize) {
        let resource = &self.kinds[kind].resource;
        let client = self.context.client.clone();
        let objects: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, resource);
        let events = watcher(objects, watcher::Config::default());
        let events = events.backoff(client::informer::backoff());
        let mut events = std::pin::pin!(events);
        let mut listed: HashSet<String> = HashSet::new();
        let mut first = true;
        let stop = client::stopped(&self.context.shutdown);
        let mut stop = std::pin::pin!(stop);
        loop {
            let event = tokio::select! {
                event = events.try_next() => event,
                () = &mut stop => return,
            };
            match event {
                Ok(Some(watcher::Event::Apply(object))) => self.apply(kind, &object.metadata),
                Ok(Some(watcher::Event::Delete(object))) => self.remove(uid(&object.metadata)),
                Ok(Some(watcher::Event::Init)) => listed.clear(),
                Ok(Some(watcher::Event::InitApply(object))) => {
                    listed.insert(uid(&object.metadata).to_owned());
                    self.apply(kind, &object.metadata);
                }
                Ok(Some(watcher::Event::InitDone)) => {
                    let known = self.graph.lock().of_kind(kind);
                    for gone in known.iter().filter(|uid| !listed.contains(*uid)) {
                        self.remove(gone);
                    }
                    listed = HashSet::new();
                    if std::mem::take(&mut first) {
                        self.unlisted.send_modify(|n| *n -= 1);
                    }
                }
                Ok(None) => return,
                Err(error) => tracing::debug!(kind = resource.kind, %error, "watch failed"),
            }
        }
    }

    fn apply(&self, kind: usize, meta: &ObjectMeta) {
        let changed = self.graph.lock().apply(uid(meta), Node::of(kind, meta));
        self.look_at(changed);
    }

    fn remove(&self, uid: &str) {
        let changed = self.graph.lock().remove(uid);
        self.look_at(changed);
    }

    /// Queues what may need something. Most objects have no owner and stay.
    fn look_at(&self, uids: Vec<String>) {
        let graph = self.graph.lock();
        for uid in uids {
            let node = graph.get(&uid);
            if node.is_some_and(|n| !n.owners.is_empty() || n.foreground || n.orphans) {
                self.queue.add(uid);
            }
        }
    }

    fn api(&self, node: &Node) -> Api<DynamicObject> {
        let kind = &self.kinds[node.kind];
        self.api_of(kind, &node.key.namespace)
    }

    fn api_of(&self, kind: &Kind, namespace: &str) -> Api<DynamicObject> {
        let client = self.context.client.clone();
        match kind.namespaced {
            true => Api::namespaced_with(client, namespace, &kind.resource),
            false => Api::all_with(client, &kind.resource),
        }
    }

    async fn sync(&self, uid: String) -> Result<Option<Duration>, Error> {
        let node = self.graph.lock().get(&uid).cloned();
        let Some(node) = node else {
            return Ok(None);
        };
        if node.deleting && !node.foreground && !node.orphans {
            return Ok(None);
        }
        let objects = self.api(&node);
        // What is deleted is decided on the object as it is, not as a view remembers it.
        let live = objects.get_metadata_opt(&node.key.name).await?;
        let Some(live) = live.filter(|live| object::uid(&live.metadata) == uid) else {
            self.remove(&uid);
            return Ok(None);
        };
        let now = Node::of(node.kind, &live.metadata);
        let observed = self.observe(&uid, &now).await?;
        self.perform(&objects, &live.metadata, &now, plan::plan(&observed))
            .await?;
        Ok(None)
    }

    async fn observe(&self, uid: &str, node: &Node) -> Result<Observed, Error> {
        let mut owners = Vec::new();
        if !node.deleting {
            for owner in &node.owners {
                let state = self.state(owner, node).await?;
                owners.push((owner.clone(), state));
            }
        }
        let dependents = self.graph.lock().dependents(uid);
        let dependents = dependents.into_iter().map(|(dependent, other)| Dependent {
            uid: dependent,
            blocks: other
                .owners
                .iter()
                .any(|o| o.uid == uid && o.block_owner_deletion == Some(true)),
            foreground: other.foreground,
            deleting: other.deleting,
        });
        Ok(Observed {
            deleting: node.deleting,
            foreground: node.foreground,
            orphans: node.orphans,
            owners,
            dependents: dependents.collect(),
        })
    }

    /// What an owner reference points to. The view is believed when it shows the owner, the server
    /// is asked when it doesn't.
    async fn state(&self, owner: &OwnerReference, node: &Node) -> Result<Owner, Error> {
        if let Some(known) = self.graph.lock().get(&owner.uid) {
            return Ok(match known.foreground {
                true => Owner::Waiting,
                false => Owner::Present,
            });
        }
        let found = match self.kind_of(owner) {
            Some(kind) => kind.clone(),
            None => self.discover(owner).await?,
        };
        if found.namespaced && node.key.namespace.is_empty() {
            // A cluster-scoped object can't be owned by a namespaced one: nothing is deleted for it.
            return Ok(Owner::Present);
        }
        let objects = self.api_of(&found, &node.key.namespace);
        let live = objects.get_metadata_opt(&owner.name).await?;
        let live = live.filter(|live| object::uid(&live.metadata) == owner.uid);
        Ok(match live {
            None => Owner::Gone,
            Some(live) if Node::of(0, &live.metadata).foreground => Owner::Waiting,
            Some(_) => Owner::Present,
        })
    }

    /// The kind that a reference names; any version of its group will do.
    fn kind_of(&self, owner: &OwnerReference) -> Option<&Kind> {
        self.kinds.iter().find(|kind| names(owner, kind))
    }

    async fn discover(&self, owner: &OwnerReference) -> Result<Kind, Error> {
        let kinds = discovery::kinds(&self.context.client).await?;
        let found = kinds.into_iter().find(|kind| names(owner, kind));
        found.ok_or_else(|| Error::UnknownKind {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
        })
    }

    async fn perform(
        &self,
        objects: &Api<DynamicObject>,
        live: &ObjectMeta,
        node: &Node,
        action: Action,
    ) -> Result<(), Error> {
        match action {
            Action::Nothing => {}
            Action::Press(dependents) => {
                for dependent in dependents {
                    self.queue.add(dependent);
                }
            }
            Action::Finish => drop_finalizer(objects, live, FOREGROUND).await?,
            Action::LetGo(dependents) => {
                for dependent in dependents {
                    self.disown(&dependent, &[uid(live).to_owned()]).await?;
                }
                drop_finalizer(objects, live, ORPHAN).await?;
            }
            Action::Disown(owners) => self.disown(uid(live), &owners).await?,
            Action::Delete {
                propagation,
                unblock,
            } => {
                if unblock {
                    unblock_owners(objects, live).await?;
                }
                delete(objects, live, node, propagation, unblock).await?;
            }
        }
        Ok(())
    }

    /// Removes owners from an object, if it is still there.
    async fn disown(&self, dependent: &str, owners: &[String]) -> kube::Result<()> {
        let node = self.graph.lock().get(dependent).cloned();
        let Some(node) = node else {
            return Ok(());
        };
        let objects = self.api(&node);
        let Some(live) = objects.get_metadata_opt(&node.key.name).await? else {
            return Ok(());
        };
        if uid(&live.metadata) != dependent {
            return Ok(());
        }
        let references = live.metadata.owner_references.clone().unwrap_or_default();
        let kept: Vec<_> = references
            .iter()
            .filter(|o| !owners.contains(&o.uid))
            .collect();
        if kept.len() == references.len() {
            return Ok(());
        }
        let patch = json!({"metadata": {
            "ownerReferences": kept,
            "resourceVersion": live.metadata.resource_version,
        }});
        merge(&objects, &live.metadata, patch).await
    }
}

/// Whether a reference names a kind.
fn names(owner: &OwnerReference, kind: &Kind) -> bool {
    let group = owner
        .api_version
        .rsplit_once('/')
        .map_or("", |(group, _)| group);
    kind.resource.kind == owner.kind && kind.resource.group == group
}

async fn merge(
    objects: &Api<DynamicObject>,
    live: &ObjectMeta,
    patch: serde_json::Value,
) -> kube::Result<()> {
    let name = live.name.as_deref().unwrap_or_default();
    let params = PatchParams::default();
    match objects
        .patch_metadata(name, &params, &Patch::Merge(patch))
        .await
    {
        Err(error) if object::is_not_found(&error) => Ok(()),
        other => other.map(drop),
    }
}

async fn drop_finalizer(
    objects: &Api<DynamicObject>,
    live: &ObjectMeta,
    finalizer: &str,
) -> kube::Result<()> {
    let all = live.finalizers.iter().flatten();
    let kept: Vec<_> = all.filter(|f| *f != finalizer).collect();
    let patch = json!({"metadata": {
        "finalizers": kept,
        "resourceVersion": live.resource_version,
    }});
    merge(objects, live, patch).await
}

/// Makes an object stop to block the deletion of its owners.
async fn unblock_owners(objects: &Api<DynamicObject>, live: &ObjectMeta) -> kube::Result<()> {
    let mut references = live.owner_references.clone().unwrap_or_default();
    for reference in &mut references {
        reference.block_owner_deletion = Some(false);
    }
    let patch = json!({"metadata": {
        "ownerReferences": references,
        "resourceVersion": live.resource_version,
    }});
    merge(objects, live, patch).await
}

async fn delete(
    objects: &Api<DynamicObject>,
    live: &ObjectMeta,
    node: &Node,
    propagation: Propagation,
    changed: bool,
) -> kube::Result<()> {
    let params = match propagation {
        Propagation::Orphan => DeleteParams::orphan(),
        Propagation::Foreground => DeleteParams::foreground(),
        Propagation::Background => DeleteParams::background(),
    };
    let params = params.preconditions(Preconditions {
        uid: live.uid.clone(),
        // Somebody who has just given it another owner means to keep it.
        resource_version: live.resource_version.clone().filter(|_| !changed),
    });
    match objects.delete(&node.key.name, &params).await {
        Err(error) if object::is_not_found(&error) => Ok(()),
        other => other.map(drop),
    }
}
