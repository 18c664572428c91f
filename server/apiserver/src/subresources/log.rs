//! `pods/log`: what a container has written, streamed from its kubelet.

use api::field::{self, Path};
use api::meta;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::pod;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::negotiate::Form;
use crate::respond;

/// What is passed on to the kubelet.
const OPTIONS: [&str; 8] = [
    "follow",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "stream",
    "tailLines",
    "timestamps",
];

/// Answers with the log of a container of the pod that the URL names.
pub(crate) async fn get(call: &Call) -> Result<Response> {
    check(call)?;
    let found = pod::find(call).await?;
    let container = pod::container(call, &found)?;
    let node = found["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        // A pod that runs nowhere has written nothing.
        return Ok(respond::raw(
            Form::plain(),
            200,
            "text/plain",
            bytes::Bytes::new(),
        ));
    }
    let address = pod::kubelet(call, node)?;
    let given = OPTIONS
        .iter()
        .filter_map(|name| Some((*name, call.query.first(name)?)));
    let query: Vec<(&str, &str)> = given.collect();
    let path = ["containerLogs", &call.namespace, &call.name, container];
    let request = pod::request(call, &path, &query)?;
    let mut response = call.app.nodes.pass(&address, request, None).await?;
    if response.status().is_success() {
        let text = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(CONTENT_TYPE, text);
        return Ok(response);
    }
    let code = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 64 << 10).await;
    let text = String::from_utf8_lossy(&body.unwrap_or_default())
        .trim()
        .to_owned();
    Err(Error::of_kubelet(code, text))
}

fn check(call: &Call) -> Result<()> {
    let mut problems = Vec::new();
    let mut at_least = |name: &str, least: i64, words: &str| -> Result<()> {
        if let Some(value) = call.query.integer(name)?.filter(|value| *value < least) {
            problems.push(field::Error::invalid(&Path::new(name), value, words));
        }
        Ok(())
    };
    at_least("tailLines", 0, "must be greater than or equal to 0")?;
    at_least("limitBytes", 1, "must be greater than 0")?;
    at_least("sinceSeconds", 1, "must be greater than 0")?;
    let since = call.query.first("sinceSeconds").is_some();
    if since && call.query.first("sinceTime").is_some() {
        problems.push(field::Error::forbidden(
            &Path::default(),
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    let time = call.query.text("sinceTime");
    if !time.is_empty() && meta::time::parse(time).is_none() {
        let time = field::go_quoted(time);
        return Err(Error::bad_request(format!(
            "parsing time {time} as \"2006-01-02T15:04:05Z07:00\": cannot parse {time} as \"2006\""
        )));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid("PodLogOptions", "", &call.name, &problems)),
    }
}
