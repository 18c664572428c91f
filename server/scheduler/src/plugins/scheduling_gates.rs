//! SchedulingGates: a pod with gates waits until somebody has taken them all away (KEP-3521).

use super::Plugin;
use crate::pod::PodInfo;

pub(super) struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn holds_back(&self, pod: &PodInfo) -> Option<String> {
        let gates = pod.gates.join(" ");
        (!gates.is_empty()).then(|| format!("waiting for scheduling gates: [{gates}]"))
    }
}
