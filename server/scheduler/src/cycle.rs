//! One scheduling cycle: which node a pod goes to, or why to none. No I/O.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::cluster::Cluster;
use crate::node::NodeInfo;
use crate::plugins::{Filtered, PLUGINS, Plugin, Reasons};
use crate::pod::PodInfo;

/// Fewer possible nodes than this are never looked for, if there are as many.
const FEWEST: usize = 100;

/// Why a pod can't be scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unschedulable {
    /// The text of the event and the condition.
    pub(crate) message: String,
}

/// Chooses nodes. It remembers where it stopped, so that over time all nodes get their turn although
/// each cycle looks at a part of a large cluster only.
#[derive(Debug, Default)]
pub(crate) struct Cycle {
    next: usize,
    possible: Vec<usize>,
    scores: Vec<i64>,
    totals: Vec<i64>,
    reasons: Reasons,
}

/// What the filters said about the nodes that are not possible.
#[derive(Default)]
struct Diagnosis {
    counts: HashMap<std::borrow::Cow<'static, str>, usize>,
    occupied: usize,
    impossible: usize,
    /// A node has pods of lower priority.
    has_victims: bool,
}

impl Cycle {
    /// The name of the best node for a pod.
    pub(crate) fn choose<'a>(
        &mut self,
        pod: &PodInfo,
        cluster: &'a Cluster,
    ) -> Result<&'a str, Unschedulable> {
        let nodes = cluster.nodes();
        if nodes.is_empty() {
            let message = "no nodes available to schedule pods".to_owned();
            return Err(Unschedulable { message });
        }
        self.find_possible(pod, nodes);
        match self.possible[..] {
            [] => Err(self.explain(pod, nodes)),
            [only] => Ok(&nodes[only].name),
            _ => Ok(&nodes[self.best(pod, cluster)].name),
        }
    }

    /// Fills `possible`, from where the last cycle stopped until there are enough.
    fn find_possible(&mut self, pod: &PodInfo, nodes: &[NodeInfo]) {
        let enough = enough(nodes.len());
        let filters: Filters = active_filters(pod);
        self.possible.clear();
        let start = self.next % nodes.len();
        let mut looked_at = 0;
        for offset in 0..nodes.len() {
            let index = (start + offset) % nodes.len();
            looked_at += 1;
            if passes(&filters, pod, &nodes[index], &mut self.reasons) == Filtered::Possible {
                self.possible.push(index);
                if self.possible.len() == enough {
                    break;
                }
            }
        }
        self.next = (start + looked_at) % nodes.len();
    }

    fn best(&mut self, pod: &PodInfo, cluster: &Cluster) -> usize {
        let nodes = cluster.nodes();
        self.totals.clear();
        self.totals.resize(self.possible.len(), 0);
        for plugin in PLUGINS.iter().filter(|plugin| plugin.scores(pod)) {
            self.scores.clear();
            let each = self
                .possible
                .iter()
                .map(|index| plugin.score(pod, &nodes[*index], cluster));
            self.scores.extend(each);
            plugin.normalize(&mut self.scores);
            for (total, score) in self.totals.iter_mut().zip(&self.scores) {
                *total += score * plugin.weight();
            }
        }
        let mut best = 0;
        for index in 1..self.totals.len() {
            // The first of equals: as each cycle starts elsewhere, equals take turns.
            if self.totals[index] > self.totals[best] {
                best = index;
            }
        }
        self.possible[best]
    }

    /// Why no node is possible. Runs the filters again, which only pods without a node pay for.
    fn explain(&mut self, pod: &PodInfo, nodes: &[NodeInfo]) -> Unschedulable {
        let filters = active_filters(pod);
        let mut diagnosis = Diagnosis::default();
        for node in nodes {
            match passes(&filters, pod, node, &mut self.reasons) {
                Filtered::Possible => continue,
                Filtered::Occupied => {
                    diagnosis.occupied += 1;
                    diagnosis.has_victims |= node.has_lower(pod.footprint.priority);
                }
                Filtered::Impossible => diagnosis.impossible += 1,
            }
            for reason in self.reasons.drain(..) {
                *diagnosis.counts.entry(reason).or_default() += 1;
            }
        }
        let message = diagnosis.message(pod, nodes.len());
        Unschedulable { message }
    }
}

impl Diagnosis {
    /// The text, as kube-scheduler words it.
    fn message(&self, pod: &PodInfo, nodes: usize) -> String {
        let mut reasons: Vec<String> = self
            .counts
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        reasons.sort();
        let mut text = format!("0/{nodes} nodes are available:");
        if !reasons.is_empty() {
            let _ = write!(text, " {}.", reasons.join(", "));
        }
        if let Some(preemption) = self.preemption(pod, nodes) {
            let _ = write!(text, " preemption: {preemption}");
        }
        text
    }

    /// What taking pods away would bring. This scheduler takes none away; where that might help it
    /// says nothing rather than something untrue.
    fn preemption(&self, pod: &PodInfo, nodes: usize) -> Option<String> {
        if pod.never_preempts {
            return Some("not eligible due to preemptionPolicy=Never.".to_owned());
        }
        if self.has_victims {
            return None;
        }
        let mut parts = Vec::new();
        if self.occupied > 0 {
            parts.push(format!(
                "{} No preemption victims found for incoming pod",
                self.occupied
            ));
        }
        if self.impossible > 0 {
            parts.push(format!(
                "{} Preemption is not helpful for scheduling",
                self.impossible
            ));
        }
        parts.sort();
        Some(format!(
            "0/{nodes} nodes are available: {}.",
            parts.join(", ")
        ))
    }
}

type Filters = Vec<&'static dyn Plugin>;

fn active_filters(pod: &PodInfo) -> Filters {
    PLUGINS
        .iter()
        .copied()
        .filter(|plugin| plugin.filters(pod))
        .collect()
}

/// What the first filter that objects says; its reasons are left in `reasons`.
fn passes(
    filters: &[&dyn Plugin],
    pod: &PodInfo,
    node: &NodeInfo,
    reasons: &mut Reasons,
) -> Filtered {
    reasons.clear();
    for plugin in filters {
        let filtered = plugin.filter(pod, node, reasons);
        if filtered != Filtered::Possible {
            return filtered;
        }
    }
    Filtered::Possible
}

/// Whether a pod could go to a node: what decides if a change of the node is news for the pod.
pub(crate) fn fits(pod: &PodInfo, node: &NodeInfo) -> bool {
    let filters = active_filters(pod);
    passes(&filters, pod, node, &mut Reasons::new()) == Filtered::Possible
}

/// The plugin that does not want the pod to be looked at yet, and why.
pub(crate) fn held_back(pod: &PodInfo) -> Option<(&'static str, String)> {
    let mut all = PLUGINS.iter();
    all.find_map(|plugin| Some((plugin.name(), plugin.holds_back(pod)?)))
}

/// How many possible nodes are enough: all of a small cluster, 5 to 50 % of a large one.
fn enough(nodes: usize) -> usize {
    if nodes < FEWEST {
        return nodes;
    }
    let percent = 50_usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(FEWEST)
}

#[cfg(test)]
mod tests;
