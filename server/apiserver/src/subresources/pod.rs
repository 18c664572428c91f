//! What requests to a pod's kubelet need to know: the container, and where the kubelet is.

use api::meta;
use http::HeaderName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::call::Call;
use crate::error::{Error, Result};
use crate::handlers::write;
use crate::node::Address;

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// All but the unreserved characters of RFC 3986: a name reads in the path as it stands.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The pod that the URL names.
pub(crate) async fn find(call: &Call) -> Result<Value> {
    let found = write::current(call).await?;
    let found = found.ok_or_else(|| Error::not_found(call.resource(), &call.name))?;
    Ok(found.value)
}

/// The container that the query names, or else the only one.
pub(crate) fn container<'a>(call: &'a Call, pod: &'a Value) -> Result<&'a str> {
    let names = |list: &str| -> Vec<&'a str> {
        let containers = meta::list(&pod["spec"][list]).iter();
        containers.filter_map(|c| c["name"].as_str()).collect()
    };
    let main = names("containers");
    let init = names("initContainers");
    let ephemeral = names("ephemeralContainers");
    let name = &call.name;
    let wanted = call.query.text("container");
    if wanted.is_empty() {
        if let [only] = main.as_slice() {
            return Ok(only);
        }
        let annotated = pod["metadata"]["annotations"][DEFAULT_CONTAINER].as_str();
        if let Some(annotated) = annotated.filter(|annotated| main.contains(annotated)) {
            return Ok(annotated);
        }
        let mut text = format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            main.join(" ")
        );
        if !init.is_empty() {
            text.push_str(&format!(
                " or one of the init containers: [{}]",
                init.join(" ")
            ));
        }
        if !ephemeral.is_empty() {
            let list = ephemeral.join(" ");
            text.push_str(&format!(" or one of the ephemeral containers: [{list}]"));
        }
        return Err(Error::bad_request(text));
    }
    let mut all = main.iter().chain(&init).chain(&ephemeral);
    match all.any(|name| *name == wanted) {
        true => Ok(wanted),
        false => Err(Error::bad_request(format!(
            "container {wanted} is not valid for pod {name}"
        ))),
    }
}

/// Where the kubelet of a node listens.
pub(crate) fn kubelet(call: &Call, node: &str) -> Result<Address> {
    let kind = api::kinds::by_plural("", "v1", "nodes").ok_or_else(Error::no_such_resource)?;
    let found = call.app.cache.of(kind).get("", node);
    let node = found
        .ok_or_else(|| Error::not_found(kind.resource(), node))?
        .value();
    let addresses = meta::list(&node["status"]["addresses"]);
    let internal = addresses.iter().find(|a| a["type"] == "InternalIP");
    let host = internal.and_then(|a| a["address"].as_str());
    let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64();
    let port = port.and_then(|port| u16::try_from(port).ok());
    match (host, port) {
        (Some(host), Some(port)) => Ok(Address {
            host: host.to_owned(),
            port,
        }),
        _ => Err(Error::dial(format!(
            "no preferred addresses found; known addresses: {}",
            node["status"]["addresses"]
        ))),
    }
}

/// A request to a kubelet. Of the client's headers, those go along that change the protocol.
pub(crate) fn request(
    call: &Call,
    path: &[&str],
    query: &[(&str, &str)],
) -> Result<http::Request<axum::body::Body>> {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let path: Vec<String> = path.iter().map(|segment| encode(segment)).collect();
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let url = format!("/{}?{}", path.join("/"), query.join("&"));
    let mut request = http::Request::builder()
        .method(call.method.clone())
        .uri(url)
        .header(http::header::HOST, "kubelet");
    for (name, value) in &call.headers {
        if passes(name) {
            request = request.header(name, value);
        }
    }
    request
        .body(axum::body::Body::empty())
        .map_err(Error::internal)
}

fn passes(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "connection" | "upgrade" | "x-stream-protocol-version")
        || name.starts_with("sec-websocket-")
}
