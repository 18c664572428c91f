//! What authentication and authorization know of the cluster's objects.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;
use serde_json::Value;

use super::{node, rbac};

/// Facts drawn from objects, kept up to date by the watch cache through [`Known::observe`].
#[derive(Debug, Default)]
pub struct Known {
    pub(super) rbac: rbac::Index,
    pub(super) nodes: node::Graph,
    identities: RwLock<HashMap<Key, Identity>>,
}

/// An object that a token can be for or bound to.
#[derive(Debug)]
struct Identity {
    uid: String,
    /// When it is to be gone, if somebody has deleted it.
    deleted: Option<Timestamp>,
}

/// How long tokens are good after what they are for or bound to should be gone.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// Kind, namespace, name.
type Key = (&'static str, String, String);

/// The kinds that a service-account token can be for or bound to.
const IDENTITIES: [&str; 4] = ["ServiceAccount", "Pod", "Secret", "Node"];

impl Known {
    /// The kinds whose objects must be observed.
    pub const KINDS: [&'static str; 8] = [
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "ServiceAccount",
        "Pod",
        "Secret",
        "Node",
    ];

    /// Takes note of an object as it now is, `None` when it is gone. Other kinds are ignored.
    pub fn observe(&self, kind: &str, namespace: &str, name: &str, object: Option<&Value>) {
        self.rbac.set(kind, namespace, name, object);
        if kind == "Pod" {
            self.nodes.set_pod(namespace, name, object);
        }
        let Some(kind) = IDENTITIES.into_iter().find(|k| *k == kind) else {
            return;
        };
        let key = (kind, namespace.to_owned(), name.to_owned());
        let identity = object.and_then(|object| {
            let deleted = object["metadata"]["deletionTimestamp"].as_str();
            Some(Identity {
                uid: object["metadata"]["uid"].as_str()?.to_owned(),
                deleted: deleted.and_then(|time| time.parse().ok()),
            })
        });
        match identity {
            Some(identity) => self.identities.write().insert(key, identity),
            None => self.identities.write().remove(&key),
        };
    }

    /// Whether an object of a kind of [`IDENTITIES`] exists under this name with this uid. One that is
    /// only held by finalizers, a minute after its time, does not.
    pub(super) fn exists(
        &self,
        kind: &'static str,
        namespace: &str,
        name: &str,
        uid: &str,
        now: Timestamp,
    ) -> bool {
        let key = (kind, namespace.to_owned(), name.to_owned());
        self.identities.read().get(&key).is_some_and(|identity| {
            let over = identity.deleted.is_some_and(|time| time < now - LEEWAY);
            identity.uid == uid && !over
        })
    }
}
