//! `pods/eviction`: deletes a pod, as far as its disruption budgets let it go. There are none before the
//! kind PodDisruptionBudget is served.

use api::meta;
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;

use crate::body::{self, Expected};
use crate::call::Call;
use crate::error::{self, Error, Result};
use crate::handlers;
use crate::options::{DeleteOptions, WriteOptions};
use crate::respond;

/// Evicts the pod that the URL names.
pub(crate) async fn create(call: &Call, body: &Bytes) -> Result<Response> {
    let write = WriteOptions::parse("CreateOptions", &call.query)?;
    let expected = Expected {
        api_version: "policy/v1",
        kind: "Eviction",
        schema: Some("io.k8s.api.policy.v1.Eviction"),
    };
    let eviction = body::object(call, body, write.validation, expected)?;
    let name = meta::name(&eviction);
    if name != call.name {
        return Err(Error::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    handlers::check_namespace(call, &eviction)?;
    let asked = &eviction["deleteOptions"];
    let given = if asked.is_object() {
        asked.clone()
    } else {
        json!({})
    };
    let mut options = DeleteOptions::parse(&call.query, Some(&given))?;
    options.dry_run |= write.dry_run;
    handlers::remove(call, &call.name, &options).await?;
    Ok(respond::value(call.form, 201, &error::created()))
}
