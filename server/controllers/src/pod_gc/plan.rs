//! Which pods nobody else will delete. No I/O.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

use crate::pods;
use client::object::{Key, uid};

/// What matters of a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Candidate {
    namespace: String,
    name: String,
    uid: String,
    node: String,
    terminal: bool,
    deleting: bool,
    created: Timestamp,
}

impl Default for Candidate {
    fn default() -> Self {
        Self::of(&Pod::default())
    }
}

impl Candidate {
    /// What matters of `pod`.
    pub(crate) fn of(pod: &Pod) -> Self {
        let key = Key::of(&pod.metadata);
        let created = pod.metadata.creation_timestamp.as_ref();
        Self {
            namespace: key.namespace,
            name: key.name,
            uid: uid(&pod.metadata).to_owned(),
            node: pods::node_name(pod).to_owned(),
            terminal: pods::is_terminal(pod),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            created: created.map_or(Timestamp::UNIX_EPOCH, |t| t.0),
        }
    }
}

/// What a plan is made from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Observed {
    /// All pods.
    pub(crate) pods: Vec<Candidate>,
    /// The nodes of pods that are certainly gone.
    pub(crate) missing_nodes: Vec<String>,
    /// How many ended pods to keep.
    pub(crate) keep: usize,
}

/// Why a pod is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Reason {
    /// Its node is gone.
    NodeGone,
    /// It was deleted before it had a node, so no node will confirm that.
    NeverScheduled,
    /// There are too many ended pods.
    TooMany,
}

/// A pod to delete.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Victim {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) reason: Reason,
}

impl Victim {
    /// Where the pod is.
    pub(crate) fn key(&self) -> Key {
        Key::new(self.namespace.clone(), self.name.clone())
    }
}

/// Decides.
pub(crate) fn plan(observed: &Observed) -> Vec<Victim> {
    let mut victims = Vec::new();
    let mut ended: Vec<&Candidate> = Vec::new();
    for pod in &observed.pods {
        if observed.missing_nodes.contains(&pod.node) {
            victims.push(victim(pod, Reason::NodeGone));
        } else if pod.deleting && pod.node.is_empty() {
            victims.push(victim(pod, Reason::NeverScheduled));
        } else if pod.terminal && !pod.deleting {
            ended.push(pod);
        }
    }
    ended.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let surplus = ended.len().saturating_sub(observed.keep);
    victims.extend(
        ended[..surplus]
            .iter()
            .map(|pod| victim(pod, Reason::TooMany)),
    );
    victims
}

fn victim(pod: &Candidate, reason: Reason) -> Victim {
    Victim {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("pod_gc", |observed| super::plan(&observed));
    }
}
