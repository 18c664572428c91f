//! NodeResourcesFit: a node must have what a pod asks for, and the emptier it is the better
//! (LeastAllocated).

use super::{Filtered, MAX_SCORE, Plugin, Reasons};
use crate::cluster::Cluster;
use crate::node::NodeInfo;
use crate::pod::PodInfo;

pub(super) struct NodeResourcesFit;

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn filters(&self, _: &PodInfo) -> bool {
        true
    }

    fn filter(&self, pod: &PodInfo, node: &NodeInfo, reasons: &mut Reasons) -> Filtered {
        let (asked, taken, offered) = (
            &pod.footprint.requests,
            &node.requested,
            &node.offer.allocatable,
        );
        let mut filtered = Filtered::Possible;
        if node.pods >= node.offer.max_pods {
            reasons.push("Too many pods".into());
            filtered = Filtered::Occupied;
        }
        let mut check = |reason: fn(&str) -> std::borrow::Cow<'static, str>,
                         name: &str,
                         asked: i64,
                         taken: i64,
                         offered: i64| {
            if asked <= 0 || asked <= offered - taken {
                return;
            }
            reasons.push(reason(name));
            // Even an empty node would not do.
            if asked > offered {
                filtered = Filtered::Impossible;
            } else if filtered == Filtered::Possible {
                filtered = Filtered::Occupied;
            }
        };
        check(
            |_| "Insufficient cpu".into(),
            "",
            asked.cpu,
            taken.cpu,
            offered.cpu,
        );
        check(
            |_| "Insufficient memory".into(),
            "",
            asked.memory,
            taken.memory,
            offered.memory,
        );
        check(
            |_| "Insufficient ephemeral-storage".into(),
            "",
            asked.ephemeral_storage,
            taken.ephemeral_storage,
            offered.ephemeral_storage,
        );
        for (name, amount) in &asked.others {
            let insufficient = |name: &str| format!("Insufficient {name}").into();
            check(
                insufficient,
                name,
                *amount,
                taken.other(name),
                offered.other(name),
            );
        }
        filtered
    }

    fn scores(&self, _: &PodInfo) -> bool {
        true
    }

    /// The mean of the parts of CPU and memory that would be left.
    fn score(&self, pod: &PodInfo, node: &NodeInfo, _: &Cluster) -> i64 {
        let offered = &node.offer.allocatable;
        let left = |offered: i64, taken: i64| match offered {
            1.. if taken <= offered => {
                // The product of a node's memory and 100 fits.
                (offered - taken).saturating_mul(MAX_SCORE) / offered
            }
            _ => 0,
        };
        let cpu = left(offered.cpu, node.assumed_cpu + pod.footprint.assumed_cpu);
        let memory = left(
            offered.memory,
            node.assumed_memory + pod.footprint.assumed_memory,
        );
        let parts = i64::from(offered.cpu > 0) + i64::from(offered.memory > 0);
        match parts {
            0 => 0,
            _ => (cpu + memory) / parts,
        }
    }
}
