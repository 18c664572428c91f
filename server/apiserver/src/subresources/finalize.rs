//! `namespaces/finalize`: lets go of `spec.finalizers`. When nothing holds the namespace any more, it goes.

use api::kind::Part;
use axum::response::Response;
use bytes::Bytes;

use crate::call::Call;
use crate::error::Result;
use crate::handlers;

/// Replaces the finalizers of the object that the URL names.
pub(crate) async fn update(call: &Call, body: &Bytes) -> Result<Response> {
    handlers::update(call, Part::Other("finalize"), body).await
}
