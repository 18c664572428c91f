//! The node's HTTPS server: logs and commands, under the kubelet's own paths, for the API server alone.
//!
//! A client needs a certificate of the cluster's authority, but for the health check. The server's own
//! certificate is made at start and trusted by nobody in particular, as the kubelet's is.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::Shutdown;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;

mod channels;
mod exec;
mod logs;
pub(crate) mod query;
mod tls;

use crate::pod::effects::Context;
use crate::pod::spec;

/// A body of an answer.
type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What the server knows of a pod.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) context: Arc<Context>,
    pub(crate) status: watch::Receiver<PodStatus>,
}

/// How long a request waits for the agent to know its pods, after a start.
const SETTLING: Duration = Duration::from_secs(10);

/// The pods of this node.
#[derive(Clone, Default)]
pub(crate) struct Directory(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// By uid.
    entries: Mutex<HashMap<String, Entry>>,
    /// Whether all pods that were here before the start are in it again.
    settled: watch::Sender<bool>,
}

impl Directory {
    pub(crate) fn insert(&self, uid: &str, entry: Entry) {
        self.0.entries.lock().insert(uid.to_owned(), entry);
    }

    pub(crate) fn remove(&self, uid: &str) {
        self.0.entries.lock().remove(uid);
    }

    /// From here on, a pod that is not in it is not on this node.
    pub(crate) fn settle(&self) {
        self.0.settled.send_replace(true);
    }

    /// Waits until that is so. A node whose API server is away answers with what it has.
    async fn settled(&self) {
        let mut settled = self.0.settled.subscribe();
        let settled = settled.wait_for(|settled| *settled);
        let _ = tokio::time::timeout(SETTLING, settled).await;
    }

    /// The pod of that name; the one that is not ending if there are two.
    fn find(&self, namespace: &str, name: &str) -> Option<Entry> {
        let entries = self.0.entries.lock();
        let named = entries.values().filter(|entry| {
            let pod = entry.context.pod();
            spec::namespace(&pod) == namespace && spec::name(&pod) == name
        });
        named
            .min_by_key(|entry| entry.context.pod().metadata.deletion_timestamp.is_some())
            .cloned()
    }

    /// All pods with their present status.
    fn pods(&self) -> Vec<Pod> {
        let entries = self.0.entries.lock();
        let pod = |entry: &Entry| {
            let mut pod = Pod::clone(&entry.context.pod());
            pod.status = Some(entry.status.borrow().clone());
            pod
        };
        entries.values().map(pod).collect()
    }
}

/// Why the server can't serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port can't be had.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: IpAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate of the clients' authority is unusable.
    #[error("client CA: {0}")]
    ClientCa(String),
    /// The serving certificate could not be made.
    #[error("serving certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS refused a key or certificate.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// A server that listens and does not serve yet.
pub(crate) struct Server {
    listener: TcpListener,
    tls: tokio_rustls::TlsAcceptor,
    directory: Directory,
}

impl Server {
    /// Listens on any port that is free, but on the one that `memory` names if it is: the Node still
    /// says that one after a restart. Several nodes may run on one machine.
    pub(crate) async fn bind(
        address: IpAddr,
        memory: &Path,
        name: &str,
        client_ca_pem: &str,
        directory: Directory,
    ) -> Result<Self, Error> {
        let tls = tls::acceptor(name, address, client_ca_pem)?;
        let remembered = std::fs::read_to_string(memory).ok();
        let port = remembered.and_then(|port| port.trim().parse().ok());
        let wanted = SocketAddr::new(address, port.unwrap_or(0));
        let listener = match TcpListener::bind(wanted).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind((address, 0)).await,
        };
        let listener = listener.map_err(|source| Error::Listen { address, source })?;
        let port = listener.local_addr().map_or(0, |address| address.port());
        if let Err(error) = std::fs::write(memory, port.to_string()) {
            tracing::warn!(file = %memory.display(), %error, "port not remembered");
        }
        Ok(Self {
            listener,
            tls,
            directory,
        })
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        // A bound listener has an address.
        self.listener
            .local_addr()
            .map_or(0, |address| address.port())
    }

    /// Serves until `shutdown`.
    pub(crate) async fn serve(self, shutdown: Shutdown) {
        let mut stopped = std::pin::pin!(client::stopped(&shutdown));
        loop {
            let accepted = tokio::select! {
                () = &mut stopped => return,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    // Out of descriptors, most likely: give others the time to close some.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let tls = self.tls.clone();
            let directory = self.directory.clone();
            tokio::spawn(async move {
                let stream = match tls.accept(stream).await {
                    Ok(stream) => stream,
                    Err(error) => return tracing::debug!(%error, "TLS handshake"),
                };
                let known = stream.get_ref().1.peer_certificates().is_some();
                let service = hyper::service::service_fn(move |request| {
                    let directory = directory.clone();
                    async move {
                        Ok::<_, std::convert::Infallible>(answer(directory, known, request).await)
                    }
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
                if let Err(error) = served {
                    tracing::debug!(%error, "connection");
                }
            });
        }
    }
}

/// Answers one request. `known`: the client has shown a certificate of the cluster.
async fn answer(directory: Directory, known: bool, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if parts == ["healthz"] {
        return text(StatusCode::OK, "ok");
    }
    if !known {
        return text(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    directory.settled().await;
    let get = request.method() == Method::GET;
    match parts[..] {
        ["pods"] if get => pods(&directory),
        ["containerLogs", namespace, pod, container] if get => {
            logs::serve(&directory, (namespace, pod, container), &request)
        }
        ["exec", namespace, pod, container] | ["exec", namespace, pod, _, container] => {
            exec::serve(&directory, (namespace, pod, container), request)
        }
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

fn pods(directory: &Directory) -> Response<Body> {
    let list = serde_json::json!({
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {},
        "items": directory.pods(),
    });
    let mut response = text(StatusCode::OK, list.to_string());
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}

/// An answer of plain text.
fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert("content-type", plain);
    response
}

#[cfg(test)]
mod tests;
