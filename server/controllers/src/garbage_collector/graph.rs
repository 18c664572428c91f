//! Who owns what: the owner references of all objects, as the watches show them. No I/O.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use client::object::Key;

/// The finalizer of an owner that waits for its dependents to be deleted.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an owner whose dependents are to be kept.
pub(super) const ORPHAN: &str = "orphan";

/// An object, as far as ownership goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// The index of its kind.
    pub(super) kind: usize,
    pub(super) key: Key,
    pub(super) owners: Vec<OwnerReference>,
    /// It is being deleted.
    pub(super) deleting: bool,
    /// It waits for its dependents to be deleted.
    pub(super) foreground: bool,
    /// It waits for its dependents to be let go.
    pub(super) orphans: bool,
}

impl Node {
    /// What matters of an object's metadata.
    pub(super) fn of(kind: usize, meta: &ObjectMeta) -> Self {
        let finalizers = meta.finalizers.as_deref().unwrap_or_default();
        let deleting = meta.deletion_timestamp.is_some();
        let has = |name: &str| deleting && finalizers.iter().any(|f| f == name);
        Self {
            kind,
            key: Key::of(meta),
            owners: meta.owner_references.clone().unwrap_or_default(),
            deleting,
            foreground: has(FOREGROUND),
            orphans: has(ORPHAN),
        }
    }
}

/// The objects by uid, and the dependents of each uid, known or not.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<String, Node>,
    dependents: HashMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The object with this uid.
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The objects that name this uid as an owner, with their uids.
    pub(super) fn dependents(&self, uid: &str) -> Vec<(String, Node)> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        let known = uids.filter_map(|uid| Some((uid.clone(), self.nodes.get(uid)?.clone())));
        known.collect()
    }

    /// The uids of all objects of a kind.
    pub(super) fn of_kind(&self, kind: usize) -> Vec<String> {
        let all = self.nodes.iter().filter(|(_, node)| node.kind == kind);
        all.map(|(uid, _)| uid.clone()).collect()
    }

    /// The uids of all objects that have owners.
    pub(super) fn owned(&self) -> Vec<String> {
        let all = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.owners.is_empty());
        all.map(|(uid, _)| uid.clone()).collect()
    }

    /// Notes an object as it is now, and gives the uids of the objects to look at.
    pub(super) fn apply(&mut self, uid: &str, node: Node) -> Vec<String> {
        let old = self.nodes.get(uid).cloned();
        if old.as_ref() == Some(&node) {
            return Vec::new();
        }
        self.unlink(uid);
        for owner in &node.owners {
            let dependents = self.dependents.entry(owner.uid.clone()).or_default();
            dependents.insert(uid.to_owned());
        }
        let mut changed = vec![uid.to_owned()];
        let owners = old.iter().flat_map(|old| &old.owners).chain(&node.owners);
        for owner in owners {
            // An owner that waits may have lost its last blocking dependent, or this one's block.
            if self
                .nodes
                .get(&owner.uid)
                .is_some_and(|o| o.foreground || o.orphans)
            {
                changed.push(owner.uid.clone());
            }
        }
        self.nodes.insert(uid.to_owned(), node);
        changed
    }

    /// Notes that an object is gone, and gives the uids of the objects to look at.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        self.unlink(uid);
        let Some(node) = self.nodes.remove(uid) else {
            return Vec::new();
        };
        let mut changed: Vec<String> = self
            .dependents
            .get(uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        for owner in &node.owners {
            if self.nodes.get(&owner.uid).is_some_and(|o| o.foreground) {
                changed.push(owner.uid.clone());
            }
        }
        changed
    }

    fn unlink(&mut self, uid: &str) {
        let Some(node) = self.nodes.get(uid) else {
            return;
        };
        for owner in &node.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, owner: Option<&str>) -> Node {
        let reference = |uid: &str| OwnerReference {
            uid: uid.to_owned(),
            ..OwnerReference::default()
        };
        Node {
            kind: 0,
            key: Key::new("ns", name),
            owners: owner.map(reference).into_iter().collect(),
            deleting: false,
            foreground: false,
            orphans: false,
        }
    }

    #[test]
    fn the_dependents_of_an_owner_that_goes_are_looked_at() {
        let mut graph = Graph::default();
        graph.apply("owner", node("owner", None));
        graph.apply("child", node("child", Some("owner")));
        assert_eq!(graph.dependents("owner").len(), 1);
        assert_eq!(graph.remove("owner"), ["child"]);
        graph.remove("child");
        assert!(graph.dependents("owner").is_empty());
    }

    #[test]
    fn an_owner_that_waits_is_looked_at_when_a_dependent_goes() {
        let mut graph = Graph::default();
        let waiting = Node {
            deleting: true,
            foreground: true,
            ..node("owner", None)
        };
        graph.apply("owner", waiting);
        graph.apply("child", node("child", Some("owner")));
        assert_eq!(graph.remove("child"), ["owner"]);
    }

    #[test]
    fn an_object_that_did_not_change_is_not_looked_at() {
        let mut graph = Graph::default();
        assert_eq!(graph.apply("a", node("a", Some("b"))), ["a"]);
        assert!(graph.apply("a", node("a", Some("b"))).is_empty());
    }
}
