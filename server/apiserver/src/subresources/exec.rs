//! `pods/exec`: runs a command in a container. The kubelet does; the bytes of the upgraded connection
//! pass through here as they are.

use axum::response::Response;
use hyper::upgrade::OnUpgrade;

use super::pod;
use crate::call::Call;
use crate::error::{Error, Result};

/// The query of a kubelet has its own names for the streams.
const STREAMS: [(&str, &str); 4] = [
    ("stdin", "input"),
    ("stdout", "output"),
    ("stderr", "error"),
    ("tty", "tty"),
];

/// Connects the client to the kubelet of the pod that the URL names.
pub(crate) async fn connect(call: &Call, upgrade: Option<OnUpgrade>) -> Result<Response> {
    let found = pod::find(call).await?;
    let container = pod::container(call, &found)?;
    let node = found["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        return Err(Error::bad_request(format!(
            "pod {} does not have a host assigned",
            call.name
        )));
    }
    let address = pod::kubelet(call, node)?;
    let mut query: Vec<(&str, &str)> = call.query.all("command").map(|c| ("command", c)).collect();
    let streams = STREAMS.iter().filter(|(ours, _)| call.query.flag(ours));
    query.extend(streams.map(|(_, theirs)| (*theirs, "1")));
    let path = ["exec", &call.namespace, &call.name, container];
    let request = pod::request(call, &path, &query)?;
    call.app.nodes.pass(&address, request, upgrade).await
}
