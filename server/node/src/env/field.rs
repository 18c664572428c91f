//! Fields of the pod that containers and downward API files may ask for.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::spec;

/// Addresses, for the fields that hold them.
pub(crate) struct Addresses<'a> {
    pub(crate) pod: &'a [IpAddr],
    pub(crate) node: IpAddr,
}

/// The value of a field path. `addresses` is `None` where addresses are not offered: in files.
///
/// # Errors
/// What is wrong with the path, in Kubernetes' words.
pub(crate) fn value(
    pod: &Pod,
    path: &str,
    addresses: Option<&Addresses<'_>>,
) -> Result<String, String> {
    if let Some((field, key)) = subscript(path) {
        let map = match field {
            "metadata.annotations" => pod.metadata.annotations.as_ref(),
            "metadata.labels" => pod.metadata.labels.as_ref(),
            _ => return Err(format!("fieldPath \"{path}\" does not support subscript")),
        };
        return Ok(map
            .and_then(|map| map.get(key))
            .cloned()
            .unwrap_or_default());
    }
    if let Some(value) = addresses.and_then(|addresses| address(path, addresses)) {
        return Ok(value);
    }
    match path {
        "metadata.annotations" => Ok(lines(pod.metadata.annotations.as_ref())),
        "metadata.labels" => Ok(lines(pod.metadata.labels.as_ref())),
        "metadata.name" => Ok(spec::name(pod).to_owned()),
        "metadata.namespace" => Ok(spec::namespace(pod).to_owned()),
        "metadata.uid" => Ok(spec::uid(pod).to_owned()),
        "spec.nodeName" => Ok(spec::spec(pod).node_name.clone().unwrap_or_default()),
        "spec.serviceAccountName" => Ok(spec::spec(pod)
            .service_account_name
            .clone()
            .unwrap_or_default()),
        _ => Err(format!("unsupported fieldPath: {path}")),
    }
}

fn address(path: &str, addresses: &Addresses<'_>) -> Option<String> {
    let all: Vec<String> = addresses.pod.iter().map(IpAddr::to_string).collect();
    match path {
        "status.podIP" => Some(all.first().cloned().unwrap_or_default()),
        "status.podIPs" => Some(all.join(",")),
        "status.hostIP" | "status.hostIPs" => Some(addresses.node.to_string()),
        _ => None,
    }
}

/// Splits `metadata.labels['key']`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (field, key) = path.strip_suffix("']")?.split_once("['")?;
    Some((field, key))
}

/// `key="value"` lines, sorted, the value quoted as Go does.
fn lines(map: Option<&std::collections::BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    lines.join("\n")
}
