//! `get`: one object, as it stands in the cache.

use axum::response::Response;

use crate::call::Call;
use crate::error::{Error, Result};
use crate::options;
use crate::respond;

/// Answers with the object that the URL names.
pub(crate) async fn get(call: &Call) -> Result<Response> {
    let version = call.query.text("resourceVersion");
    let revision = options::revision(version)
        .map_err(|why| Error::bad_request(format!("invalid resource version: {why}")))?;
    match revision {
        None => call.app.cache.fresh().await?,
        Some(revision) => call.app.cache.reach(revision).await?,
    };
    let cache = call.app.cache.of(call.kind);
    let object = cache
        .get(&call.namespace, &call.name)
        .ok_or_else(|| Error::not_found(call.resource(), &call.name))?;
    respond::object(call, 200, object.json.clone())
}
