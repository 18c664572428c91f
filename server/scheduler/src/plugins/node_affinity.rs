//! NodeAffinity: the node selector and the node affinity of a pod.

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

use super::{Filtered, Plugin, Reasons, scale};
use crate::cluster::Cluster;
use crate::node::NodeInfo;
use crate::pod::PodInfo;

pub(super) struct NodeAffinity;

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn filters(&self, pod: &PodInfo) -> bool {
        !pod.node_selector.is_empty() || required(pod).is_some()
    }

    fn filter(&self, pod: &PodInfo, node: &NodeInfo, reasons: &mut Reasons) -> Filtered {
        let labels = &node.offer.labels;
        let selected = pod
            .node_selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        let wanted =
            required(pod).is_none_or(|terms| terms.iter().any(|term| matches_term(term, node)));
        if selected && wanted {
            return Filtered::Possible;
        }
        reasons.push("node(s) didn't match Pod's node affinity/selector".into());
        Filtered::Impossible
    }

    fn scores(&self, pod: &PodInfo) -> bool {
        let affinity = pod.node_affinity.as_ref();
        let preferred = affinity.and_then(|a| {
            a.preferred_during_scheduling_ignored_during_execution
                .as_ref()
        });
        preferred.is_some_and(|terms| !terms.is_empty())
    }

    /// The sum of the weights of the preferences that the node meets.
    fn score(&self, pod: &PodInfo, node: &NodeInfo, _: &Cluster) -> i64 {
        let affinity = pod.node_affinity.as_ref();
        let preferred = affinity.and_then(|a| {
            a.preferred_during_scheduling_ignored_during_execution
                .as_ref()
        });
        let met = preferred
            .into_iter()
            .flatten()
            .filter(|p| matches_term(&p.preference, node));
        met.map(|p| i64::from(p.weight)).sum()
    }

    fn normalize(&self, scores: &mut [i64]) {
        scale(scores, false);
    }

    fn weight(&self) -> i64 {
        2
    }
}

fn required(pod: &PodInfo) -> Option<&[NodeSelectorTerm]> {
    let affinity = pod.node_affinity.as_ref()?;
    let selector = affinity
        .required_during_scheduling_ignored_during_execution
        .as_ref()?;
    Some(&selector.node_selector_terms)
}

/// Whether a node meets all requirements of a term. A term without requirements matches nothing.
fn matches_term(term: &NodeSelectorTerm, node: &NodeInfo) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let label = |key: &str| node.offer.labels.get(key).map(String::as_str);
    // The only field that the API allows.
    let field = |key: &str| (key == "metadata.name").then_some(node.name.as_str());
    expressions.iter().all(|r| meets(r, label(&r.key)))
        && fields.iter().all(|r| meets(r, field(&r.key)))
}

fn meets(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = || value.is_some_and(|value| values.iter().any(|v| v == value));
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    let bound = || values.first().and_then(|v| v.parse::<i64>().ok());
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number()
            .zip(bound())
            .is_some_and(|(number, bound)| number > bound),
        "Lt" => number()
            .zip(bound())
            .is_some_and(|(number, bound)| number < bound),
        _ => false,
    }
}
