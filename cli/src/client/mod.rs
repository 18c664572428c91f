//! The connection to a cluster: requests as kubectl makes them, and answers or errors in its words.

mod checks;
pub(crate) mod credentials;
pub(crate) mod discovery;
pub(crate) mod kubeconfig;
pub(crate) mod shape;
pub(crate) mod tls;
pub(crate) mod websocket;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use reqwest::Url;
use serde_json::Value;

use crate::args::Global;
use crate::context;
use crate::duration;
use crate::error::{Connect, Error, Result};
use credentials::Credentials;

/// What the server is told that this program is.
pub(crate) const USER_AGENT: &str = concat!(
    "ctl/v",
    env!("CARGO_PKG_VERSION"),
    " (linux/amd64) kubernetes/1.37"
);

/// What is said of a path that the server does not know.
pub(crate) const NOT_SERVED: &str = "the server could not find the requested resource";

/// How long a server may take to accept a connection, with TLS: kubectl has 30 s for the first of both.
const CONNECT: Duration = Duration::from_secs(30);

/// A connection to one server as one user.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    credentials: Credentials,
    cluster: Value,
    timeout: Option<Duration>,
    verbosity: i64,
    warned: RefCell<BTreeSet<String>>,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The method, GET unless set.
    pub(crate) method: Method,
    /// The path, with a leading slash.
    pub(crate) path: String,
    /// The query, in order.
    pub(crate) query: Vec<(String, String)>,
    /// The `Accept` header, JSON unless set.
    pub(crate) accept: Option<String>,
    /// The body and its type.
    pub(crate) body: Option<(String, Vec<u8>)>,
    /// Whether the answer goes on for ever, so that no time limit applies.
    pub(crate) endless: bool,
}

impl Request {
    /// A GET of a path.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// A request with a JSON body.
    pub(crate) fn send(method: Method, path: impl Into<String>, body: &Value) -> Self {
        Self::with_body(method, path, "application/json", body)
    }

    /// A request with a JSON body of a given type, such as a patch.
    pub(crate) fn with_body(
        method: Method,
        path: impl Into<String>,
        kind: &str,
        body: &Value,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            body: Some((kind.to_owned(), body.to_string().into_bytes())),
            ..Self::default()
        }
    }

    /// Adds a query parameter, unless it is empty.
    #[must_use]
    pub(crate) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.query.push((name.to_owned(), value));
        }
        self
    }

    /// Sets what form of answer is wanted.
    #[must_use]
    pub(crate) fn accept(mut self, accept: &str) -> Self {
        self.accept = Some(accept.to_owned());
        self
    }
}

impl Client {
    /// A client for what the kubeconfig chose; nothing is sent.
    pub(crate) fn new(chosen: &kubeconfig::Chosen, global: &Global) -> Result<Self> {
        let server = chosen.cluster["server"]
            .as_str()
            .filter(|s| !s.is_empty())
            .map_or_else(default_server, str::to_owned);
        let base = base_url(&server)?;
        if !matches!(base.scheme(), "http" | "https") {
            let problem = format!("unsupported protocol scheme {:?}", base.scheme());
            return Err(Connect::Other(problem).into());
        }
        // Whoever listens on the way could read them: kubectl sends none there either.
        let credentials = if base.scheme() == "https" {
            credentials::of(&chosen.user, &chosen.cluster)?
        } else {
            credentials::only_impersonation(&chosen.user)
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT);
        if base.scheme() == "https" {
            let mut tls = tls::config(&chosen.cluster, credentials.certificate.clone())?;
            tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            builder = builder.tls_backend_preconfigured(tls);
        } else {
            // reqwest makes a TLS configuration in any case; this one needs no files.
            let empty = serde_json::json!({"insecure-skip-tls-verify": true});
            builder = builder.tls_backend_preconfigured(tls::config(&empty, None)?);
        }
        if let Some(proxy) = chosen.cluster["proxy-url"]
            .as_str()
            .filter(|p| !p.is_empty())
        {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|e| format!("invalid proxy-url {proxy:?}: {e}"))?;
            builder = builder.proxy(proxy);
        }
        if global.disable_compression
            || chosen.cluster["disable-compression"]
                .as_bool()
                .unwrap_or(false)
            || is_loopback(&base)
        {
            builder = builder.no_gzip();
        }
        Ok(Self {
            http: builder
                .build()
                .map_err(|e| format!("cannot make an HTTP client: {e}"))?,
            base,
            credentials,
            cluster: chosen.cluster.clone(),
            timeout: timeout(global)?,
            verbosity: global.verbosity,
            warned: RefCell::default(),
        })
    }

    /// The server's URL.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The full URL of a path, which may have a query of its own.
    fn url(&self, request: &Request) -> Url {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        url.set_path(&format!("{prefix}{path}"));
        if !query.is_empty() {
            url.set_query(Some(query));
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        let bad = |_| Error::from("a credential holds characters that no HTTP header may have");
        if let Some(authorization) = &self.credentials.authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(bad)?;
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        for (name, value) in &self.credentials.impersonation {
            let name = http::HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| "a credential holds characters that no HTTP header may have")?;
            headers.append(name, HeaderValue::from_str(value).map_err(bad)?);
        }
        Ok(headers)
    }

    /// Sends a request; an answer that is a failure is an error.
    pub(crate) async fn response(&self, request: Request) -> Result<reqwest::Response> {
        let url = self.url(&request);
        let mut builder = self
            .http
            .request(request.method.clone(), url.clone())
            .headers(self.headers()?)
            .header(
                http::header::ACCEPT,
                request.accept.as_deref().unwrap_or("application/json"),
            );
        if let (Some(timeout), false) = (self.timeout, request.endless) {
            builder = builder.timeout(timeout);
        }
        if let Some((kind, body)) = request.body {
            builder = builder.header(http::header::CONTENT_TYPE, kind).body(body);
        }
        let started = std::time::Instant::now();
        let response = builder.send().await.map_err(|e| self.connect_error(&e))?;
        if self.verbosity >= 6 {
            let line = format!(
                "{} {url} {} in {} milliseconds",
                request.method,
                response.status(),
                started.elapsed().as_millis()
            );
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        self.show_warnings(response.headers());
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status();
        let body = response.bytes().await.unwrap_or_default();
        Err(Error::status(failure(code, &body, &request.method, &url)))
    }

    /// Sends a request and reads the answer as JSON.
    pub(crate) async fn json(&self, request: Request) -> Result<Value> {
        let body = self
            .response(request)
            .await?
            .bytes()
            .await
            .map_err(|e| self.connect_error(&e))?;
        serde_json::from_slice(&body)
            .map_err(|e| format!("couldn't read the server's answer: {e}").into())
    }

    /// Sends a request and reads the answer as it is.
    pub(crate) async fn bytes(&self, request: Request) -> Result<bytes::Bytes> {
        self.response(request)
            .await?
            .bytes()
            .await
            .map_err(|e| self.connect_error(&e))
    }

    /// Opens a WebSocket at a path, offering sub-protocols in order of preference.
    pub(crate) async fn websocket(
        &self,
        request: &Request,
        protocols: &str,
    ) -> Result<websocket::Socket> {
        websocket::connect(
            &self.url(request),
            &self.cluster,
            &self.credentials,
            self.headers()?,
            protocols,
        )
        .await
    }

    /// What a failed exchange means to the user.
    pub(crate) fn connect_error(&self, error: &reqwest::Error) -> Error {
        connect_error(error, &self.base)
    }

    fn show_warnings(&self, headers: &HeaderMap) {
        for value in headers.get_all(http::header::WARNING) {
            let Some(text) = value.to_str().ok().and_then(warning_text) else {
                continue;
            };
            if self.warned.borrow_mut().insert(text.clone()) {
                context::warn(&text);
            }
        }
    }

    /// How many different warnings the server has sent.
    pub(crate) fn warnings(&self) -> usize {
        self.warned.borrow().len()
    }
}

/// The text of a `Warning: 299 - "text"` header.
fn warning_text(header: &str) -> Option<String> {
    let rest = header.strip_prefix("299 ")?;
    let start = rest.find('"')? + 1;
    let end = rest.rfind('"')?;
    (end >= start).then(|| rest[start..end].replace("\\\"", "\"").replace("\\\\", "\\"))
}

fn timeout(global: &Global) -> Result<Option<Duration>> {
    let Some(text) = global.request_timeout.as_deref() else {
        return Ok(None);
    };
    let parsed = text
        .parse::<u64>()
        .ok()
        .map(Duration::from_secs)
        .or_else(|| duration::parse(text).ok().map(duration::positive));
    match parsed {
        Some(Duration::ZERO) => Ok(None),
        Some(timeout) => Ok(Some(timeout)),
        None => Err("Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)".into()),
    }
}

/// The server of those who name none.
fn default_server() -> String {
    let named = std::env::var("KUBERNETES_MASTER").ok();
    named
        .filter(|server| !server.is_empty())
        .unwrap_or_else(|| "http://localhost:8080".to_owned())
}

fn base_url(server: &str) -> Result<Url> {
    let full = if server.contains("://") {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    match Url::parse(&full) {
        Ok(url) if url.has_host() => Ok(url),
        _ => Err(format!("host must be a URL or a host:port pair: {server:?}").into()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|a| a.is_loopback()),
        None => false,
    }
}

/// The `Status` of a failed request: the server's own, or one made of what there is.
fn failure(code: http::StatusCode, body: &[u8], method: &Method, url: &Url) -> Value {
    if let Ok(value) = serde_json::from_slice::<Value>(body)
        && value["kind"] == "Status"
    {
        return value;
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let (reason, message) = match code.as_u16() {
        401 => ("Unauthorized", "Unauthorized".to_owned()),
        403 => ("Forbidden", text.to_owned()),
        404 => ("NotFound", NOT_SERVED.to_owned()),
        405 => (
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource".to_owned(),
        ),
        409 => ("Conflict", "the server reported a conflict".to_owned()),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later"
                .to_owned(),
        ),
        500 => (
            "InternalError",
            format!("an error on the server ({text:?}) has prevented the request from succeeding"),
        ),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request".to_owned(),
        ),
        _ => (
            "",
            format!(
                "the server responded with the status code {} but did not return more information ({method} {})",
                code.as_u16(),
                url.path()
            ),
        ),
    };
    serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code.as_u16()})
}

/// What an error of input and output holds, in however many layers of such.
fn innermost(error: &std::io::Error) -> &std::io::Error {
    let inner = error.get_ref();
    inner
        .and_then(|inner| inner.downcast_ref())
        .map_or(error, innermost)
}

fn connect_error(error: &reqwest::Error, base: &Url) -> Error {
    let port = base.port_or_known_default().unwrap_or(443);
    let host = base.host_str().unwrap_or_default();
    let shown = match base.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    if error.is_timeout() && error.is_connect() {
        return Connect::Other(format!("dial tcp {host}:{port}: i/o timeout")).into();
    }
    if error.is_timeout() {
        return Connect::Other(
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".into(),
        )
        .into();
    }
    let mut cause = error.source();
    let mut last = error.to_string();
    while let Some(inner) = cause {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return Connect::Other(tls::words(tls)).into();
        }
        if let Some(io) = inner.downcast_ref().map(innermost) {
            let tls = io.get_ref().and_then(|held| held.downcast_ref());
            match (io.kind(), tls) {
                (_, Some(tls)) => return Connect::Other(tls::words(tls)).into(),
                (ErrorKind::ConnectionRefused, None) => return Connect::Refused(shown).into(),
                (ErrorKind::UnexpectedEof, None) => return Connect::Other("EOF".into()).into(),
                _ => {}
            }
        }
        last = inner.to_string();
        cause = inner.source();
    }
    if last.starts_with("failed to lookup address information") {
        return Connect::Other(format!("dial tcp: lookup {host}: no such host")).into();
    }
    Connect::Other(format!("dial tcp {host}:{port}: {last}")).into()
}

impl From<Connect> for Error {
    fn from(error: Connect) -> Self {
        Self::Connect(error)
    }
}
