//! RuntimeClass: a pod names a class that exists, and only the class says what its runtime costs. The
//! kind RuntimeClass is not served, so no class exists.

use api::meta;
use async_trait::async_trait;
use serde_json::Value;

use super::{Operation, Plugin, Review};
use crate::error::{Error, Result};

/// The plugin.
pub(super) struct RuntimeClass;

#[async_trait]
impl Plugin for RuntimeClass {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        if !review.is("", "pods") || review.operation != Operation::Create {
            return Ok(());
        }
        let spec = &object["spec"];
        let why = match spec["runtimeClassName"].as_str() {
            Some(class) => format!("pod rejected: RuntimeClass {class:?} not found"),
            None if spec["overhead"].is_object() => {
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                    .to_owned()
            }
            None => return Ok(()),
        };
        Err(Error::forbidden(review.resource(), meta::name(object), why))
    }
}
