//! A shared view of all objects of a kind, kept up to date by a list and a watch.
//!
//! Handlers run on the informer's own task, one after another, in the order of the changes; they
//! should do no more than add keys to queues. Objects are shared, not copied, and without
//! `metadata.managedFields`; `trim` can drop more of what nobody in the process reads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::Shutdown;
use crate::object::{Key, controller_of};

/// What happened to an object.
#[derive(Debug)]
pub enum Change<K> {
    /// It is new, or was there when the handler was added.
    Added(Arc<K>),
    /// It changed from the first to the second.
    Updated(Arc<K>, Arc<K>),
    /// It is gone; this was its last state.
    Removed(Arc<K>),
}

impl<K> Change<K> {
    /// The object as it is now, or as it last was.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Added(object) | Self::Updated(_, object) | Self::Removed(object) => object,
        }
    }
}

type Handler<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// A shared view of all objects of a kind; clones share it.
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

struct Shared<K> {
    state: RwLock<State<K>>,
    handlers: RwLock<Vec<Handler<K>>>,
    synced: watch::Sender<bool>,
}

struct State<K> {
    /// By namespace, then name.
    objects: HashMap<String, BTreeMap<String, Arc<K>>>,
    /// The objects that an object controls, by its uid.
    controlled: HashMap<String, BTreeSet<Key>>,
    /// The objects that nothing controls, by namespace.
    orphans: HashMap<String, BTreeSet<String>>,
}

/// What an object needs to be watched.
pub trait Watched:
    Resource + Clone + DeserializeOwned + Debug + Send + Sync + PartialEq + 'static
{
}

impl<K> Watched for K where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + PartialEq + 'static
{
}

impl<K: Watched> Informer<K> {
    /// An informer that nothing feeds yet, see [`Informer::run`].
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: RwLock::new(State {
                    objects: HashMap::new(),
                    controlled: HashMap::new(),
                    orphans: HashMap::new(),
                }),
                handlers: RwLock::new(Vec::new()),
                synced: watch::Sender::new(false),
            }),
        }
    }

    /// Calls `handler` with every object there is, and then with every change.
    pub fn handle(&self, handler: impl Fn(&Change<K>) + Send + Sync + 'static) {
        let mut handlers = self.shared.handlers.write();
        for object in self.list() {
            handler(&Change::Added(object));
        }
        handlers.push(Box::new(handler));
    }

    /// The object of that name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let state = self.shared.state.read();
        state.objects.get(namespace)?.get(name).cloned()
    }

    /// All objects.
    pub fn list(&self) -> Vec<Arc<K>> {
        let state = self.shared.state.read();
        let all = state.objects.values().flat_map(BTreeMap::values);
        all.cloned().collect()
    }

    /// The objects of a namespace, by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let state = self.shared.state.read();
        let found = state.objects.get(namespace).into_iter();
        found.flat_map(BTreeMap::values).cloned().collect()
    }

    /// The objects whose controller has this uid.
    pub fn controlled_by(&self, uid: &str) -> Vec<Arc<K>> {
        let state = self.shared.state.read();
        let keys = state.controlled.get(uid).into_iter().flatten();
        keys.filter_map(|key| state.objects.get(&key.namespace)?.get(&key.name))
            .cloned()
            .collect()
    }

    /// The objects of a namespace that have no controller.
    pub fn orphans(&self, namespace: &str) -> Vec<Arc<K>> {
        let state = self.shared.state.read();
        let Some(objects) = state.objects.get(namespace) else {
            return Vec::new();
        };
        let names = state.orphans.get(namespace).into_iter().flatten();
        names
            .filter_map(|name| objects.get(name))
            .cloned()
            .collect()
    }

    /// Returns when the first list is complete.
    pub async fn synced(&self) {
        // The sender lives in `self.shared`.
        let _ = self.shared.synced.subscribe().wait_for(|s| *s).await;
    }

    /// Keeps the view up to date until `shutdown`. A failed list or watch is tried again, with a
    /// delay of 0.5 s that doubles up to 30 s.
    pub async fn run(
        self,
        api: Api<K>,
        config: watcher::Config,
        trim: fn(&mut K),
        shutdown: Shutdown,
    ) where
        K::DynamicType: Default + Eq + std::hash::Hash + Clone,
    {
        let events = watcher(api, config)
            .modify(move |object| {
                object.meta_mut().managed_fields = None;
                trim(object);
            })
            .backoff(backoff());
        let mut events = std::pin::pin!(events.take_until(crate::stopped(&shutdown)));
        let mut listed: Option<BTreeMap<Key, K>> = None;
        loop {
            match events.try_next().await {
                Ok(Some(event)) => self.on_event(event, &mut listed),
                Ok(None) => return,
                Err(error) => {
                    let kind = K::kind(&K::DynamicType::default()).into_owned();
                    tracing::debug!(kind, %error, "watch failed, will start again");
                }
            }
        }
    }

    fn on_event(&self, event: watcher::Event<K>, listed: &mut Option<BTreeMap<Key, K>>) {
        match event {
            watcher::Event::Apply(object) => self.apply(object),
            watcher::Event::Delete(object) => self.remove(&Key::of(object.meta())),
            watcher::Event::Init => *listed = Some(BTreeMap::new()),
            watcher::Event::InitApply(object) => {
                if let Some(listed) = listed {
                    listed.insert(Key::of(object.meta()), object);
                }
            }
            watcher::Event::InitDone => {
                self.replace(listed.take().unwrap_or_default());
                self.shared.synced.send_replace(true);
            }
        }
    }

    /// Makes the view what a list has just shown.
    fn replace(&self, listed: BTreeMap<Key, K>) {
        let gone: Vec<Key> = {
            let state = self.shared.state.read();
            let all = state.objects.values().flat_map(BTreeMap::values);
            all.map(|object| Key::of(object.meta()))
                .filter(|key| !listed.contains_key(key))
                .collect()
        };
        for key in gone {
            self.remove(&key);
        }
        for object in listed.into_values() {
            self.apply(object);
        }
    }

    fn apply(&self, object: K) {
        let handlers = self.shared.handlers.read();
        let object = Arc::new(object);
        let old = self.shared.state.write().insert(&object);
        let change = match old {
            // The same version again, after a restart of the watch.
            Some(old) if old.meta().resource_version == object.meta().resource_version => return,
            // Deleted and created again while the watch was down.
            Some(old) if old.meta().uid != object.meta().uid => {
                let removed = Change::Removed(old);
                handlers.iter().for_each(|handler| handler(&removed));
                Change::Added(object)
            }
            Some(old) => Change::Updated(old, object),
            None => Change::Added(object),
        };
        handlers.iter().for_each(|handler| handler(&change));
    }

    fn remove(&self, key: &Key) {
        let handlers = self.shared.handlers.read();
        let Some(old) = self.shared.state.write().remove(key) else {
            return;
        };
        let change = Change::Removed(old);
        handlers.iter().for_each(|handler| handler(&change));
    }
}

impl<K: Watched> Default for Informer<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Resource> State<K> {
    fn insert(&mut self, object: &Arc<K>) -> Option<Arc<K>> {
        let key = Key::of(object.meta());
        let old = self.remove(&key);
        match controller_of(object.meta()) {
            Some(owner) => {
                let owned = self.controlled.entry(owner.uid.clone()).or_default();
                owned.insert(key.clone());
            }
            None => {
                let orphans = self.orphans.entry(key.namespace.clone()).or_default();
                orphans.insert(key.name.clone());
            }
        }
        let objects = self.objects.entry(key.namespace).or_default();
        objects.insert(key.name, Arc::clone(object));
        old
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<K>> {
        let objects = self.objects.get_mut(&key.namespace)?;
        let old = objects.remove(&key.name)?;
        if objects.is_empty() {
            self.objects.remove(&key.namespace);
        }
        match controller_of(old.meta()) {
            Some(owner) => {
                if let Some(owned) = self.controlled.get_mut(&owner.uid) {
                    owned.remove(key);
                    if owned.is_empty() {
                        self.controlled.remove(&owner.uid);
                    }
                }
            }
            None => {
                if let Some(orphans) = self.orphans.get_mut(&key.namespace) {
                    orphans.remove(&key.name);
                    if orphans.is_empty() {
                        self.orphans.remove(&key.namespace);
                    }
                }
            }
        }
        Some(old)
    }
}

/// The delays between attempts of a watch that fails: 0.5 s, doubled up to 30 s, reset by success.
pub fn backoff() -> impl kube::runtime::utils::Backoff {
    Delays { next: FIRST_DELAY }
}

const FIRST_DELAY: Duration = Duration::from_millis(500);
const LAST_DELAY: Duration = Duration::from_secs(30);

struct Delays {
    next: Duration,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = self.next;
        self.next = (delay * 2).min(LAST_DELAY);
        Some(delay)
    }
}

impl kube::runtime::utils::Backoff for Delays {
    fn reset(&mut self) {
        self.next = FIRST_DELAY;
    }
}
