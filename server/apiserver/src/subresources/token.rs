//! `serviceaccounts/token`: a token for an account, bound to an object if the request says so.

use api::field::{self, Path};
use api::kind::Kind;
use api::meta;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::auth::service_account::{Binding, ISSUER, Reference};
use crate::body::{self, Expected};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::handlers::{check_namespace, write};
use crate::options::WriteOptions;
use crate::respond;

const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;
const DEFAULT: i64 = 3600;

/// Issues a token for the account that the URL names.
pub(crate) async fn create(call: &Call, body: &Bytes) -> Result<Response> {
    let options = WriteOptions::parse("CreateOptions", &call.query)?;
    let expected = Expected {
        api_version: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        schema: Some("io.k8s.api.authentication.v1.TokenRequest"),
    };
    let mut request = body::object(call, body, options.validation, expected)?;
    check_namespace(call, &request)?;
    let account = write::current(call).await?;
    let account = account
        .ok_or_else(|| Error::not_found(call.resource(), &call.name))?
        .value;
    if !matches!(meta::name(&request), name if name.is_empty() || name == call.name) {
        let path = Path::new("metadata").child("name");
        let why = "must match the service account name if specified";
        let problem = field::Error::invalid(&path, meta::name(&request), why);
        return Err(invalid(&call.name, &problem));
    }
    let seconds = request["spec"]["expirationSeconds"]
        .as_i64()
        .unwrap_or(DEFAULT);
    check(seconds)?;
    let binding = bound(call, &account, &request["spec"]["boundObjectRef"])?;
    let mut audiences: Vec<String> = meta::list(&request["spec"]["audiences"])
        .iter()
        .filter_map(|audience| audience.as_str().map(str::to_owned))
        .collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    let now = Timestamp::now();
    let issued = call
        .app
        .tokens
        .issue(binding, audiences.clone(), seconds, now);
    let issued = issued.map_err(Error::internal)?;
    request["metadata"] = json!({
        "name": call.name,
        "namespace": call.namespace,
        "uid": meta::uid(&account),
        "creationTimestamp": meta::time::seconds(now),
    });
    request["spec"]["audiences"] = json!(audiences);
    request["spec"]["expirationSeconds"] = seconds.into();
    if request["spec"]["boundObjectRef"].is_null() {
        request["spec"]["boundObjectRef"] = Value::Null;
    }
    request["status"] = json!({
        "token": issued.token,
        "expirationTimestamp": meta::time::seconds(issued.expires),
    });
    Ok(respond::value(call.form, 201, &request))
}

fn check(seconds: i64) -> Result<()> {
    let path = Path::new("spec").child("expirationSeconds");
    let problem = match seconds {
        ..SHORTEST => "may not specify a duration less than 10 minutes",
        SHORTEST..=LONGEST => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    Err(invalid("", &field::Error::invalid(&path, seconds, problem)))
}

fn invalid(name: &str, problem: &field::Error) -> Error {
    let problems = std::slice::from_ref(problem);
    Error::invalid("TokenRequest", "authentication.k8s.io", name, problems)
}

/// What the token is bound to: it ends with the account, and with the object that is named.
fn bound(call: &Call, account: &Value, asked: &Value) -> Result<Binding> {
    let mut binding = Binding {
        namespace: call.namespace.clone(),
        node: None,
        pod: None,
        secret: None,
        serviceaccount: reference(&call.name, account),
    };
    let Some(kind) = asked["kind"].as_str() else {
        return Ok(binding);
    };
    let name = asked["name"].as_str().unwrap_or_default();
    let version = asked["apiVersion"].as_str().unwrap_or("v1");
    let found = match kind {
        "Pod" | "Secret" => object(call, version, kind, &call.namespace, name)?,
        "Node" => object(call, version, kind, "", name)?,
        _ => {
            return Err(Error::bad_request(format!(
                "cannot bind token for serviceaccount to object kind {kind}"
            )));
        }
    };
    let uid = asked["uid"].as_str().unwrap_or_default();
    if !uid.is_empty() && uid != meta::uid(&found) {
        return Err(Error::conflict(
            call.resource(),
            &call.name,
            format_args!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The \
                 object might have been deleted and then recreated"
            ),
        ));
    }
    let named = Some(reference(name, &found));
    match kind {
        "Pod" => {
            let node = found["spec"]["nodeName"].as_str().unwrap_or_default();
            if let Ok(node_object) = object(call, "v1", "Node", "", node) {
                binding.node = Some(reference(node, &node_object));
            }
            let account = found["spec"]["serviceAccountName"].as_str();
            if account.is_some_and(|account| account != call.name) {
                return Err(Error::bad_request(format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different \
                     serviceaccount name.",
                    call.name
                )));
            }
            binding.pod = named;
        }
        "Secret" => binding.secret = named,
        _ => binding.node = named,
    }
    Ok(binding)
}

fn object(call: &Call, version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value> {
    let kind: &dyn Kind = api::kinds::by_kind(version, kind).ok_or_else(Error::no_such_resource)?;
    let found = call.app.cache.of(kind).get(namespace, name);
    let found = found.ok_or_else(|| Error::not_found(kind.resource(), name))?;
    Ok(found.value())
}

fn reference(name: &str, object: &Value) -> Reference {
    Reference {
        name: name.to_owned(),
        uid: meta::uid(object).to_owned(),
    }
}
