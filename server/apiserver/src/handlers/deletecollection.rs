//! `deletecollection`: the end of all selected objects.

use axum::response::Response;
use bytes::Bytes;

use super::{delete, list};
use crate::call::Call;
use crate::error::Result;
use crate::options::ListOptions;
use crate::respond::{self, ListMeta};

/// Deletes the selected objects, one by one, and answers with them as they were.
pub(crate) async fn deletecollection(call: &Call, body: &Bytes) -> Result<Response> {
    let options = delete::options(call, body)?;
    let selected = ListOptions::parse(call.kind, &call.namespace, &call.query)?;
    let mut objects = list::selected(call, &selected.selection).await?;
    if selected.limit > 0 {
        objects.truncate(selected.limit);
    }
    for object in &objects {
        match delete::remove(call, &object.name, &options).await {
            Err(error) if error.reason == "NotFound" => {}
            other => {
                other?;
            }
        }
    }
    let meta = ListMeta {
        revision: call.app.cache.revision(),
        ..ListMeta::default()
    };
    respond::list(call, objects, &meta)
}
