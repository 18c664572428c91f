//! NodeName: a pod that names its node goes nowhere else.

use super::{Filtered, Plugin, Reasons};
use crate::node::NodeInfo;
use crate::pod::PodInfo;

pub(super) struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn filters(&self, pod: &PodInfo) -> bool {
        !pod.node_name.is_empty()
    }

    fn filter(&self, pod: &PodInfo, node: &NodeInfo, reasons: &mut Reasons) -> Filtered {
        if pod.node_name == node.name {
            return Filtered::Possible;
        }
        reasons.push("node(s) didn't match the requested node name".into());
        Filtered::Impossible
    }
}
