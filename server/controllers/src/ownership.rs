//! Taking over objects that match a selector, and letting go of those that no longer do.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use client::object::{is_not_found, uid};

/// Whether an owner may adopt: it is still there, the same one, and not being deleted. Asks the
/// server, because an adopter that is out of date would take what its deletion has just let go.
pub(crate) async fn may_adopt<K>(owners: &Api<K>, owner: &ObjectMeta) -> kube::Result<bool>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let name = owner.name.as_deref().unwrap_or_default();
    let live = owners.get_metadata_opt(name).await?;
    Ok(live.is_some_and(|live| {
        live.metadata.uid == owner.uid && live.metadata.deletion_timestamp.is_none()
    }))
}

/// Makes `owner` the controller of an object. One that is gone is no error.
pub(crate) async fn adopt<K>(
    objects: &Api<K>,
    object: &ObjectMeta,
    owner: OwnerReference,
) -> kube::Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let patch = json!({"metadata": {"uid": uid(object), "ownerReferences": [owner]}});
    send(objects, object, patch).await
}

/// Removes the owner with this uid from an object. One that is gone is no error.
pub(crate) async fn release<K>(
    objects: &Api<K>,
    object: &ObjectMeta,
    owner: &str,
) -> kube::Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let gone = json!([{"$patch": "delete", "uid": owner}]);
    let patch = json!({"metadata": {"uid": uid(object), "ownerReferences": gone}});
    send(objects, object, patch).await
}

async fn send<K>(
    objects: &Api<K>,
    object: &ObjectMeta,
    patch: serde_json::Value,
) -> kube::Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let name = object.name.as_deref().unwrap_or_default();
    let params = PatchParams::default();
    match objects
        .patch_metadata(name, &params, &Patch::Strategic(patch))
        .await
    {
        Err(error) if is_not_found(&error) => Ok(()),
        // The uid in the patch differs: the name is another object's now.
        Err(kube::Error::Api(status)) if status.code == 409 || status.code == 422 => {
            tracing::debug!(name, %status, "the object is another one now");
            Ok(())
        }
        other => other.map(drop),
    }
}
