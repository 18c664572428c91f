//! The plugins, a file each, and the one list that registers them.
//!
//! For each pod, `filter` says which nodes are possible and `score` which of them is best. A plugin
//! that a pod gives nothing to do says so once, in `filters` and `scores`, and costs nothing more.

mod image_locality;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_fit;
mod node_unschedulable;
mod scheduling_gates;
mod taint_toleration;

use std::borrow::Cow;

use crate::cluster::Cluster;
use crate::node::NodeInfo;
use crate::pod::PodInfo;

/// The highest score of a node.
pub(crate) const MAX_SCORE: i64 = 100;

/// Why a node is not possible, as the user reads it.
pub(crate) type Reasons = Vec<Cow<'static, str>>;

/// Whether a node is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filtered {
    /// It is.
    Possible,
    /// It isn't, but might be if pods were taken away.
    Occupied,
    /// It isn't, whatever is taken away.
    Impossible,
}

/// A plugin. What a plugin doesn't care about keeps its default.
pub(crate) trait Plugin: Sync {
    /// The name, as Kubernetes has it.
    fn name(&self) -> &'static str;

    /// Why the pod is not to be looked at yet.
    fn holds_back(&self, _pod: &PodInfo) -> Option<String> {
        None
    }

    /// Whether `filter` can say no to this pod.
    fn filters(&self, _pod: &PodInfo) -> bool {
        false
    }

    /// Whether a node is possible; if not, adds why.
    fn filter(&self, _pod: &PodInfo, _node: &NodeInfo, _reasons: &mut Reasons) -> Filtered {
        Filtered::Possible
    }

    /// Whether `score` tells nodes apart for this pod.
    fn scores(&self, _pod: &PodInfo) -> bool {
        false
    }

    /// How good a possible node is, higher is better.
    fn score(&self, _pod: &PodInfo, _node: &NodeInfo, _cluster: &Cluster) -> i64 {
        0
    }

    /// Brings the scores of all possible nodes into 0 to [`MAX_SCORE`].
    fn normalize(&self, _scores: &mut [i64]) {}

    /// How much the score counts beside the others'.
    fn weight(&self) -> i64 {
        1
    }
}

/// Every plugin, in the order of their filters: a line each.
pub(crate) static PLUGINS: &[&dyn Plugin] = &[
    &scheduling_gates::SchedulingGates,
    &node_unschedulable::NodeUnschedulable,
    &node_name::NodeName,
    &taint_toleration::TaintToleration,
    &node_affinity::NodeAffinity,
    &node_ports::NodePorts,
    &node_resources_fit::NodeResourcesFit,
    &image_locality::ImageLocality,
];

/// Scales scores so that the highest is [`MAX_SCORE`]; with `reverse`, so that the lowest is.
fn scale(scores: &mut [i64], reverse: bool) {
    let most = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        let scaled = match most {
            0 => 0,
            _ => *score * MAX_SCORE / most,
        };
        *score = if reverse { MAX_SCORE - scaled } else { scaled };
    }
}
