//! TaintToleration: pods stay away from nodes whose taints they don't tolerate, and rather go where
//! no taint asks them to stay away.

use k8s_openapi::api::core::v1::{Taint, Toleration};

use super::{Filtered, Plugin, Reasons, scale};
use crate::cluster::Cluster;
use crate::node::NodeInfo;
use crate::pod::PodInfo;

pub(super) struct TaintToleration;

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn filters(&self, _: &PodInfo) -> bool {
        true
    }

    fn filter(&self, pod: &PodInfo, node: &NodeInfo, reasons: &mut Reasons) -> Filtered {
        let repels = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
        let mut repelling = node.offer.taints.iter().filter(repels);
        if repelling.all(|taint| pod.tolerations.iter().any(|t| tolerates(t, taint))) {
            return Filtered::Possible;
        }
        reasons.push("node(s) had untolerated taint(s)".into());
        Filtered::Impossible
    }

    fn scores(&self, _: &PodInfo) -> bool {
        true
    }

    /// The number of taints that would rather not have the pod.
    fn score(&self, pod: &PodInfo, node: &NodeInfo, _: &Cluster) -> i64 {
        let soft = node
            .offer
            .taints
            .iter()
            .filter(|taint| taint.effect == "PreferNoSchedule");
        let intolerable = soft.filter(|taint| !pod.tolerations.iter().any(|t| tolerates(t, taint)));
        // A node does not have more taints than an i64 counts.
        i64::try_from(intolerable.count()).unwrap_or(i64::MAX)
    }

    fn normalize(&self, scores: &mut [i64]) {
        scale(scores, true);
    }

    fn weight(&self) -> i64 {
        3
    }
}

/// Whether a toleration matches a taint. An empty key with `Exists` matches all.
pub(super) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let matches = |field: &Option<String>, value: &str| {
        field.as_deref().is_none_or(|f| f.is_empty() || f == value)
    };
    if !matches(&toleration.effect, &taint.effect) || !matches(&toleration.key, &taint.key) {
        return false;
    }
    match toleration.operator.as_deref() {
        Some("Exists") => true,
        None | Some("" | "Equal") => {
            toleration.value.as_deref().unwrap_or_default()
                == taint.value.as_deref().unwrap_or_default()
        }
        Some(_) => false,
    }
}
