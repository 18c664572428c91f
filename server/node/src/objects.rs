//! ConfigMaps and Secrets that pods use: each is watched once, by name, as long as a pod uses it.
//!
//! The node may read only what its pods refer to, so there is no watch of all of them.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Why an object can't be had.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ObjectError {
    /// It is not there.
    #[error("{kind} \"{name}\" not found")]
    NotFound { kind: &'static str, name: String },
    /// The API server could not be asked, or refused.
    #[error("{0}")]
    Other(String),
}

/// What is known of one watched object.
#[derive(Clone, Debug)]
enum Known {
    /// The first answer is still to come.
    Asked,
    Absent,
    ConfigMap(Arc<ConfigMap>),
    Secret(Arc<Secret>),
    Failed(String),
}

/// The kind, the namespace and the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The kinds that pods refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }
}

struct Watched {
    state: watch::Receiver<Known>,
    task: AbortHandle,
    users: usize,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All watched objects.
pub(crate) struct Objects {
    client: kube::Client,
    watched: Mutex<HashMap<Key, Watched>>,
}

impl Objects {
    pub(crate) fn new(client: kube::Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            watched: Mutex::default(),
        })
    }

    /// Begins to use objects; the lease given keeps them watched, and tells of their changes.
    pub(crate) fn lease(self: &Arc<Self>, keys: Vec<Key>) -> Lease {
        let states = keys.iter().map(|key| self.watch(key, true)).collect();
        Lease {
            objects: self.clone(),
            keys,
            states,
        }
    }

    /// A ConfigMap, from what the watch has seen.
    pub(crate) async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<ConfigMap>, ObjectError> {
        match self.get(Kind::ConfigMap, namespace, name).await? {
            Known::ConfigMap(map) => Ok(map),
            _ => Err(not_found(Kind::ConfigMap, name)),
        }
    }

    /// A Secret, from what the watch has seen.
    pub(crate) async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Secret>, ObjectError> {
        match self.get(Kind::Secret, namespace, name).await? {
            Known::Secret(secret) => Ok(secret),
            _ => Err(not_found(Kind::Secret, name)),
        }
    }

    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Known, ObjectError> {
        let key = Key {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let mut state = self.watch(&key, false);
        let known = state.wait_for(|known| !matches!(known, Known::Asked)).await;
        match known.as_deref() {
            Ok(Known::Absent) => Err(not_found(kind, name)),
            Ok(Known::Failed(why)) => Err(ObjectError::Other(why.clone())),
            Ok(known) => Ok(known.clone()),
            Err(_) => Err(ObjectError::Other("the watch has ended".to_owned())),
        }
    }

    /// The state of an object, which is watched from now on. An object that is got without a lease
    /// stays watched until the next lease on it ends.
    fn watch(&self, key: &Key, lease: bool) -> watch::Receiver<Known> {
        let mut watched = self.watched.lock();
        let entry = watched.entry(key.clone()).or_insert_with(|| {
            let (sender, state) = watch::channel(Known::Asked);
            let client = self.client.clone();
            let key = key.clone();
            let task = tokio::spawn(async move { follow(client, key, sender).await });
            Watched {
                state,
                task: task.abort_handle(),
                users: 0,
            }
        });
        entry.users += usize::from(lease);
        entry.state.clone()
    }
}

fn not_found(kind: Kind, name: &str) -> ObjectError {
    ObjectError::NotFound {
        kind: kind.text(),
        name: name.to_owned(),
    }
}

async fn follow(client: kube::Client, key: Key, sender: watch::Sender<Known>) {
    match key.kind {
        Kind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client, &key.namespace);
            follow_one(api, &key, sender, |map| Known::ConfigMap(Arc::new(map))).await;
        }
        Kind::Secret => {
            let api: Api<Secret> = Api::namespaced(client, &key.namespace);
            follow_one(api, &key, sender, |secret| Known::Secret(Arc::new(secret))).await;
        }
    }
}

async fn follow_one<K>(
    api: Api<K>,
    key: &Key,
    sender: watch::Sender<Known>,
    known: impl Fn(K) -> Known,
) where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    use kube::runtime::WatchStreamExt;
    let changes = kube::runtime::watcher::watch_object(api, &key.name).default_backoff();
    let mut changes = std::pin::pin!(changes);
    while let Some(change) = changes.next().await {
        let next = match change {
            Ok(Some(object)) => known(object),
            Ok(None) => Known::Absent,
            // What is known stays good while the API server is away.
            Err(error) if matches!(*sender.borrow(), Known::Asked) => {
                Known::Failed(error.to_string())
            }
            Err(_) => continue,
        };
        sender.send_replace(next);
    }
}

/// Keeps objects watched; the end of the last lease on an object ends its watch.
pub(crate) struct Lease {
    objects: Arc<Objects>,
    keys: Vec<Key>,
    states: Vec<watch::Receiver<Known>>,
}

impl Lease {
    /// Waits for a change of any of the objects since the lease began or this was called last.
    /// The first answer counts as one. Waits for ever if there are no objects.
    pub(crate) async fn changed(&mut self) {
        let changes = self.states.iter_mut().map(|state| {
            Box::pin(async move {
                if state.changed().await.is_err() {
                    futures::future::pending::<()>().await;
                }
            })
        });
        let changes: Vec<_> = changes.collect();
        if changes.is_empty() {
            return futures::future::pending().await;
        }
        futures::future::select_all(changes).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut watched = self.objects.watched.lock();
        for key in &self.keys {
            let Some(entry) = watched.get_mut(key) else {
                continue;
            };
            entry.users = entry.users.saturating_sub(1);
            if entry.users == 0 {
                watched.remove(key);
            }
        }
    }
}
