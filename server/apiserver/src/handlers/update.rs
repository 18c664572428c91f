//! `update`: an object as a whole, or one of its parts.

use api::kind::Part;
use api::meta;
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::create::check_namespace;
use super::write::{self, Change};
use crate::body::{self, Expected};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::policy;
use crate::respond;

/// Replaces the object that the URL names, or its part, by the one in the body.
pub(crate) async fn update(call: &Call, part: Part, body: &Bytes) -> Result<Response> {
    let options = WriteOptions::parse("UpdateOptions", &call.query)?;
    let resource = call.resource();
    let expected = Expected {
        api_version: &resource.api_version(),
        kind: resource.kind,
        schema: Some(resource.schema),
    };
    let object = body::object(call, body, options.validation, expected)?;
    check_name(call, &object)?;
    check_namespace(call, &object)?;
    let change = Change {
        part,
        options: &options,
        create: part == Part::Main && policy::creates_on_update(resource),
        owned: false,
    };
    let written = write::change(call, &change, |_| Ok(object.clone())).await?;
    respond::object(call, if written.created { 201 } else { 200 }, written.json)
}

/// The name in the body is the one in the URL.
pub(crate) fn check_name(call: &Call, object: &Value) -> Result<()> {
    let (given, wanted) = (meta::name(object), call.name.as_str());
    if given == wanted {
        return Ok(());
    }
    Err(Error::bad_request(match given {
        "" => format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        ),
        given => format!(
            "the name of the object ({given}) does not match the name on the URL ({wanted})"
        ),
    }))
}
