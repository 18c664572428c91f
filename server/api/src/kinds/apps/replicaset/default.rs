//! One replica, where a ReplicaSet does not say.

use serde_json::Value;

use crate::kinds::apps::workload::default_template;
use crate::kinds::canonical::canonical;
use crate::kinds::read::{part_mut, set_default};

pub(super) fn object(schema: &str, object: &mut Value) {
    canonical(schema, object);
    default_template(object);
    if let Some(spec) = part_mut(object, "spec") {
        set_default(spec, "replicas", 1);
    }
    if let Some(status) = part_mut(object, "status") {
        set_default(status, "replicas", 0);
    }
}
