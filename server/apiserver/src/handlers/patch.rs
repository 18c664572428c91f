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
use crate::body::{self, Duplicates, Expected};
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
        let (mut new, duplicates) = patched(call, body, schema, present)?;
        check(call, &mut new, options.validation, duplicates)?;
        check_name(call, &new)?;
        Ok(new)
    });
    respond::object(call, 200, written.await?.json)
}

/// An object after the patch in the body, and what the patch says twice.
pub(crate) fn patched(
    call: &Call,
    body: &[u8],
    schema: Option<&Schema>,
    present: &Value,
) -> Result<(Value, Duplicates)> {
    let media_type = body::media_type(call);
    if !matches!(media_type, JSON | MERGE | STRATEGIC) {
        return Err(Error::unsupported_patch());
    }
    let parsed = api::wire::json::parse(body).map_err(|error| match media_type {
        MERGE | JSON => Error::bad_request("invalid JSON patch"),
        _ => Error::bad_request(format!("error decoding patch: {}", error.message)),
    })?;
    let patch = parsed.value;
    let new = match media_type {
        JSON => api::patch::json::apply(present, &patch).map_err(refused)?,
        MERGE if patch.is_null() => return Err(Error::bad_request("Invalid JSON Patch")),
        STRATEGIC if patch.is_null() => present.clone(),
        MERGE | STRATEGIC if !patch.is_object() => {
            let decoding = match media_type {
                MERGE => "error decoding patch: ",
                _ => "",
            };
            return Err(Error::bad_request(format!(
                "{decoding}json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                body::json_type(&patch)
            )));
        }
        MERGE => api::patch::merge::apply(present, &patch),
        _ => {
            let schema = schema.ok_or_else(Error::unsupported_patch)?;
            let mut new = api::patch::strategic::apply(schema, present, &patch).map_err(refused)?;
            // The patch is about a typed struct, whose kind is settled whatever the patch says.
            for field in ["apiVersion", "kind"] {
                new[field] = present[field].clone();
            }
            new
        }
    };
    let of = if media_type == JSON {
        "json patch "
    } else {
        ""
    };
    Ok((new, Duplicates::Patch(of, parsed.duplicates)))
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
fn check(
    call: &Call,
    new: &mut Value,
    validation: Validation,
    duplicates: Duplicates,
) -> Result<()> {
    let resource = call.resource();
    let expected = Expected {
        api_version: &resource.api_version(),
        kind: resource.kind,
        schema: Some(resource.schema),
    };
    let shown = new.to_string();
    let blamed = |why: &str| {
        let problem = field::Error::invalid(&Path::new("patch"), shown.as_str(), why);
        Error::invalid("", "", "", &[problem])
    };
    body::identify(new, expected).map_err(|why| blamed(&why))?;
    body::check(call, new, expected, validation, duplicates).map_err(|error| {
        let why = error.message.split_once(": ").map_or("", |(_, why)| why);
        blamed(why)
    })
}
