//! `deletecollection`: the end of all selected objects.

use axum::response::Response;
use bytes::Bytes;

use super::{delete, list};
use crate::call::Call;
use crate::error::Result;
use crate::respond;

/// Deletes the selected objects, one by one, and answers with them as they were. A page of them, where a
/// limit or a continue token asks for one.
pub(crate) async fn deletecollection(call: &Call, body: &Bytes) -> Result<Response> {
    let options = delete::options(call, body)?;
    let page = list::page(call).await?;
    for object in &page.objects {
        match delete::remove(call, &object.name, &options).await {
            Err(error) if error.reason == "NotFound" => {}
            other => {
                other?;
            }
        }
    }
    respond::list(call, page.objects, &page.meta)
}
