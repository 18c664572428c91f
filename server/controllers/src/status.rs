//! Writing `status`: the whole object to its `status` subresource, and nothing if nothing changes.
//!
//! An update rather than a patch, because that is what the controllers' roles allow, and because it
//! fails when the decision was made on an old version.

use std::fmt::Debug;

use kube::api::PostParams;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Changes the status of an object with `set`, if that changes anything. An object that is gone is
/// no error; one that has another version by now is a conflict.
pub(crate) async fn write<K>(
    objects: &Api<K>,
    object: &K,
    set: impl FnOnce(&mut K),
) -> kube::Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug + PartialEq + Serialize,
{
    let mut new = object.clone();
    set(&mut new);
    if new == *object {
        return Ok(());
    }
    let name = object.meta().name.as_deref().unwrap_or_default();
    match objects
        .replace_status(name, &PostParams::default(), &new)
        .await
    {
        Err(error) if client::object::is_not_found(&error) => Ok(()),
        other => other.map(drop),
    }
}
