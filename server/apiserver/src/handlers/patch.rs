//! `patch`: changes to an object, in one of four forms.

use api::field::{self, Path};
use api::kind::Part;
use api::patch::PatchError;
use api::schema::Schema;
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::update::check_name;
use super::write::{self, Change};
use crate::body::{self, Expected};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::options::{Validation, WriteOptions};
use crate::respond;

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Patches the object that the URL names, or its part.
pub(crate) async fn patch(call: &Call, part: Part, body: &Bytes) -> Result<Response> {
    if body::media_type(call) == APPLY {
        return super::apply(call, part, body).await;
    }
    let options = WriteOptions::parse("PatchOptions", &call.query)?;
    if options.force.is_some() {
        let path = Path::new("force");
        let problem = field::Error::forbidden(&path, "may not be specified for non-apply patch");
        return Err(Error::invalid_options("PatchOptions", &[problem]));
    }
    let schema = api::schema::of(call.resource().schema);
    let change = Change {
        part,
        options: &options,
        create: false,
        owned: false,
    };
    let written = write::change(call, &change, |present| {
        let present = present.ok_or_else(|| Error::not_found(call.resource(), &call.name))?;
        let mut new = patched(call, body, schema, present)?;
        check(call, &mut new, options.validation)?;
        check_name(call, &new)?;
        Ok(new)
    });
    respond::object(call, 200, written.await?.json)
}

/// An object after the patch in the body.
pub(crate) fn patched(
    call: &Call,
    body: &[u8],
    schema: Option<&Schema>,
    present: &Value,
) -> Result<Value> {
    let patch = || {
        let parsed =
            api::wire::json::parse(body).map_err(|error| match body::media_type(call) {
                MERGE => Error::bad_request("invalid JSON patch"),
                _ => Error::bad_request(format!("error decoding patch: {}", error.message)),
            })?;
        Ok::<Value, Error>(parsed.value)
    };
    match body::media_type(call) {
        JSON => api::patch::json::apply(present, &patch()?).map_err(refused),
        MERGE => {
            let patch = patch()?;
            if !patch.is_object() {
                return Err(Error::bad_request(format!(
                    "error decoding patch: json: cannot unmarshal {} into Go value of type \
                     map[string]interface {{}}",
                    body::json_type(&patch)
                )));
            }
            Ok(api::patch::merge::apply(present, &patch))
        }
        STRATEGIC => {
            let schema = schema.ok_or_else(Error::unsupported_patch)?;
            api::patch::strategic::apply(schema, present, &patch()?).map_err(refused)
        }
        _ => Err(Error::unsupported_patch()),
    }
}

fn refused(error: PatchError) -> Error {
    match error {
        PatchError::Malformed(why) => Error::bad_request(why),
        PatchError::Unprocessable(_) => {
            Error::unprocessable("the server rejected our request due to an error in our request")
        }
        PatchError::TooLarge(why) => Error::too_much(why),
    }
}

/// Checks a patched object as a body would be; the patch is to blame for what is wrong.
fn check(call: &Call, new: &mut Value, validation: Validation) -> Result<()> {
    let resource = call.resource();
    let expected = Expected {
        api_version: &resource.api_version(),
        kind: resource.kind,
        schema: Some(resource.schema),
    };
    let shown = new.to_string();
    body::check(call, new, expected, validation, Vec::new()).map_err(|error| {
        let why = error.message.split_once(": ").map_or("", |(_, why)| why);
        let problem = field::Error::invalid(&Path::new("patch"), shown, why);
        Error::invalid("", "", "", &[problem])
    })
}
