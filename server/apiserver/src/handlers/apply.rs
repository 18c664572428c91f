//! `patch` by server-side apply: the client says what it wants of the object, and owns that (KEP-555).

use api::field::{self, Path};
use api::kind::Part;
use api::meta;
use api::patch::apply as engine;
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::create::check_namespace;
use super::update::check_name;
use super::write::{self, Change};
use crate::body::{self, Duplicates, Expected};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::options::{Validation, WriteOptions};
use crate::respond;

/// Applies the configuration in the body. An object that is not there is created.
pub(crate) async fn apply(call: &Call, part: Part, body: &Bytes) -> Result<Response> {
    let options = WriteOptions::parse("PatchOptions", &call.query)?;
    if options.manager.is_empty() {
        let path = Path::new("fieldManager");
        let problem = field::Error::required(&path, "is required for apply patch");
        return Err(Error::invalid_options("PatchOptions", &[problem]));
    }
    let config = configuration(call, body, options.validation)?;
    let resource = call.resource();
    let schema = api::schema::of(resource.schema).ok_or_else(Error::unsupported_patch)?;
    let api_version = resource.api_version();
    let manager = write::manager(call, &options.manager, part, &api_version);
    let expected = Expected {
        api_version: &api_version,
        kind: resource.kind,
        schema: Some(resource.schema),
    };
    let change = Change {
        part,
        options: &options,
        create: part == Part::Main,
        owned: true,
    };
    let force = options.force.unwrap_or(false);
    let written = write::change(call, &change, |present| {
        if present.is_none() {
            call.authorize("create", &call.name)?;
        }
        let mut new = engine::apply(schema, present, &config, &manager, force).map_err(refused)?;
        body::check(
            call,
            &mut new,
            expected,
            Validation::Ignore,
            Duplicates::NONE,
        )?;
        Ok(new)
    });
    let written = written.await?;
    respond::object(call, if written.created { 201 } else { 200 }, written.json)
}

fn configuration(call: &Call, body: &[u8], validation: Validation) -> Result<Value> {
    let parsed = body::yaml(body)
        .map_err(|why| Error::bad_request(format!("error decoding patch: {why}")))?;
    if let Duplicates::Yaml(lines) = &parsed.duplicates
        && !lines.is_empty()
    {
        match validation {
            Validation::Strict => {
                let list = lines.join("\n  ");
                return Err(Error::bad_request(format!(
                    "error strict decoding YAML: yaml: unmarshal errors:\n  {list}"
                )));
            }
            Validation::Warn => lines.iter().for_each(|line| call.warn(line)),
            Validation::Ignore => {}
        }
    }
    let mut config = parsed.value;
    let resource = call.resource();
    let text = |field: &str| config[field].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version != resource.api_version() || kind != resource.kind {
        let version = match version.contains('/') {
            true => version.to_owned(),
            false => format!("/{version}"),
        };
        return Err(Error::bad_request(format!(
            "invalid object type: {version}, Kind={kind}"
        )));
    }
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Error::bad_request("metadata.managedFields must be nil"));
    }
    if meta::name(&config).is_empty() {
        let name = call.name.as_str();
        write::metadata(&mut config).insert("name".into(), name.into());
    }
    check_name(call, &config)?;
    check_namespace(call, &config)?;
    Ok(config)
}

fn refused(error: engine::Error) -> Error {
    match error {
        // Kubernetes has no code for a configuration that does not fit.
        engine::Error::Invalid(why) => Error::unclassified(why),
        engine::Error::Conflicts(conflicts) => {
            let message = conflicts.to_string();
            let causes = conflicts.0.into_iter();
            let causes = causes.map(|conflict| (conflict.cause(), conflict.path));
            Error::apply_conflict(message, causes)
        }
    }
}
