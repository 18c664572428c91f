//! The server: what it needs to start, how it listens, how it stops.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::auth::{MASTERS, UserInfo};
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde_json::Value;
use store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::admission::Admission;
use crate::app::App;
use crate::auth::service_account::Tokens;
use crate::auth::token_file::TokenFile;
use crate::auth::{Authenticator, Authorizer, Known, certificate};
use crate::cache::Cache;
use crate::coalesce::{self, Coalesce, Polls};
use crate::metrics::Metrics;
use crate::node::Nodes;
use crate::pki::Pki;
use crate::{bootstrap, compaction, expiry, routes};

/// How many connections are served at once; more wait.
const CONNECTIONS: usize = 8192;
/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long running requests have when the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How many requests an HTTP/2 connection may carry at once.
const STREAMS: u32 = 1000;

/// What a server needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on.
    pub bind_address: IpAddr,
    /// The port, 0 for any.
    pub secure_port: u16,
    /// Keys and certificates.
    pub pki: Arc<Pki>,
    /// A file of bearer tokens, as `--token-auth-file` has it.
    pub token_auth_file: Option<PathBuf>,
    /// The addresses of Services, as a CIDR.
    pub service_cluster_ip_range: String,
    /// How long a watch lasts that does not say.
    pub watch_timeout: Duration,
    /// How long events are kept.
    pub event_ttl: Duration,
    /// How often the store forgets what was superseded an interval before; zero for never.
    pub compaction_interval: Duration,
}

impl Config {
    /// A server on loopback, with the defaults of kube-apiserver.
    pub fn new(pki: Arc<Pki>) -> Self {
        Self {
            bind_address: IpAddr::from([127, 0, 0, 1]),
            secure_port: 6443,
            pki,
            token_auth_file: None,
            service_cluster_ip_range: "10.96.0.0/16".to_owned(),
            watch_timeout: Duration::from_secs(1800),
            event_ttl: Duration::from_secs(3600),
            compaction_interval: Duration::from_secs(300),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Keys or certificates can't be used.
    #[error(transparent)]
    Pki(#[from] crate::pki::Error),
    /// The token file can't be used.
    #[error("cannot use the token file: {0}")]
    TokenFile(String),
    /// The key of service-account tokens can't be used.
    #[error(transparent)]
    Tokens(#[from] crate::auth::service_account::Error),
    /// The store can't be read.
    #[error("cannot read the store: {0}")]
    Store(String),
    /// An object that must exist can't be made.
    #[error("cannot create {object}: {answer}")]
    Bootstrap {
        /// Its kind and name.
        object: String,
        /// What the server answered.
        answer: String,
    },
}

/// A connection from this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

/// A running server. It stops when it is dropped; [`Server::shutdown`] stops it in order.
#[derive(Debug)]
pub struct Server {
    router: axum::Router,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
    expiring: JoinHandle<()>,
    compacting: JoinHandle<()>,
}

impl Server {
    /// Starts to listen, and makes the objects that must exist. When this returns, the server is ready.
    pub async fn start(config: Config, store: Arc<dyn Store>) -> Result<Self, Error> {
        let wanted = SocketAddr::new(config.bind_address, config.secure_port);
        let listen = |source| Error::Listen {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let tls = TlsAcceptor::from(Arc::new(config.pki.server_tls()?));
        let (stop, stopping) = watch::channel(false);
        let (ready, is_ready) = watch::channel(false);
        let app = app(&config, store, stopping.clone(), is_ready).await?;
        let router = routes::router(app.clone());
        let listening = tokio::spawn(listen_for(listener, tls, router.clone(), stopping.clone()));
        populate(&app, &router).await?;
        ready.send_replace(true);
        let interval = config.compaction_interval;
        let compacting = tokio::spawn(compaction::run(app.store.clone(), interval, stopping));
        let expiring = tokio::spawn(expiry::run(app, router.clone(), config.event_ttl, ready));
        Ok(Self {
            router,
            address,
            stop,
            listening,
            expiring,
            compacting,
        })
    }

    /// The service itself, for clients in this process. They put their [`UserInfo`] into the extensions
    /// of each request.
    pub fn router(&self) -> axum::Router {
        self.router.clone()
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends watches, lets other requests finish for a while, and returns when all connections are closed.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // The task ends by itself; that it panicked would have been logged by the runtime.
        let _ = (&mut self.listening).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.expiring.abort();
        self.compacting.abort();
    }
}

async fn app(
    config: &Config,
    store: Arc<dyn Store>,
    stopping: watch::Receiver<bool>,
    ready: watch::Receiver<bool>,
) -> Result<Arc<App>, Error> {
    let known = Arc::new(Known::default());
    let tokens = Arc::new(Tokens::new(config.pki.service_account_keys())?);
    let token_file = match &config.token_auth_file {
        Some(path) => TokenFile::open(path).map_err(|e| Error::TokenFile(e.to_string()))?,
        None => TokenFile::default(),
    };
    let cache = Cache::start(store.clone(), api::kinds::KINDS, known.clone())
        .await
        .map_err(|error| Error::Store(error.message))?;
    Ok(Arc::new(App {
        store,
        cache,
        authenticator: Authenticator::new(token_file, tokens.clone(), known.clone()),
        authorizer: Authorizer::new(known),
        tokens,
        admission: Admission::new(),
        metrics: Metrics::new(),
        nodes: Nodes::new(&config.pki)?,
        watch_timeout: config.watch_timeout,
        stopping,
        ready,
    }))
}

/// Creates the objects that must exist and don't: namespaces first, then all others at once.
async fn populate(app: &App, router: &axum::Router) -> Result<(), Error> {
    let (namespaces, others): (Vec<Value>, Vec<Value>) = bootstrap::objects()
        .into_iter()
        .partition(|object| object["kind"] == "Namespace");
    for objects in [namespaces, others] {
        let missing = objects.into_iter().filter_map(|object| {
            let version = object["apiVersion"].as_str()?;
            let kind = api::kinds::by_kind(version, object["kind"].as_str()?)?;
            let (namespace, name) = (api::meta::namespace(&object), api::meta::name(&object));
            let there = app.cache.of(kind).get(namespace, name).is_some();
            (!there).then(|| make(router, kind.resource(), object))
        });
        futures::future::try_join_all(missing).await?;
    }
    // Whoever is let in now finds the roles: the authorizer knows what the cache has seen.
    let fresh = app.cache.fresh().await;
    fresh.map(drop).map_err(|e| Error::Store(e.message))
}

async fn make(
    router: &axum::Router,
    resource: &'static api::kind::Resource,
    object: Value,
) -> Result<(), Error> {
    let root = match resource.group {
        "" => "/api".to_owned(),
        group => format!("/apis/{group}"),
    };
    let place = match api::meta::namespace(&object) {
        "" => String::new(),
        namespace => format!("/namespaces/{namespace}"),
    };
    let url = format!("{root}/{}{place}/{}", resource.version, resource.plural);
    let mut request = Request::post(url)
        .header(http::header::USER_AGENT, "kube-apiserver/bootstrap")
        .body(Body::from(object.to_string()))
        .expect("the URL is made of names that the registry and a tested file hold");
    let user = UserInfo::component("system:apiserver", &[MASTERS]);
    request.extensions_mut().insert(Arc::new(user));
    let Ok(response) = router.clone().oneshot(request).await;
    // Another server may have made it meanwhile.
    if response.status().is_success() || response.status() == http::StatusCode::CONFLICT {
        return Ok(());
    }
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    Err(Error::Bootstrap {
        object: format!("{} {}", resource.qualified(), api::meta::name(&object)),
        answer: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
    })
}

/// Serves connections until the server stops, and then those that are still busy for a while.
async fn listen_for(
    listener: TcpListener,
    tls: TlsAcceptor,
    router: axum::Router,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned();
        let accepted = tokio::select! {
            accepted = async {
                let place = place.await.expect("the semaphore is never closed");
                (place, listener.accept().await)
            } => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = stopped(&mut stopping) => break,
        };
        match accepted {
            (place, Ok((stream, peer))) => {
                let serving =
                    connection(stream, peer, tls.clone(), router.clone(), stopping.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            (_, Err(error)) => {
                // Out of files, most likely: give the connections that there are time to end.
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::info!("closing connections that are still busy");
    }
}

/// Returns when the server is stopping.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the server is gone altogether.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Drives a connection until it ends, or, once the server stops, until what it is busy with has ended.
/// The library's two kinds of connections have no trait in common.
macro_rules! until_stopped {
    ($serving:ident, $stopping:ident) => {
        async {
            let mut serving = $serving;
            tokio::select! {
                ended = serving.as_mut() => ended,
                () = stopped(&mut $stopping) => {
                    serving.as_mut().graceful_shutdown();
                    serving.await
                }
            }
        }
    };
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    router: axum::Router,
    mut stopping: watch::Receiver<bool>,
) {
    // Small answers must not wait for the client's acknowledgement of the last one.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("{peer}: {error}");
    }
    let mut stream = match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!("{peer}: TLS handshake: {error}"),
        Err(_) => return tracing::debug!("{peer}: no TLS handshake in time"),
    };
    let (_, session) = stream.get_mut();
    // What is gathered for one write is encrypted as a whole, for one write.
    session.set_buffer_limit(Some(2 * coalesce::CAPACITY));
    let certificates = session.peer_certificates().unwrap_or_default();
    // Whom a certificate names is the same for all requests, and reading it would double their price.
    let user = certificates.first().and_then(|c| certificate::user(c));
    let user = user.map(Arc::new);
    let local = peer.ip().is_loopback();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        let extensions = request.extensions_mut();
        if let Some(user) = &user {
            extensions.insert(Arc::clone(user));
        }
        if local {
            extensions.insert(Local);
        }
        let router = router.clone();
        async move {
            let answer = router.oneshot(request.map(Body::new)).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
        }
    });
    let ended = match session.alpn_protocol() {
        Some(b"h2") => {
            let polls = Polls::default();
            let stream = Coalesce::new(stream, polls.clone());
            let builder = builder().http2_only();
            let serving = builder.serve_connection(TokioIo::new(stream), service);
            let serving = std::pin::pin!(serving);
            polls.count(until_stopped!(serving, stopping)).await
        }
        // A stream that may be upgraded, to run a command for example, is not only the connection's.
        _ => {
            let builder = builder();
            let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let serving = std::pin::pin!(serving);
            until_stopped!(serving, stopping).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("{peer}: {error}");
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(STREAMS);
    builder
}
