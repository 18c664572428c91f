//! The watch cache: what readers and watchers see, without asking the store.
//!
//! One task follows every commit of the store, in order, and brings the cache of each kind up to date:
//!
//! ```text
//! store ──watch("/registry/")──► follow ──► KindCache (objects, ring of changes) ──► lists, watches
//!                                   └─────► the revision that readers wait for
//! ```
//!
//! A read is consistent: it waits until the cache has reached the revision that the store had when the
//! read began. Watches older than the ring are replayed from the store's history.

mod kind;
mod object;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::kind::{Kind, Resource};
use bytes::Bytes;
use serde_json::Value;
use store::{Revision, Store};
use tokio::sync::watch;

use kind::Put;
pub(crate) use kind::{KindCache, Missed};
pub(crate) use object::{Event, Object, line};

use crate::auth::Known;
use crate::error::{Error, Result};
use crate::keys;

/// How long a read waits for the cache before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(3);

/// The caches of all kinds that are stored.
pub(crate) struct Cache {
    store: Arc<dyn Store>,
    /// By the prefix of their keys.
    kinds: HashMap<String, Arc<KindCache>>,
    /// The same, for those who have the kind: few enough to look at each.
    by_resource: Vec<(&'static Resource, Arc<KindCache>)>,
    revision: watch::Sender<Revision>,
    /// What authentication and authorization draw from objects.
    known: Arc<Known>,
}

impl Cache {
    /// Reads everything there is and starts to follow the store.
    pub(crate) async fn start(
        store: Arc<dyn Store>,
        kinds: &[&'static dyn Kind],
        known: Arc<Known>,
    ) -> Result<Arc<Self>> {
        let stored = kinds.iter().filter(|kind| kind.resource().is_stored());
        let caches = stored.map(|&kind| {
            let observed = Known::KINDS.contains(&kind.resource().kind);
            let cache = Arc::new(KindCache::new(kind, observed));
            (kind.resource(), cache)
        });
        let by_resource: Vec<_> = caches.collect();
        let kinds = by_resource
            .iter()
            .map(|(resource, cache)| (keys::prefix(resource), Arc::clone(cache)));
        let cache = Arc::new(Self {
            store,
            kinds: kinds.collect(),
            by_resource,
            revision: watch::Sender::new(0),
            known,
        });
        let revision = cache.load().await?;
        let changes = cache.store.watch(keys::ROOT, revision).await?;
        let following = Arc::downgrade(&cache);
        tokio::spawn(follow(following, changes));
        Ok(cache)
    }

    /// The cache of a kind that is stored.
    pub(crate) fn of(&self, kind: &dyn Kind) -> &Arc<KindCache> {
        let resource = kind.resource();
        let mut all = self.by_resource.iter();
        all.find(|(of, _)| std::ptr::eq(*of, resource))
            .map(|(_, cache)| cache)
            .expect("every stored kind got a cache at start")
    }

    /// All caches.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<KindCache>> {
        self.kinds.values()
    }

    /// The last commit that is in the cache.
    pub(crate) fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    /// Waits until the cache shows what the store has now; returns that revision.
    pub(crate) async fn fresh(&self) -> Result<Revision> {
        self.reach(self.store.revision()).await
    }

    /// Waits until the cache shows `revision`. Returns the one that it shows then.
    pub(crate) async fn reach(&self, revision: Revision) -> Result<Revision> {
        if self.revision() >= revision {
            return Ok(self.revision());
        }
        let mut seen = self.revision.subscribe();
        let reached = seen.wait_for(|&seen| seen >= revision);
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(Ok(seen)) => Ok(*seen),
            Ok(Err(_)) => Err(store::Error::Closed.into()),
            Err(_) => Err(Error::future_revision(revision, self.revision())),
        }
    }

    async fn load(&self) -> Result<Revision> {
        let page = self.store.range(keys::ROOT, None, 0, None).await?;
        let mut objects: HashMap<&str, Vec<Object>> = HashMap::new();
        for entry in &page.entries {
            let Some((prefix, _, _)) = keys::split(&entry.key) else {
                continue;
            };
            let Some(cache) = self.kinds.get(prefix) else {
                continue;
            };
            let object = cache.read(&entry.key, &entry.value, entry.modified);
            if let Some((object, value)) = object {
                self.observe(cache, &object.namespace, &object.name, value.as_ref());
                objects.entry(prefix).or_default().push(object);
            }
        }
        for (prefix, cache) in &self.kinds {
            let objects = objects.remove(prefix.as_str()).unwrap_or_default();
            cache.reset(objects.into_iter(), page.revision);
        }
        self.revision.send_replace(page.revision);
        Ok(page.revision)
    }

    fn take(&self, batch: &[store::Event]) {
        let Some(revision) = batch.last().map(|event| event.revision) else {
            return;
        };
        let mut changes: Vec<(&Arc<KindCache>, Vec<Put>)> = Vec::new();
        for event in batch {
            let Some((prefix, namespace, name)) = keys::split(&event.key) else {
                continue;
            };
            let Some(cache) = self.kinds.get(prefix) else {
                continue;
            };
            let (object, value) = match &event.value {
                Some(value) => match cache.read(&event.key, value, event.revision) {
                    Some((object, value)) => (Some(object), value),
                    None => continue,
                },
                None => (None, None),
            };
            self.observe(cache, namespace, name, value.as_ref());
            let change = (namespace.to_owned(), name.to_owned(), object);
            match changes.iter_mut().find(|(of, _)| Arc::ptr_eq(of, cache)) {
                Some((_, changes)) => changes.push(change),
                None => changes.push((cache, vec![change])),
            }
        }
        for (cache, changes) in changes {
            cache.apply(revision, changes);
        }
        self.revision.send_replace(revision);
    }

    fn observe(&self, cache: &KindCache, namespace: &str, name: &str, object: Option<&Value>) {
        let kind = cache.kind.resource().kind;
        if Known::KINDS.contains(&kind) {
            self.known.observe(kind, namespace, name, object);
        }
    }
}

impl KindCache {
    /// The object of a record. One that can't be read is left out, and logged.
    fn read(
        &self,
        key: &[u8],
        value: &Bytes,
        revision: Revision,
    ) -> Option<(Object, Option<Value>)> {
        let object = Object::read(self.kind, self.full, value, revision);
        if object.is_none() {
            let key = String::from_utf8_lossy(key);
            tracing::error!("the record of {key} at revision {revision} can't be read");
        }
        object
    }

    /// An object as it was, for a list of the past.
    pub(crate) fn historic(&self, entry: &store::Entry) -> Option<Object> {
        let read = self.read(&entry.key, &entry.value, entry.modified);
        read.map(|(object, _)| object)
    }

    /// One change of the store's history, for a watch that began before the ring.
    pub(crate) fn replay(&self, event: &store::Event) -> Event {
        let read = |value: &Bytes, revision| {
            let (object, _) = self.read(&event.key, value, revision)?;
            Some(Arc::new(object))
        };
        // The revision of the previous version is not known; nobody sees it but as a deletion.
        let previous = event.previous.as_ref().and_then(|v| read(v, event.created));
        let current = event.value.as_ref().and_then(|v| read(v, event.revision));
        Event::new(event.revision, previous, current)
    }
}

/// Follows the store until it or the cache is gone.
async fn follow(cache: std::sync::Weak<Cache>, mut changes: store::Watch) {
    loop {
        while let Some(batch) = changes.batches.recv().await {
            let Some(cache) = cache.upgrade() else {
                return;
            };
            cache.take(&batch);
        }
        // The store cut us off. Go on from where we are; if that is compacted, start over.
        let Some(cache) = cache.upgrade() else {
            return;
        };
        let again = match cache.store.watch(keys::ROOT, cache.revision()).await {
            Err(store::Error::Compacted { .. }) => match cache.load().await {
                Ok(revision) => cache.store.watch(keys::ROOT, revision).await,
                Err(error) => {
                    tracing::error!("the watch cache stops: {error}");
                    return;
                }
            },
            other => other,
        };
        match again {
            Ok(watch) => changes = watch,
            Err(store::Error::Closed) => return,
            Err(error) => {
                tracing::error!("the watch cache stops: {error}");
                return;
            }
        }
    }
}
