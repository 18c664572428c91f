//! Nobody grants rights that they don't have: the check that RBAC's registry makes before it stores a
//! role or a binding.

use api::kind::Part;
use api::meta;
use async_trait::async_trait;
use serde_json::Value;

use super::{Operation, Plugin, Review};
use crate::auth::rbac::Escalation as Refused;
use crate::error::{Error, Result};

/// The plugin.
pub(super) struct Escalation;

#[async_trait]
impl Plugin for Escalation {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        let resource = review.resource();
        if resource.group != "rbac.authorization.k8s.io"
            || review.operation == Operation::Delete
            || review.part != Part::Main
        {
            return Ok(());
        }
        let call = review.call;
        let rbac = call.app.authorizer.rbac();
        let checked = rbac.check_escalation(
            &call.user,
            resource.kind,
            &call.namespace,
            object,
            review.old,
        );
        checked.map_err(|refused| match refused {
            Refused::Forbidden(why) => Error::forbidden(resource, meta::name(object), why),
            Refused::RoleNotFound(why) => Error::role_not_found(resource, why),
        })
    }
}
