//! A scripted API server for tests: it records requests and answers with prepared objects.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::auth::UserInfo;
use futures::future::BoxFuture;
use http::{Request, Response};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) user: Option<Arc<UserInfo>>,
    pub(crate) agent: String,
    pub(crate) body: Value,
}

/// The server; clones share it.
#[derive(Clone)]
pub(crate) struct Server {
    seen: Arc<watch::Sender<Vec<Seen>>>,
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            seen: Arc::new(watch::Sender::new(Vec::new())),
            answers: Arc::default(),
        }
    }

    /// Answers the next request that has no answer yet; without one, requests get their own body.
    pub(crate) fn answer(&self, code: u16, body: Value) {
        self.answers.lock().push_back((code, body));
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// The requests, once there are `count`.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Seen> {
        let mut seen = self.seen.subscribe();
        let all = seen.wait_for(|seen| seen.len() >= count).await;
        all.expect("the sender lives in self").clone()
    }
}

impl tower::Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect_bytes().await.expect("body in memory");
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            let agent = parts.headers.get("user-agent");
            let seen = Seen {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                user: parts.extensions.get::<Arc<UserInfo>>().cloned(),
                agent: agent.map_or(String::new(), |a| a.to_str().expect("ascii").to_owned()),
                body: body.clone(),
            };
            let (code, answer) = server.answers.lock().pop_front().unwrap_or((200, body));
            server.seen.send_modify(|all| all.push(seen));
            let bytes = answer.to_string().into_bytes();
            let response = Response::builder().status(code);
            Ok(response.body(Body::from(bytes)).expect("valid"))
        })
    }
}

/// The answer of a server that does not have an object.
pub(crate) fn not_found() -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": "NotFound", "code": 404, "message": "not found",
    })
}
