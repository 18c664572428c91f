//! `/openapi/v3`: a document for each group and version, derived from the list of kinds and their
//! schemas. kubectl reads from it whether the server checks fields, and what `explain` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use api::kind::{Kind, Resource, Scope};
use api::schema::{self, ListType, Schema, Type};
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::discovery;
use crate::negotiate::Form;
use crate::query::Query;
use crate::respond;
use crate::subresources;

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const GROUP_VERSION_KIND: &str = "x-kubernetes-group-version-kind";

/// Path below `/openapi/v3/` → document and its hash.
static DOCUMENTS: LazyLock<BTreeMap<String, (Bytes, String)>> = LazyLock::new(|| {
    let documents = discovery::group_versions().map(|(path, kinds)| {
        let text = Bytes::from(document(&path, kinds).to_string());
        let hash = discovery::hash(&text);
        (path, (text, hash))
    });
    documents.collect()
});

/// Answers below `/openapi/v3`. `None` when there is no such document.
pub(crate) fn serve(path: &[&str], _query: &Query, headers: &HeaderMap) -> Option<Response> {
    if path.is_empty() {
        let paths = DOCUMENTS.iter().map(|(path, (_, hash))| {
            let url = format!("/openapi/v3/{path}?hash={hash}");
            (path.clone(), json!({ "serverRelativeURL": url }))
        });
        let index = json!({ "paths": paths.collect::<Map<_, _>>() });
        return Some(respond::value(Form::plain(), 200, &index));
    }
    let (text, hash) = DOCUMENTS.get(&path.join("/"))?;
    let etag = HeaderValue::from_str(&format!("\"{hash}\"")).ok()?;
    let mut response = match headers.get(IF_NONE_MATCH) == Some(&etag) {
        true => {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => respond::raw(Form::plain(), 200, "application/json", text.clone()),
    };
    response.headers_mut().insert(ETAG, etag);
    Some(response)
}

/// `/openapi/v2`, which older clients read: it describes nothing, and so they check nothing. `swagger` is
/// the version, `info` has title and version, `paths` is empty, in JSON and in protobuf.
pub(crate) fn version_2(headers: &HeaderMap) -> Response {
    const JSON: &[u8] =
        br#"{"swagger":"2.0","info":{"title":"Kubernetes","version":"v1.37.2"},"paths":{}}"#;
    const PROTOBUF: &[u8] = b"\n\x032.0\x12\x15\n\nKubernetes\x12\x07v1.37.2B\0";
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let (kind, text) = match accepted.is_some_and(|accepted| accepted.contains("protobuf")) {
        true => (
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            PROTOBUF,
        ),
        false => ("application/json", JSON),
    };
    respond::raw(Form::plain(), 200, kind, Bytes::from_static(text))
}

fn document(path: &str, kinds: &[&'static dyn Kind]) -> Value {
    let mut paths = Map::new();
    let mut wanted: Vec<&'static Schema> = Vec::new();
    let mut schemas = Map::new();
    for kind in kinds {
        let resource = kind.resource();
        operations(path, resource, &mut paths);
        wanted.extend(schema::of(resource.schema));
        let list = format!("{}List", resource.schema);
        match schema::of(&list) {
            Some(schema) => wanted.push(schema),
            None if resource.verbs.contains(&"list") => {
                schemas.insert(list, listed(resource));
            }
            None => {}
        }
        let parts = subresources::of(resource).filter_map(|part| part.body);
        wanted.extend(parts.filter_map(|(group, version, kind)| by_kind(group, version, kind)));
    }
    wanted.extend(schema::of(
        "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    ));
    wanted.extend(schema::of("io.k8s.apimachinery.pkg.apis.meta.v1.Status"));
    let mut seen = BTreeSet::new();
    while let Some(schema) = wanted.pop() {
        if !seen.insert(schema.name) {
            continue;
        }
        wanted.extend(schema.fields().filter_map(|field| field.kind.schema()));
        let of_kind = kinds
            .iter()
            .find(|kind| kind.resource().schema == schema.name);
        let text = described(schema, of_kind.map(|kind| kind.resource()));
        schemas.insert(schema.name.to_owned(), text);
    }
    let quantity = json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] });
    schemas.insert(QUANTITY.to_owned(), quantity);
    let either = json!({
        "format": "int-or-string",
        "oneOf": [{ "type": "integer" }, { "type": "string" }],
    });
    schemas.insert(INT_OR_STRING.to_owned(), either);
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": "v1.37.2" },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn by_kind(group: &str, version: &str, kind: &str) -> Option<&'static Schema> {
    let group = match group {
        "" => "core",
        group => group.split('.').next().unwrap_or_default(),
    };
    schema::of(&format!("io.k8s.api.{group}.{version}.{kind}"))
}

/// The paths of a kind, with the verbs on each.
fn operations(root: &str, resource: &Resource, paths: &mut Map<String, Value>) {
    let place = match resource.scope {
        Scope::Cluster => format!("/{root}/{}", resource.plural),
        Scope::Namespaced => format!("/{root}/namespaces/{{namespace}}/{}", resource.plural),
    };
    let has = |verb: &str| resource.verbs.contains(&verb);
    let mut collection = Map::new();
    for (verb, method, action) in [
        ("list", "get", "list"),
        ("create", "post", "post"),
        ("deletecollection", "delete", "deletecollection"),
    ] {
        if has(verb) {
            collection.insert(method.into(), operation(resource, action, resource.schema));
        }
    }
    if resource.scope == Scope::Namespaced && has("list") {
        let all = json!({ "get": operation(resource, "list", resource.schema) });
        paths.insert(format!("/{root}/{}", resource.plural), all);
    }
    paths.insert(place.clone(), collection.into());
    let mut one = Map::new();
    for (verb, method, action) in [
        ("get", "get", "get"),
        ("update", "put", "put"),
        ("patch", "patch", "patch"),
        ("delete", "delete", "delete"),
    ] {
        if has(verb) {
            one.insert(method.into(), operation(resource, action, resource.schema));
        }
    }
    if !one.is_empty() {
        paths.insert(format!("{place}/{{name}}"), one.into());
    }
    for part in subresources::of(resource) {
        let mut operations = Map::new();
        for (verb, method) in [
            ("get", "get"),
            ("create", "post"),
            ("update", "put"),
            ("patch", "patch"),
        ] {
            if part.verbs.contains(&verb) {
                operations.insert(method.into(), operation(resource, method, resource.schema));
            }
        }
        paths.insert(format!("{place}/{{name}}/{}", part.name), operations.into());
    }
}

fn operation(resource: &Resource, action: &str, schema: &str) -> Value {
    let group_version_kind = json!({
        "group": resource.group,
        "version": resource.version,
        "kind": resource.kind,
    });
    let names: &[&str] = match action {
        "post" | "put" => &["dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        "delete" => &["dryRun", "gracePeriodSeconds", "propagationPolicy"],
        "list" => &[
            "continue",
            "fieldSelector",
            "labelSelector",
            "limit",
            "resourceVersion",
            "watch",
        ],
        _ => &[],
    };
    let parameters = names.iter().map(|name| {
        let kind = match *name {
            "gracePeriodSeconds" | "limit" => "integer",
            "force" | "watch" => "boolean",
            _ => "string",
        };
        json!({ "name": name, "in": "query", "schema": { "type": kind, "uniqueItems": true } })
    });
    let answered = match action {
        "list" => format!("{schema}List"),
        _ => schema.to_owned(),
    };
    json!({
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": { "200": {
            "description": "OK",
            "content": { "application/json": { "schema": reference(&answered) } },
        }},
        "x-kubernetes-action": action,
        GROUP_VERSION_KIND: group_version_kind,
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn listed(resource: &Resource) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "items": { "type": "array", "items": reference(resource.schema) },
        },
        GROUP_VERSION_KIND: [{
            "group": resource.group,
            "version": resource.version,
            "kind": format!("{}List", resource.kind),
        }],
    })
}

fn described(schema: &Schema, resource: Option<&Resource>) -> Value {
    let mut text = json!({ "type": "object" });
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in schema.fields() {
        let mut property = typed(&field.kind);
        if let Some(default) = &field.default {
            property["default"] = default.clone();
        }
        if !field.allowed.is_empty() {
            property["enum"] = json!(field.allowed);
        }
        if matches!(field.kind, Type::List(_)) {
            let kind = match field.list_type {
                ListType::Atomic => "atomic",
                ListType::Set => "set",
                ListType::Map => "map",
            };
            property["x-kubernetes-list-type"] = kind.into();
            if !field.map_keys.is_empty() {
                property["x-kubernetes-list-map-keys"] = json!(field.map_keys);
            }
        } else if field.atomic {
            property["x-kubernetes-map-type"] = "atomic".into();
        }
        let strategies = [
            ("retainKeys", field.patch.retain_keys),
            ("merge", field.patch.merge),
            ("replace", field.patch.replace),
        ];
        let strategies: Vec<&str> = strategies
            .iter()
            .filter(|(_, on)| *on)
            .map(|(name, _)| *name)
            .collect();
        if !strategies.is_empty() {
            property["x-kubernetes-patch-strategy"] = strategies.join(",").into();
        }
        if let Some(key) = field.merge_key {
            property["x-kubernetes-patch-merge-key"] = key.into();
        }
        if field.required {
            required.push(field.name);
        }
        properties.insert(field.name.to_owned(), property);
    }
    if !properties.is_empty() {
        text["properties"] = properties.into();
    }
    if !required.is_empty() {
        text["required"] = json!(required);
    }
    if schema.atomic {
        text["x-kubernetes-map-type"] = "atomic".into();
    }
    if let Some(resource) = resource {
        text[GROUP_VERSION_KIND] = json!([{
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        }]);
    }
    text
}

fn typed(kind: &Type) -> Value {
    match kind {
        Type::String => json!({ "type": "string" }),
        Type::Boolean => json!({ "type": "boolean" }),
        Type::Int32 => json!({ "type": "integer", "format": "int32" }),
        Type::Int64 => json!({ "type": "integer", "format": "int64" }),
        Type::Number => json!({ "type": "number", "format": "double" }),
        Type::Bytes => json!({ "type": "string", "format": "byte" }),
        Type::Any => json!({}),
        Type::Time | Type::MicroTime => json!({ "type": "string", "format": "date-time" }),
        Type::Quantity => json!({ "allOf": [reference(QUANTITY)] }),
        Type::IntOrString => json!({ "allOf": [reference(INT_OR_STRING)] }),
        Type::List(entry) => json!({ "type": "array", "items": typed(entry) }),
        Type::Map(entry) => json!({ "type": "object", "additionalProperties": typed(entry) }),
        Type::Object(_) => match kind.schema() {
            // A reference stands alone in OpenAPI 3.0; the list form lets others stand beside it.
            Some(schema) => json!({ "allOf": [reference(schema.name)] }),
            None => json!({ "type": "object" }),
        },
    }
}
