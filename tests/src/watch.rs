//! A watch of the API, one event after the other.

use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::Method;
use serde_json::Value;

use crate::PATIENCE;
use crate::http::Api;

/// A running watch.
pub struct Watch {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: Vec<u8>,
}

impl Watch {
    /// Watches a path, such as `/api/v1/pods`, with these further query parameters.
    pub async fn start(api: &Api, path: &str, query: &str) -> Self {
        let path = format!("{path}?watch=true&{query}");
        let response = api.request(Method::GET, &path).send().await;
        let response = response.expect("the watch starts");
        assert_eq!(response.status(), 200);
        Self {
            body: response.bytes_stream().boxed(),
            buffer: Vec::new(),
        }
    }

    /// The next event, or `None` when the server has ended the watch.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event is JSON"));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.body.next()).await;
            match chunk.expect("an event arrives in time") {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                _ => return None,
            }
        }
    }

    /// The next event, which must be of this kind and about this object.
    pub async fn expect(&mut self, kind: &str, name: &str) -> Value {
        let event = self.next().await.expect("the watch goes on");
        assert_eq!(event["type"], kind, "{event:#}");
        assert_eq!(event["object"]["metadata"]["name"], name, "{event:#}");
        event
    }

    /// The first event from here on of which `wanted` says yes.
    pub async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next().await.expect("the watch goes on");
            if wanted(&event) {
                return event;
            }
        }
    }
}
