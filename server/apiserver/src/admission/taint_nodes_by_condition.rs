//! TaintNodesByCondition: a new node takes no pods until somebody has seen it ready.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Operation, Plugin, Review};
use crate::error::Result;

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// The plugin.
pub(super) struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        if !review.is("", "nodes") || review.operation != Operation::Create {
            return Ok(());
        }
        let taint = json!({ "key": NOT_READY, "effect": "NoSchedule" });
        let spec = &mut object["spec"];
        let taints = api::meta::list(&spec["taints"]);
        let there = taints
            .iter()
            .any(|t| t["key"] == NOT_READY && t["effect"] == "NoSchedule");
        if !there {
            match spec["taints"].as_array_mut() {
                Some(taints) => taints.push(taint),
                None => spec["taints"] = json!([taint]),
            }
        }
        Ok(())
    }
}
