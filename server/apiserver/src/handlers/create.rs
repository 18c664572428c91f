//! `create`: a new object.

use api::meta;
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::write;
use crate::body::{self, Expected};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::respond;

/// How many generated names are tried before the client is told that they are taken.
const NAMES: usize = 8;

/// Stores the object in the body.
pub(crate) async fn create(call: &Call, body: &Bytes) -> Result<Response> {
    let options = WriteOptions::parse("CreateOptions", &call.query)?;
    let resource = call.resource();
    let expected = Expected {
        api_version: &resource.api_version(),
        kind: resource.kind,
        schema: Some(resource.schema),
    };
    let object = body::object(call, body, options.validation, expected)?;
    check_namespace(call, &object)?;
    if !resource.is_stored() {
        return super::answer::answer(call, object, &options).await;
    }
    let version = meta::resource_version(&object);
    if !matches!(version, "" | "0") {
        return Err(Error::unclassified(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let base = object["metadata"]["generateName"]
        .as_str()
        .unwrap_or_default();
    if !meta::name(&object).is_empty() || base.is_empty() {
        let written = write::insert(call, object, &options, false).await?;
        return respond::object(call, 201, written.json);
    }
    let base = base.to_owned();
    let mut taken = None;
    for _ in 0..NAMES {
        let mut named = object.clone();
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        let name = meta::name::generate(&base, random);
        write::metadata(&mut named).insert("name".into(), name.into());
        match write::insert(call, named, &options, false).await {
            Ok(written) => return respond::object(call, 201, written.json),
            Err(error) if error.reason == "AlreadyExists" => taken = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(taken.unwrap_or_else(Error::no_such_resource))
}

/// The namespace in the body, if any, is the one in the URL. Without one in the URL it says nothing.
pub(crate) fn check_namespace(call: &Call, object: &Value) -> Result<()> {
    let given = meta::namespace(object);
    if given.is_empty() || call.namespace.is_empty() || given == call.namespace {
        return Ok(());
    }
    Err(Error::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}
