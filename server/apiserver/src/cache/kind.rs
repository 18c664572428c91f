//! The cache of one kind: its objects in key order, and its recent changes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use api::kind::{Kind, Scope};
use parking_lot::RwLock;
use serde_json::Value;
use store::Revision;
use tokio::sync::watch;

use super::object::{Event, Object};
use crate::options::Selection;

/// How many changes, and how many bytes of objects in them, are kept for watchers to catch up on.
const RING_EVENTS: usize = 8192;
const RING_BYTES: usize = 8 << 20;

/// The objects of one kind.
pub(crate) struct KindCache {
    /// The kind.
    pub(crate) kind: &'static dyn Kind,
    /// Whether objects must be parsed in full: the kind has selectable fields, or is observed.
    pub(super) full: bool,
    state: RwLock<State>,
    /// The revision of the last change, for watchers to wait on.
    changed: watch::Sender<Revision>,
}

#[derive(Default)]
struct State {
    /// Namespace with a `/` behind it → name → object. With the `/` the order is that of the keys.
    namespaces: BTreeMap<String, BTreeMap<String, Arc<Object>>>,
    count: usize,
    /// All changes after `start`, oldest first.
    ring: VecDeque<Arc<Event>>,
    ring_bytes: usize,
    start: Revision,
    /// The revision of the last change.
    last: Revision,
}

/// A namespace, a name, and the object that is there now, if there is one.
pub(super) type Put = (String, String, Option<Object>);

/// Changes that a watcher has not seen.
pub(crate) enum Missed {
    /// These, oldest first.
    Events(Vec<Arc<Event>>),
    /// More than are kept.
    TooMany,
}

/// A page of a list.
pub(crate) struct Listed {
    /// The objects, in key order.
    pub(crate) objects: Vec<Arc<Object>>,
    /// Whether more follow, and how many, where that is known.
    pub(crate) more: Option<Option<usize>>,
    /// The last change that the objects show.
    pub(crate) last: Revision,
}

impl KindCache {
    pub(super) fn new(kind: &'static dyn Kind, observed: bool) -> Self {
        Self {
            kind,
            full: observed || !kind.fields(&Value::Null).is_empty(),
            state: RwLock::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// The object of that name.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let state = self.state.read();
        state.namespaces.get(&scope(namespace))?.get(name).cloned()
    }

    /// All objects.
    pub(crate) fn objects(&self) -> Vec<Arc<Object>> {
        let state = self.state.read();
        let names = state.namespaces.values();
        names.flat_map(|names| names.values().cloned()).collect()
    }

    /// How many objects there are.
    pub(crate) fn count(&self) -> usize {
        self.state.read().count
    }

    /// The last change that this kind has seen.
    pub(crate) fn last_change(&self) -> Revision {
        self.state.read().last
    }

    /// A receiver that wakes when something changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Revision> {
        self.changed.subscribe()
    }

    /// The selected objects after the position (a namespace and a name), at most `limit` (0 for all).
    pub(crate) fn list(
        &self,
        selection: &Selection,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Listed {
        let placed =
            !selection.namespace.is_empty() || self.kind.resource().scope == Scope::Cluster;
        if placed && !selection.name.is_empty() && after.is_none() {
            let state = self.state.read();
            let names = state.namespaces.get(&scope(&selection.namespace));
            let one = names.and_then(|names| names.get(&selection.name));
            let objects = one.filter(|o| o.matches(selection)).cloned();
            return Listed {
                objects: objects.into_iter().collect(),
                more: None,
                last: state.last,
            };
        }
        let state = self.state.read();
        let mut objects = Vec::new();
        let mut rest = 0;
        // The loops choose the namespace. That objects need not be looked at saves a fetch from memory each.
        let everything = selection.is_everything();
        let from = after.map(|(namespace, _)| scope(namespace));
        let first = match &from {
            _ if !selection.namespace.is_empty() => Bound::Included(scope(&selection.namespace)),
            Some(from) => Bound::Included(from.clone()),
            None => Bound::Unbounded,
        };
        for (namespace, names) in state.namespaces.range((first, Bound::Unbounded)) {
            if !selection.namespace.is_empty() && *namespace != scope(&selection.namespace) {
                break;
            }
            let start = match after {
                Some((_, name)) if from.as_ref() == Some(namespace) => Bound::Excluded(name),
                _ => Bound::Unbounded,
            };
            for object in names
                .range::<str, _>((start, Bound::Unbounded))
                .map(|(_, object)| object)
            {
                if limit > 0 && objects.len() == limit {
                    if !everything {
                        return Listed {
                            objects,
                            more: Some(None),
                            last: state.last,
                        };
                    }
                    rest += 1;
                } else if everything || object.matches(selection) {
                    objects.push(object.clone());
                }
            }
        }
        let more = (rest > 0).then_some(Some(rest));
        Listed {
            objects,
            more,
            last: state.last,
        }
    }

    /// The changes after a revision, at most `limit` commits' worth of events.
    pub(crate) fn missed(&self, after: Revision, limit: usize) -> Missed {
        let state = self.state.read();
        if after < state.start {
            return Missed::TooMany;
        }
        let from = state.ring.partition_point(|event| event.revision <= after);
        let mut events: Vec<_> = state.ring.range(from..).take(limit).cloned().collect();
        // A commit is delivered whole: the position of a watcher is a revision.
        if let Some(last) = events.last().map(|event| event.revision) {
            let rest = state.ring.range(from + events.len()..);
            events.extend(rest.take_while(|event| event.revision == last).cloned());
        }
        Missed::Events(events)
    }

    /// Replaces everything, at start and when the cache has lost its place. Running watches end.
    pub(super) fn reset(&self, objects: impl Iterator<Item = Object>, revision: Revision) {
        let mut state = self.state.write();
        *state = State {
            start: revision,
            last: revision,
            ..State::default()
        };
        for object in objects {
            let names = state.namespaces.entry(scope(&object.namespace));
            names
                .or_default()
                .insert(object.name.clone(), Arc::new(object));
            state.count += 1;
        }
        drop(state);
        self.changed.send_replace(revision);
    }

    /// Takes in the changes of one commit. `None` in place of an object is a deletion.
    pub(super) fn apply(&self, revision: Revision, changes: Vec<Put>) {
        let mut state = self.state.write();
        for (namespace, name, object) in changes {
            let current = object.map(Arc::new);
            let previous = state.put(&namespace, &name, current.clone());
            if previous.is_none() && current.is_none() {
                continue;
            }
            state.push(Arc::new(Event::new(revision, previous, current)));
        }
        state.last = revision;
        drop(state);
        self.changed.send_replace(revision);
    }
}

impl State {
    fn put(
        &mut self,
        namespace: &str,
        name: &str,
        object: Option<Arc<Object>>,
    ) -> Option<Arc<Object>> {
        let scope = scope(namespace);
        let Some(object) = object else {
            let names = self.namespaces.get_mut(&scope)?;
            let previous = names.remove(name)?;
            self.count -= 1;
            if names.is_empty() {
                self.namespaces.remove(&scope);
            }
            return Some(previous);
        };
        let names = self.namespaces.entry(scope).or_default();
        let previous = names.insert(name.to_owned(), object);
        self.count += usize::from(previous.is_none());
        previous
    }

    fn push(&mut self, event: Arc<Event>) {
        self.ring_bytes += weight(&event);
        self.ring.push_back(event);
        while self.ring.len() > RING_EVENTS || self.ring_bytes > RING_BYTES {
            let Some(oldest) = self.ring.pop_front() else {
                break;
            };
            self.ring_bytes -= weight(&oldest);
            self.start = oldest.revision;
        }
    }
}

fn weight(event: &Event) -> usize {
    let object = event.current.as_ref().or(event.previous.as_ref());
    object.map_or(0, |object| object.json.len()) + 128
}

fn scope(namespace: &str) -> String {
    format!("{namespace}/")
}
