//! `patch` by server-side apply: the client says what it wants of the object, and owns that.

use api::kind::Part;
use axum::response::Response;
use bytes::Bytes;

use crate::call::Call;
use crate::error::{Error, Result};

/// Applies the configuration in the body.
pub(crate) async fn apply(_call: &Call, _part: Part, _body: &Bytes) -> Result<Response> {
    Err(Error::unsupported_patch())
}
