//! Requests and limits of a container as numbers that a container or a file may ask for.

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use crate::pod::{resources, spec};

/// What the node offers to pods: stands for a limit that is not set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocatable {
    /// Millicores.
    pub(crate) cpu: i64,
    /// Bytes.
    pub(crate) memory: i64,
    /// Bytes.
    pub(crate) ephemeral_storage: i64,
}

/// The value of `resource` of a container, in units of the divisor, rounded up.
///
/// # Errors
/// A resource that is not offered or a container that is not there, in Kubernetes' words.
pub(crate) fn value(
    pod: &Pod,
    container: &Container,
    selector: &ResourceFieldSelector,
    node: &Allocatable,
) -> Result<String, String> {
    let container = match selector.container_name.as_deref() {
        None | Some("") => container,
        Some(name) => {
            spec::container(pod, name).ok_or_else(|| format!("container {name} not found"))?
        }
    };
    let unsupported = || format!("unsupported container resource : {}", selector.resource);
    let (which, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let most = match name {
        "cpu" => node.cpu,
        "memory" => node.memory,
        "ephemeral-storage" => node.ephemeral_storage,
        _ => return Err(unsupported()),
    };
    let amount = match which {
        "limits" => Some(resources::limit(container, name)).filter(|&limit| limit > 0),
        "requests" => Some(resources::request(container, name)),
        _ => return Err(unsupported()),
    };
    let amount = i128::from(amount.unwrap_or(most));
    let divisor = divisor(selector, name);
    Ok(((amount + divisor - 1) / divisor).to_string())
}

/// The divisor in the units of the amount: millicores or bytes. One core, one byte unless given.
fn divisor(selector: &ResourceFieldSelector, name: &str) -> i128 {
    let one = if name == "cpu" { 1000 } else { 1 };
    let quantity = selector.divisor.as_ref().and_then(resources::parse);
    let given = quantity.map_or(0, |q| if name == "cpu" { q.milli() } else { q.value() });
    if given > 0 { given } else { one }
}
