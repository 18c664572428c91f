//! Priority: the number that a pod's priority class stands for. The two classes of the system are known;
//! others need the kind PriorityClass.

use api::meta;
use async_trait::async_trait;
use serde_json::Value;

use super::{Operation, Plugin, Review};
use crate::error::{Error, Result};

const SYSTEM: &[(&str, i64)] = &[
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

/// What all known classes say of preemption.
const POLICY: &str = "PreemptLowerPriority";

/// The plugin.
pub(super) struct Priority;

#[async_trait]
impl Plugin for Priority {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        if !review.is("", "pods") || review.operation != Operation::Create {
            return Ok(());
        }
        let class = object["spec"]["priorityClassName"]
            .as_str()
            .unwrap_or_default();
        let known = SYSTEM.iter().find(|(name, _)| *name == class);
        let value = match (class, known) {
            ("", _) => 0,
            (_, Some((_, value))) => *value,
            (class, None) => {
                let why = format!("no PriorityClass with name {class} was found");
                return Err(Error::forbidden(review.resource(), meta::name(object), why));
            }
        };
        let refused = |field: &str, given: &str, computed: &str| {
            let why = format!(
                "the {field} ({given}) must not be provided in pod spec; priority admission controller \
                 computed {computed} from the given PriorityClass name"
            );
            Error::forbidden(review.resource(), meta::name(object), why)
        };
        let spec = &object["spec"];
        if let Some(given) = spec["priority"].as_i64().filter(|given| *given != value) {
            let field = "integer value of priority";
            return Err(refused(field, &given.to_string(), &value.to_string()));
        }
        if let Some(given) = spec["preemptionPolicy"].as_str().filter(|p| *p != POLICY) {
            return Err(refused("string value of PreemptionPolicy", given, POLICY));
        }
        object["spec"]["priority"] = value.into();
        object["spec"]["preemptionPolicy"] = POLICY.into();
        Ok(())
    }
}
