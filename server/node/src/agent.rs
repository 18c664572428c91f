//! The agent: which pods there are on this node, and a worker for each.
//!
//! ```text
//! watch of spec.nodeName=NAME ──► pods ──┐
//! files ──► static pods ─────────────────┼──► workers, by uid ──► gone
//! recovered sandboxes ───────────────────┘        (nobody's after the first list: orphans, removed)
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::Shutdown;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc;

use crate::inotify::Watch;
use crate::pod::effects::Shared;
use crate::pod::worker::{self, Handle, Message};
use crate::pod::{spec, stop};
use crate::runtime;
use crate::statics;
use crate::streaming::{Directory, Entry};
use crate::volume;

/// An orphan gets a moment to end by itself, as the kubelet gives it.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);

/// The state of the agent.
pub(crate) struct Agent {
    shared: Arc<Shared>,
    /// The node's name and uid.
    node: (String, String),
    static_pods: Option<PathBuf>,
    directory: Directory,
    shutdown: Shutdown,
    workers: HashMap<String, Handle>,
    /// Pods that are done for and of which the watch may still speak.
    finished: HashSet<String>,
    /// Static pods that should run, by uid.
    statics: BTreeMap<String, Arc<Pod>>,
    /// By namespace and name.
    mirrors: HashMap<(String, String), Arc<Pod>>,
    /// What an earlier agent has left, by uid.
    recovered: HashMap<String, Arc<dyn runtime::Pod>>,
    /// The uids of a list that is under way.
    listed: Option<HashSet<String>>,
    /// The first list is complete.
    synced: bool,
    gone: mpsc::UnboundedSender<String>,
}

impl Agent {
    pub(crate) fn new(
        shared: Arc<Shared>,
        node: (String, String),
        static_pods: Option<PathBuf>,
        directory: Directory,
        shutdown: Shutdown,
    ) -> (Self, mpsc::UnboundedReceiver<String>) {
        let (gone, receiver) = mpsc::unbounded_channel();
        let agent = Self {
            shared,
            node,
            static_pods,
            directory,
            shutdown,
            workers: HashMap::new(),
            finished: HashSet::new(),
            statics: BTreeMap::new(),
            mirrors: HashMap::new(),
            recovered: HashMap::new(),
            listed: None,
            synced: false,
            gone,
        };
        (agent, receiver)
    }

    /// Runs until `shutdown`; the pods go on.
    pub(crate) async fn run(
        mut self,
        mut gone: mpsc::UnboundedReceiver<String>,
    ) -> Result<(), runtime::Error> {
        for pod in self.shared.runtime.recover().await? {
            let uid = pod.sandbox().uid.clone();
            self.recovered.insert(uid, pod);
        }
        let pods: Api<Pod> = Api::all(self.shared.client.clone());
        let fields = format!("spec.nodeName={}", self.node.0);
        let config = watcher::Config::default().fields(&fields);
        let mut events = watcher::watcher(pods, config).default_backoff().boxed();
        let mut files = self.watch_files();
        self.load_statics().await;
        let shutdown = self.shutdown.clone();
        let mut stopped = std::pin::pin!(client::stopped(&shutdown));
        loop {
            tokio::select! {
                () = &mut stopped => return Ok(()),
                event = events.next() => match event {
                    Some(Ok(event)) => self.hear(event).await,
                    Some(Err(error)) => tracing::warn!(%error, "watch of pods"),
                    None => return Ok(()),
                },
                Some(uid) = gone.recv() => self.worker_gone(&uid).await,
                () = changed(&mut files) => self.load_statics().await,
            }
        }
    }

    fn watch_files(&self) -> Option<Watch> {
        let dir = self.static_pods.as_ref()?;
        match Watch::new(dir) {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, "static pods not watched");
                None
            }
        }
    }

    async fn hear(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(pod) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(spec::uid(&pod).to_owned());
                }
                self.apply(pod).await;
            }
            Event::InitDone => self.list_done().await,
            Event::Apply(pod) => self.apply(pod).await,
            Event::Delete(pod) => self.deleted(&pod).await,
        }
    }

    async fn apply(&mut self, pod: Pod) {
        let pod = Arc::new(pod);
        if spec::is_mirror(&pod) {
            self.mirrors.insert(key(&pod), pod);
            self.reconcile_mirrors().await;
            return;
        }
        let uid = spec::uid(&pod).to_owned();
        if let Some(handle) = self.workers.get(&uid) {
            // The worker is ending if nobody listens.
            let _ = handle.messages.send(Message::Changed(pod));
        } else if !self.finished.contains(&uid) {
            self.start(pod);
        }
    }

    fn start(&mut self, pod: Arc<Pod>) {
        let uid = spec::uid(&pod).to_owned();
        let sandbox = self.recovered.remove(&uid);
        tracing::debug!(
            pod = spec::full_name(&pod),
            adopted = sandbox.is_some(),
            "pod"
        );
        let handle = worker::spawn(
            self.shared.clone(),
            pod,
            sandbox,
            self.gone.clone(),
            self.shutdown.clone(),
        );
        let entry = Entry {
            context: handle.context.clone(),
            status: handle.status.clone(),
        };
        self.directory.insert(&uid, entry);
        self.workers.insert(uid, handle);
    }

    async fn deleted(&mut self, pod: &Pod) {
        if spec::is_mirror(pod) {
            let known = self.mirrors.get(&key(pod)).map(|mirror| spec::uid(mirror));
            if known == Some(spec::uid(pod)) {
                self.mirrors.remove(&key(pod));
                self.reconcile_mirrors().await;
            }
            return;
        }
        let uid = spec::uid(pod);
        self.finished.remove(uid);
        self.end(uid);
    }

    fn end(&self, uid: &str) {
        if let Some(handle) = self.workers.get(uid) {
            // The worker is ending if nobody listens.
            let _ = handle.messages.send(Message::Deleted);
        }
    }

    async fn worker_gone(&mut self, uid: &str) {
        self.workers.remove(uid);
        self.directory.remove(uid);
        if !self.statics.contains_key(uid) {
            self.finished.insert(uid.to_owned());
        }
        self.reconcile_statics().await;
    }

    /// The list is complete: what is not in it is deleted, what nobody asked for is an orphan.
    async fn list_done(&mut self) {
        let Some(listed) = self.listed.take() else {
            return;
        };
        self.synced = true;
        self.finished.retain(|uid| listed.contains(uid));
        self.mirrors
            .retain(|_, mirror| listed.contains(spec::uid(mirror)));
        for (uid, handle) in &self.workers {
            if !listed.contains(uid) && !spec::is_static(&handle.context.pod()) {
                self.end(uid);
            }
        }
        self.reconcile_statics().await;
        self.directory.settle();
        for (_, orphan) in self.recovered.drain() {
            tokio::spawn(remove_orphan(self.shared.clone(), orphan));
        }
        self.remove_orphaned_files();
    }

    async fn load_statics(&mut self) {
        let Some(dir) = &self.static_pods else { return };
        let pods = statics::load(dir, &self.node.0, self.shared.clock.now());
        let old = std::mem::take(&mut self.statics);
        for (uid, pod) in pods {
            let known = old.get(&uid).cloned();
            self.statics
                .insert(uid, known.unwrap_or_else(|| Arc::new(pod)));
        }
        for uid in old.keys().filter(|uid| !self.statics.contains_key(*uid)) {
            self.end(uid);
        }
        self.reconcile_statics().await;
    }

    /// Starts the static pods that should run. One whose file has changed waits for the end of the old.
    async fn reconcile_statics(&mut self) {
        let waiting: Vec<Arc<Pod>> = self
            .statics
            .iter()
            .filter(|(uid, _)| !self.workers.contains_key(*uid))
            .map(|(_, pod)| pod.clone())
            .collect();
        for pod in waiting {
            let same_name = |handle: &Handle| key(&handle.context.pod()) == key(&pod);
            if !self.workers.values().any(same_name) {
                self.start(pod);
            }
        }
        self.reconcile_mirrors().await;
    }

    /// Each static pod has its mirror, and no mirror is without its pod.
    async fn reconcile_mirrors(&mut self) {
        if !self.synced || self.listed.is_some() {
            return;
        }
        let statics: Vec<Arc<Pod>> = self.statics.values().cloned().collect();
        for pod in &statics {
            let mirror = self.mirrors.get(&key(pod)).cloned();
            match mirror {
                Some(mirror) if statics::shows(&mirror, pod) => self.aim(pod, Some(mirror)),
                Some(mirror) => self.delete_mirror(&mirror).await,
                None => self.create_mirror(pod).await,
            }
        }
        let stale: Vec<Arc<Pod>> = self
            .mirrors
            .iter()
            .filter(|(name, _)| !statics.iter().any(|pod| &key(pod) == *name))
            .map(|(_, mirror)| mirror.clone())
            .collect();
        for mirror in stale {
            self.delete_mirror(&mirror).await;
        }
    }

    fn aim(&self, pod: &Pod, mirror: Option<Arc<Pod>>) {
        if let Some(handle) = self.workers.get(spec::uid(pod)) {
            // The worker is ending if nobody listens.
            let _ = handle.messages.send(Message::Mirror(mirror));
        }
    }

    async fn create_mirror(&mut self, pod: &Arc<Pod>) {
        let mirror = statics::mirror(pod, &self.node.0, &self.node.1);
        let pods: Api<Pod> = Api::namespaced(self.shared.client.clone(), spec::namespace(pod));
        match pods.create(&PostParams::default(), &mirror).await {
            Ok(made) => {
                let made = Arc::new(made);
                self.mirrors.insert(key(pod), made.clone());
                self.aim(pod, Some(made));
            }
            Err(error) => {
                tracing::warn!(pod = spec::full_name(pod), %error, "mirror pod not created");
            }
        }
    }

    async fn delete_mirror(&self, mirror: &Pod) {
        let pods: Api<Pod> = Api::namespaced(self.shared.client.clone(), spec::namespace(mirror));
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: mirror.metadata.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        if let Err(error) = pods.delete(spec::name(mirror), &params).await {
            tracing::debug!(pod = spec::full_name(mirror), %error, "mirror pod not deleted");
        }
    }

    /// Volumes and logs of pods that are not there any more.
    fn remove_orphaned_files(&self) {
        let known: HashSet<&str> = self.workers.keys().map(String::as_str).collect();
        let paths = self.shared.paths.clone();
        let on_disk = names(&paths.pods()).into_iter();
        for uid in on_disk.chain(names(&paths.run_volumes())) {
            if known.contains(uid.as_str()) {
                continue;
            }
            if let Err(error) = volume::tear_down(&paths, &uid) {
                tracing::warn!(uid, %error, "volumes of a former pod not removed");
            }
        }
        for name in names(&paths.logs()) {
            let uid = name.rsplit('_').next().unwrap_or_default();
            if !known.contains(uid) {
                let dir = paths.logs().join(&name);
                if let Err(error) = std::fs::remove_dir_all(&dir) {
                    tracing::warn!(dir = %dir.display(), %error, "logs not removed");
                }
            }
        }
    }
}

/// Namespace and name.
fn key(pod: &Pod) -> (String, String) {
    (spec::namespace(pod).to_owned(), spec::name(pod).to_owned())
}

/// The names in a folder; none if it is not there.
fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(inner) => {
            if let Err(error) = inner.changed().await {
                tracing::error!(%error, "static pods not watched any more");
                *watch = None;
            }
        }
        None => std::future::pending().await,
    }
}

/// Ends a pod of which the API server knows nothing.
async fn remove_orphan(shared: Arc<Shared>, orphan: Arc<dyn runtime::Pod>) {
    let state = orphan.state().borrow().clone();
    let uid = orphan.sandbox().uid.clone();
    tracing::info!(
        uid,
        name = orphan.sandbox().name,
        "pod without an object: removed"
    );
    for container in &state.containers {
        if let Err(error) = orphan.signal(&container.id, container.stop_signal).await {
            tracing::debug!(uid, %error, "orphan not signalled");
        }
    }
    let ends = state
        .containers
        .iter()
        .map(|container| stop::ended(orphan.as_ref(), &container.id));
    // Those that did not end in time are killed by the removal.
    let _ = tokio::time::timeout(ORPHAN_GRACE, futures::future::join_all(ends)).await;
    if let Err(error) = orphan.remove().await {
        tracing::warn!(uid, %error, "orphan not removed");
        return;
    }
    if let Err(error) = volume::tear_down(&shared.paths, &uid) {
        tracing::warn!(uid, %error, "volumes of an orphan not removed");
    }
}

#[cfg(test)]
mod tests;
