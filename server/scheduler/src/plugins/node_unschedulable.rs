//! NodeUnschedulable: a cordoned node takes only pods that tolerate that.

use k8s_openapi::api::core::v1::Taint;

use super::taint_toleration::tolerates;
use super::{Filtered, Plugin, Reasons};
use crate::node::NodeInfo;
use crate::pod::PodInfo;

pub(super) struct NodeUnschedulable;

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn filters(&self, _: &PodInfo) -> bool {
        true
    }

    fn filter(&self, pod: &PodInfo, node: &NodeInfo, reasons: &mut Reasons) -> Filtered {
        if !node.offer.unschedulable {
            return Filtered::Possible;
        }
        let cordon = Taint {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        if pod.tolerations.iter().any(|t| tolerates(t, &cordon)) {
            return Filtered::Possible;
        }
        reasons.push("node(s) were unschedulable".into());
        Filtered::Impossible
    }
}
