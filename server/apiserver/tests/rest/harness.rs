//! A server over an empty store, and requests to it.

use std::sync::Arc;

use api::auth::{MASTERS, UserInfo};
use apiserver::pki::Pki;
use apiserver::{Config, Server};
use axum::body::Body;
use futures::StreamExt as _;
use http::{HeaderMap, Request};
use serde_json::Value;
use tower::ServiceExt as _;

/// A running server.
pub(crate) struct Cluster {
    pub(crate) server: Server,
    _directory: tempfile::TempDir,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as a value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The message of a `Status`.
    pub(crate) fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Cluster {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// Starts one that forgets what was superseded an interval before.
    pub(crate) async fn forgetting_every(interval: std::time::Duration) -> Self {
        Self::with(|config| config.compaction_interval = interval).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let addresses = ["127.0.0.1".parse().unwrap()];
        let pki = Pki::open(directory.path(), &["localhost".to_owned()], &addresses).unwrap();
        let mut config = Config::new(Arc::new(pki));
        config.secure_port = 0;
        change(&mut config);
        let store = Arc::new(store::memory::Memory::new());
        let server = Server::start(config, store).await.unwrap();
        Self {
            server,
            _directory: directory,
        }
    }

    /// Sends a request as it is, without any user.
    pub(crate) async fn call(&self, request: Request<Body>) -> http::Response<Body> {
        let Ok(response) = self.server.router().oneshot(request).await;
        response
    }

    /// Sends a request as an administrator.
    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> http::Response<Body> {
        let admin = UserInfo::component("admin", &[MASTERS]);
        self.send_as(admin, method, url, headers, body).await
    }

    async fn send_as(
        &self,
        user: UserInfo,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> http::Response<Body> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(Arc::new(user));
        let Ok(response) = self.server.router().oneshot(request).await;
        response
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn ask(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        Self::read(self.send(method, url, headers, body).await).await
    }

    /// Sends a request as somebody, and reads the answer.
    pub(crate) async fn ask_as(
        &self,
        user: &UserInfo,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let user = user.clone();
        Self::read(self.send_as(user, method, url, headers, body).await).await
    }

    async fn read(response: http::Response<Body>) -> Answer {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            code: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.ask("GET", url, &[], "").await
    }

    pub(crate) async fn post(&self, url: &str, body: &str) -> Answer {
        let json = [("content-type", "application/json")];
        self.ask("POST", url, &json, body).await
    }

    pub(crate) async fn put(&self, url: &str, body: &str) -> Answer {
        let json = [("content-type", "application/json")];
        self.ask("PUT", url, &json, body).await
    }

    pub(crate) async fn delete(&self, url: &str, body: &str) -> Answer {
        let json = [("content-type", "application/json")];
        self.ask("DELETE", url, &json, body).await
    }

    /// Makes a ConfigMap in the default namespace.
    pub(crate) async fn config_map(&self, name: &str, label: &str) -> Value {
        let body = serde_json::json!({
            "metadata": {"name": name, "labels": {"app": label}},
            "data": {"k": "v"},
        });
        let made = self.post(CONFIG_MAPS, &body.to_string()).await;
        assert_eq!(made.code, 201, "{}", made.message());
        made.json()
    }

    /// Starts a watch.
    pub(crate) async fn watch(&self, url: &str, headers: &[(&str, &str)]) -> Events {
        let response = self.send("GET", url, headers, "").await;
        assert_eq!(response.status(), 200);
        Events {
            stream: response.into_body().into_data_stream(),
            rest: Vec::new(),
        }
    }
}

/// ConfigMaps of the default namespace.
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The events of a watch.
pub(crate) struct Events {
    stream: axum::body::BodyDataStream,
    rest: Vec<u8>,
}

impl Events {
    /// The next event, `None` at the end of the watch.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let wait = std::time::Duration::from_secs(20);
            let chunk = tokio::time::timeout(wait, self.stream.next()).await;
            let chunk = chunk.expect("an event or the end comes in time")?;
            self.rest.extend_from_slice(&chunk.unwrap());
        }
    }

    /// The type and the name of the next event.
    pub(crate) async fn brief(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch goes on");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&event["type"]),
            text(&event["object"]["metadata"]["name"]),
        )
    }
}
