//! Waiting for objects: lists, then watches, and starts over when a watch ends.

use serde_json::Value;

use super::Wanted;
use crate::client::Request;
use crate::context::Context;
use crate::error::{Error, Result};

/// Watches one object until `done` says so; it gets `None` when the object doesn't exist.
/// Gives the object as it was then.
pub(crate) async fn until(
    context: &Context,
    wanted: &Wanted,
    mut done: impl FnMut(Option<&Value>) -> bool,
) -> Result<Option<Value>> {
    let fields = format!("metadata.name={}", wanted.name);
    let path = wanted.resource.path(Some(&wanted.namespace));
    loop {
        let list = context
            .client()?
            .json(Request::get(path.as_str()).query("fieldSelector", &fields))
            .await?;
        let object = list["items"].as_array().and_then(|i| i.first()).cloned();
        if done(object.as_ref()) {
            return Ok(object);
        }
        let mut request = Request::get(path.as_str())
            .query("fieldSelector", &fields)
            .query(
                "resourceVersion",
                list["metadata"]["resourceVersion"]
                    .as_str()
                    .unwrap_or_default(),
            )
            .query("watch", "true");
        request.endless = true;
        let mut found = None;
        let ended = events(context, request, |event, object| {
            let object = (event != "DELETED").then_some(object);
            let stop = done(object);
            if stop {
                found = Some(object.cloned());
            }
            Ok(stop)
        })
        .await;
        match (found, ended) {
            (Some(object), _) => return Ok(object),
            (None, Err(error)) if error.reason() != "Expired" => return Err(error),
            _ => {}
        }
    }
}

/// Sends the events of a watch to `each` until it says to stop or the stream ends.
pub(crate) async fn events(
    context: &Context,
    request: Request,
    mut each: impl FnMut(&str, &Value) -> Result<bool>,
) -> Result<()> {
    let client = context.client()?;
    let mut response = client.response(request).await?;
    let mut pending = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // The time that --request-timeout gives is over: an end like any other.
            Err(error) if error.is_timeout() => break,
            Err(error) => return Err(client.connect_error(&error)),
        };
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line)
                .map_err(|e| format!("unable to decode an event from the watch stream: {e}"))?;
            match event["type"].as_str().unwrap_or_default() {
                "ERROR" => return Err(Error::status(event["object"].clone())),
                "BOOKMARK" => {}
                kind if each(kind, &event["object"])? => return Ok(()),
                _ => {}
            }
        }
    }
    Ok(())
}
