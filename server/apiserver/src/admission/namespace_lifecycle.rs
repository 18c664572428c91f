//! NamespaceLifecycle: nothing is created in a namespace that is not there or is going away, and some
//! namespaces stay.

use api::meta;
use async_trait::async_trait;
use serde_json::Value;

use super::{Operation, Plugin, Review};
use crate::error::{Error, Result};

/// Namespaces that can't be deleted.
const IMMORTAL: &[&str] = &["default", "kube-public", "kube-system"];

/// The plugin.
pub(super) struct NamespaceLifecycle;

#[async_trait]
impl Plugin for NamespaceLifecycle {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        if review.operation == Operation::Delete && review.is("", "namespaces") {
            let name = meta::name(object);
            return match IMMORTAL.contains(&name) {
                true => Err(Error::forbidden(
                    review.resource(),
                    name,
                    "this namespace may not be deleted",
                )),
                false => Ok(()),
            };
        }
        let namespace = review.call.namespace.as_str();
        // A question may be asked anywhere.
        if review.operation != Operation::Create
            || namespace.is_empty()
            || !review.resource().is_stored()
        {
            return Ok(());
        }
        let app = &review.call.app;
        let Some(kind) = api::kinds::by_plural("", "v1", "namespaces") else {
            return Ok(());
        };
        let cache = app.cache.of(kind);
        if cache.get("", namespace).is_none() {
            // It may be as new as that.
            app.cache.fresh().await?;
        }
        let found = cache
            .get("", namespace)
            .ok_or_else(|| Error::not_found(kind.resource(), namespace))?;
        let phase = found
            .fields
            .iter()
            .find(|(field, _)| *field == "status.phase");
        let terminating = phase.is_some_and(|(_, phase)| phase == "Terminating");
        match terminating {
            true => Err(Error::namespace_terminating(
                review.resource(),
                meta::name(object),
                namespace,
            )),
            false => Ok(()),
        }
    }
}
