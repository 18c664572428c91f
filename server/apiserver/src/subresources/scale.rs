//! `scale`: the number of replicas, in one form for all kinds that have one.

use api::field::{self, Path};
use api::kind::Part;
use api::meta;
use api::meta::selector::Labels;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::body::{self, Duplicates, Expected};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::handlers::write::{self, Change};
use crate::handlers::{check_name, check_namespace, patched};
use crate::options::{Validation, WriteOptions};
use crate::respond;

const EXPECTED: Expected<'static> = Expected {
    api_version: "autoscaling/v1",
    kind: "Scale",
    schema: Some("io.k8s.api.autoscaling.v1.Scale"),
};

/// Answers with the scale of the object that the URL names.
pub(crate) async fn get(call: &Call) -> Result<Response> {
    let found = write::current(call).await?;
    let found = found.ok_or_else(|| Error::not_found(call.resource(), &call.name))?;
    Ok(respond::value(call.form, 200, &scale(&found.value)))
}

/// Sets the replicas to those of the scale in the body.
pub(crate) async fn update(call: &Call, body: &Bytes) -> Result<Response> {
    let options = WriteOptions::parse("UpdateOptions", &call.query)?;
    let scale = body::object(call, body, options.validation, EXPECTED)?;
    check_name(call, &scale)?;
    check_namespace(call, &scale)?;
    change(call, &options, |_| Ok(scale.clone())).await
}

/// Sets the replicas to those of the patched scale.
pub(crate) async fn patch(call: &Call, body: &Bytes) -> Result<Response> {
    let options = WriteOptions::parse("PatchOptions", &call.query)?;
    let schema = EXPECTED.schema.and_then(api::schema::of);
    change(call, &options, |present| {
        let (mut new, _) = patched(call, body, schema, present)?;
        body::identify(&mut new, EXPECTED).map_err(Error::bad_request)?;
        body::check(
            call,
            &mut new,
            EXPECTED,
            Validation::Ignore,
            Duplicates::NONE,
        )?;
        Ok(new)
    })
    .await
}

async fn change(
    call: &Call,
    options: &WriteOptions,
    make: impl Fn(&Value) -> Result<Value>,
) -> Result<Response> {
    let change = Change {
        part: Part::Other("scale"),
        options,
        create: false,
        owned: false,
    };
    let written = write::change(call, &change, |object| {
        let object = object.ok_or_else(|| Error::not_found(call.resource(), &call.name))?;
        let new = make(&scale(object))?;
        scaled(call, object, &new)
    });
    let written = written.await?;
    let object: Value = serde_json::from_slice(&written.json).map_err(Error::internal)?;
    Ok(respond::value(call.form, 200, &scale(&object)))
}

fn scaled(call: &Call, object: &Value, scale: &Value) -> Result<Value> {
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let path = Path::new("spec").child("replicas");
        let problem = field::Error::invalid(&path, replicas, "must be greater than or equal to 0");
        return Err(Error::invalid(
            "Scale",
            "autoscaling",
            &call.name,
            &[problem],
        ));
    }
    let mut object = object.clone();
    object["spec"]["replicas"] = replicas.into();
    for field in ["resourceVersion", "uid"] {
        let given = scale["metadata"][field].as_str().unwrap_or_default();
        if !given.is_empty() {
            object["metadata"][field] = given.into();
        }
    }
    Ok(object)
}

/// The scale of an object.
fn scale(object: &Value) -> Value {
    let meta = &object["metadata"];
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta::name(object),
            "namespace": meta::namespace(object),
            "uid": meta::uid(object),
            "resourceVersion": meta::resource_version(object),
            "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": {},
        "status": { "replicas": object["status"]["replicas"].as_i64().unwrap_or(0) },
    });
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
    if replicas != 0 {
        scale["spec"]["replicas"] = replicas.into();
    }
    let selector = Labels::from_selector(&object["spec"]["selector"]);
    if let Some(selector) = selector
        .ok()
        .map(|s| s.to_string())
        .filter(|s| !s.is_empty())
    {
        scale["status"]["selector"] = selector.into();
    }
    scale
}
