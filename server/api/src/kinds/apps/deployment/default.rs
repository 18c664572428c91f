//! How a Deployment rolls out where it does not say.

use serde_json::Value;

use crate::kinds::apps::workload::default_template;
use crate::kinds::read::{part_mut, part_or_new, set_default, text};

pub(super) fn object(object: &mut Value) {
    default_template(object);
    let Some(spec) = part_mut(object, "spec") else {
        return;
    };
    set_default(spec, "replicas", 1);
    set_default(spec, "revisionHistoryLimit", 10);
    set_default(spec, "progressDeadlineSeconds", 600);
    let strategy = part_or_new(spec, "strategy");
    set_default(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = part_or_new(strategy, "rollingUpdate");
        set_default(rolling, "maxUnavailable", "25%");
        set_default(rolling, "maxSurge", "25%");
    }
}
