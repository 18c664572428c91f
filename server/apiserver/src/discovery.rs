//! Discovery: which groups, versions and kinds there are, all of it derived from the list of kinds.

use std::sync::LazyLock;

use api::kind::{Kind, Resource, Scope};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::negotiate::Form;
use crate::respond;
use crate::subresources;

/// The groups, in the order in which kubectl resolves bare names. Those that are not here come after.
const ORDER: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The kinds, by group and version, in the order of discovery.
static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let mut groups: Vec<Group> = Vec::new();
    for &kind in api::kinds::KINDS {
        let resource = kind.resource();
        let at = groups.iter().position(|g| g.name == resource.group);
        let at = at.unwrap_or_else(|| {
            groups.push(Group {
                name: resource.group,
                versions: Vec::new(),
            });
            groups.len() - 1
        });
        let versions = &mut groups[at].versions;
        match versions
            .iter_mut()
            .find(|(version, _)| *version == resource.version)
        {
            Some((_, kinds)) => kinds.push(kind),
            None => versions.push((resource.version, vec![kind])),
        }
    }
    for (_, kinds) in groups.iter_mut().flat_map(|group| &mut group.versions) {
        kinds.sort_by_key(|kind| kind.resource().plural);
    }
    groups.sort_by_key(|group| {
        ORDER
            .iter()
            .position(|name| *name == group.name)
            .unwrap_or(ORDER.len())
    });
    groups
});

struct Group {
    name: &'static str,
    versions: Vec<(&'static str, Vec<&'static dyn Kind>)>,
}

/// Whether a group and version has kinds.
pub(crate) fn serves(group: &str, version: &str) -> bool {
    kinds(group, version).is_some()
}

/// The groups and versions, as paths below the root: `api/v1`, `apis/apps/v1`.
pub(crate) fn group_versions() -> impl Iterator<Item = (String, &'static [&'static dyn Kind])> {
    GROUPS.iter().flat_map(|group| {
        group.versions.iter().map(|(version, kinds)| {
            let path = match group.name {
                "" => format!("api/{version}"),
                name => format!("apis/{name}/{version}"),
            };
            (path, kinds.as_slice())
        })
    })
}

fn kinds(group: &str, version: &str) -> Option<&'static [&'static dyn Kind]> {
    let group = GROUPS.iter().find(|g| g.name == group)?;
    let found = group.versions.iter().find(|(v, _)| *v == version);
    found.map(|(_, kinds)| kinds.as_slice())
}

/// `/`: the paths.
pub(crate) fn paths() -> Value {
    let mut paths: Vec<String> = vec!["/api".into(), "/apis".into()];
    for group in GROUPS.iter().filter(|group| !group.name.is_empty()) {
        paths.push(format!("/apis/{}", group.name));
    }
    paths.extend(group_versions().map(|(path, _)| format!("/{path}")));
    let fixed = [
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v3",
        "/readyz",
        "/version",
    ];
    paths.extend(fixed.map(str::to_owned));
    paths.sort();
    json!({ "paths": paths })
}

/// `/api`: the versions of the core group.
pub(crate) fn versions(headers: &HeaderMap) -> Value {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            { "clientCIDR": "0.0.0.0/0", "serverAddress": host.unwrap_or_default() },
        ],
    })
}

/// `/apis`: the groups.
pub(crate) fn groups() -> Value {
    let groups = GROUPS.iter().filter(|group| !group.name.is_empty());
    json!({
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": groups.map(described).collect::<Vec<_>>(),
    })
}

/// `/apis/GROUP`: one group.
pub(crate) fn group(name: &str) -> Option<Value> {
    let group = GROUPS.iter().find(|g| g.name == name && !name.is_empty())?;
    let mut group = described(group);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

fn described(group: &Group) -> Value {
    let version = |version: &str| json!({ "groupVersion": format!("{}/{version}", group.name), "version": version });
    let versions: Vec<Value> = group.versions.iter().map(|(v, _)| version(v)).collect();
    json!({
        "name": group.name,
        "preferredVersion": versions.first(),
        "versions": versions,
    })
}

/// `/api/v1` and `/apis/GROUP/VERSION`: the kinds, with their subresources.
pub(crate) fn resources(group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for kind in kinds(group, version).unwrap_or_default() {
        let resource = kind.resource();
        resources.push(listed(resource));
        resources.extend(subresources::of(resource).map(|part| {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, part.name),
                "singularName": "",
                "namespaced": resource.scope == Scope::Namespaced,
                "kind": part.body.map_or(resource.kind, |(_, _, kind)| kind),
                "verbs": part.verbs,
            });
            if let Some((group, version, _)) = part.body.filter(|(g, _, _)| *g != resource.group) {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            entry
        }));
    }
    let group_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    })
}

fn listed(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.scope == Scope::Namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    if !resource.storage_version_hash.is_empty() {
        entry["storageVersionHash"] = resource.storage_version_hash.into();
    }
    entry
}

/// `/api` and `/apis` for clients that read everything at once.
pub(crate) fn aggregated(form: Form, core: bool, headers: &HeaderMap) -> Response {
    static CORE: LazyLock<(Bytes, HeaderValue)> = LazyLock::new(|| document(true));
    static REST: LazyLock<(Bytes, HeaderValue)> = LazyLock::new(|| document(false));
    let (text, etag) = if core { &*CORE } else { &*REST };
    let mut response = match headers.get(IF_NONE_MATCH) == Some(etag) {
        true => {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => respond::text_in(form, 200, text.clone()),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(ETAG, etag.clone());
    response
}

fn document(core: bool) -> (Bytes, HeaderValue) {
    let groups = GROUPS.iter().filter(|group| group.name.is_empty() == core);
    let items = groups.map(|group| {
        let versions = group.versions.iter().map(|(version, kinds)| {
            let resources: Vec<Value> = kinds.iter().map(|k| discovered(k.resource())).collect();
            json!({ "version": version, "resources": resources, "freshness": "Current" })
        });
        let metadata = match core {
            true => json!({}),
            false => json!({ "name": group.name }),
        };
        json!({ "metadata": metadata, "versions": versions.collect::<Vec<_>>() })
    });
    let document = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items.collect::<Vec<_>>(),
    });
    let text = document.to_string();
    let etag = HeaderValue::from_str(&format!("\"{}\"", hash(text.as_bytes())));
    (text.into(), etag.expect("hexadecimal digits in quotes"))
}

fn discovered(resource: &Resource) -> Value {
    let response = |(group, version, kind): (&str, &str, &str)| json!({ "group": group, "version": version, "kind": kind });
    let own = ("", "", resource.kind);
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": response(own),
        "scope": match resource.scope {
            Scope::Cluster => "Cluster",
            Scope::Namespaced => "Namespaced",
        },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let parts = subresources::of(resource).map(|part| {
        json!({
            "subresource": part.name,
            "responseKind": response(part.body.unwrap_or(own)),
            "verbs": part.verbs,
        })
    });
    let parts: Vec<Value> = parts.collect();
    if !parts.is_empty() {
        entry["subresources"] = parts.into();
    }
    entry
}

/// The upper-case hexadecimal digest that names a document's content.
pub(crate) fn hash(text: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = Sha512::digest(text);
    digest
        .iter()
        .fold(String::with_capacity(128), |mut out, byte| {
            let _ = write!(out, "{byte:02X}");
            out
        })
}
