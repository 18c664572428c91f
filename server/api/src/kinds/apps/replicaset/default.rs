//! One replica, where a ReplicaSet does not say.

use serde_json::Value;

use crate::kinds::apps::workload::default_template;
use crate::kinds::read::{part_mut, set_default};

pub(super) fn object(object: &mut Value) {
    default_template(object);
    if let Some(spec) = part_mut(object, "spec") {
        set_default(spec, "replicas", 1);
    }
}
