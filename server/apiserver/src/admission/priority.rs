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
        let given = object["spec"]["priority"].as_i64();
        if given.is_some_and(|given| given != value) {
            let why = "the integer value of priority must not be provided in pod spec; priority \
                       admission controller computed 0 from the given PriorityClass name";
            return Err(Error::forbidden(
                review.resource(),
                meta::name(object),
                why.replace(" 0 ", &format!(" {value} ")),
            ));
        }
        object["spec"]["priority"] = value.into();
        if object["spec"]["preemptionPolicy"].is_null() {
            object["spec"]["preemptionPolicy"] = "PreemptLowerPriority".into();
        }
        Ok(())
    }
}
