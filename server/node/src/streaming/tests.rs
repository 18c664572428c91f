//! The server as the API server uses it: over TLS, with and without a certificate of the cluster.

use std::net::IpAddr;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use http_body_util::Empty;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::clock::Clock;
use crate::env::resource::Allocatable;
use crate::events::Events;
use crate::objects::Objects;
use crate::paths::Paths;
use crate::pod::effects::Shared;
use crate::runtime::{ContainerSpec, PodSandbox, Runtime};
use crate::testing::{FakeImages, FakePod, FakeRuntime, FakeServer};
use crate::volume::token::Tokens;

/// A certificate authority and a client's certificate of it.
struct Authority {
    pem: String,
    client: (CertificateDer<'static>, Vec<u8>),
}

fn authority() -> Authority {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("a certificate");
    let issuer = rcgen::Issuer::new(params, key);
    let client_key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("params");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let client = params.signed_by(&client_key, &issuer).expect("signed");
    Authority {
        pem: ca.pem(),
        client: (client.der().clone(), client_key.serialize_der()),
    }
}

struct Bench {
    dir: tempfile::TempDir,
    authority: Authority,
    address: SocketAddr,
    pod: Arc<FakePod>,
    status: watch::Sender<PodStatus>,
    _stop: watch::Sender<bool>,
}

async fn bench() -> Bench {
    let dir = tempfile::tempdir().expect("temp dir");
    let authority = authority();
    let directory = Directory::default();
    let runtime = FakeRuntime::default();
    let sandbox = PodSandbox {
        uid: "u".to_owned(),
        ..PodSandbox::default()
    };
    let made = runtime.create_pod(sandbox).await.expect("made");
    let spec = ContainerSpec {
        name: "c".to_owned(),
        ..ContainerSpec::default()
    };
    made.start_container(spec).await.expect("started");
    let pod = json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "spec": {"containers": [{"name": "c"}]},
    });
    let context = Context {
        shared: shared(dir.path(), &runtime),
        pod: Mutex::new(Arc::new(serde_json::from_value(pod).expect("a pod"))),
        sandbox: Mutex::new(Some(made)),
        volumes: Mutex::default(),
    };
    let status = json!({"containerStatuses": [{
        "name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {}},
    }]});
    let status = watch::Sender::new(serde_json::from_value(status).expect("a status"));
    let entry = Entry {
        context: Arc::new(context),
        status: status.subscribe(),
    };
    directory.insert("u", entry);
    directory.settle();
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let memory = dir.path().join("port");
    let server = Server::bind(loopback, &memory, "n", &authority.pem, directory);
    let server = server.await.expect("bound");
    let address = SocketAddr::new(loopback, server.port());
    let (stop, shutdown) = watch::channel(false);
    tokio::spawn(server.serve(shutdown));
    Bench {
        dir,
        authority,
        address,
        pod: runtime.pod("u").expect("made before"),
        status,
        _stop: stop,
    }
}

fn shared(dir: &std::path::Path, runtime: &FakeRuntime) -> Arc<Shared> {
    let client = FakeServer::default().client();
    let clock = Clock::default();
    Arc::new(Shared {
        objects: Objects::new(client.clone()),
        tokens: Tokens::new(client.clone(), clock),
        paths: Paths::new(dir, dir),
        events: Events::new(client.clone(), "n"),
        client,
        runtime: Arc::new(runtime.clone()),
        images: Arc::new(FakeImages),
        clock,
        address: IpAddr::from([127, 0, 0, 1]),
        allocatable: Allocatable::default(),
        memory: 0,
        api_server: None,
    })
}

/// Takes the server's certificate, whatever it is: the kubelet's is of its own making, too.
fn roots() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Bench {
    async fn connect(&self, known: bool) -> impl AsyncRead + AsyncWrite + Unpin + Send + use<> {
        let builder = rustls::ClientConfig::builder_with_provider(roots())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(crate::probe::http::any_certificate());
        let config = if known {
            let (certificate, key) = &self.authority.client;
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
            builder.with_client_auth_cert(vec![certificate.clone()], key)
        } else {
            Ok(builder.with_no_client_auth())
        };
        let config = Arc::new(config.expect("a configuration"));
        let stream = tokio::net::TcpStream::connect(self.address).await;
        let name = ServerName::from(self.address.ip());
        tokio_rustls::TlsConnector::from(config)
            .connect(name, stream.expect("connected"))
            .await
            .expect("a handshake")
    }

    async fn get(&self, path: &str, known: bool) -> (u16, String) {
        let stream = TokioIo::new(self.connect(known).await);
        let handshake = hyper::client::conn::http1::handshake(stream).await;
        let (mut sender, connection) = handshake.expect("a handshake");
        tokio::spawn(connection);
        let request = Request::get(path).header("host", "n");
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body");
        let text = String::from_utf8(body.to_bytes().to_vec()).expect("text");
        (status, text)
    }

    fn log(&self, lines: &[&str]) {
        let path = self.dir.path().join("logs/ns_p_u/c/0.log");
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        let lines: String = lines
            .iter()
            .map(|line| format!("2026-01-02T03:04:05Z stdout F {line}\n"))
            .collect();
        std::fs::write(path, lines).expect("written");
    }
}

#[tokio::test]
async fn without_a_certificate_of_the_cluster_there_is_only_the_health_check() {
    let bench = bench().await;
    let ok = (200, "ok".to_owned());
    assert_eq!(bench.get("/healthz", false).await, ok);
    assert_eq!(bench.get("/pods", false).await.0, 401);
    assert_eq!(bench.get("/containerLogs/ns/p/c", false).await.0, 401);
    let (status, pods) = bench.get("/pods", true).await;
    assert!(status == 200 && pods.contains("\"PodList\""));
}

#[tokio::test]
async fn logs_are_served_and_followed_until_the_container_ends() {
    let bench = bench().await;
    bench.log(&["one", "two", "three"]);
    let (status, text) = bench.get("/containerLogs/ns/p/c?tailLines=2", true).await;
    assert_eq!((status, text.as_str()), (200, "two\nthree\n"));
    let following = bench.get("/containerLogs/ns/p/c?follow=true", true);
    let ending = async {
        tokio::task::yield_now().await;
        bench.pod.exit("c", 0);
    };
    let ((status, text), ()) = tokio::join!(following, ending);
    assert_eq!((status, text.as_str()), (200, "one\ntwo\nthree\n"));
}

#[tokio::test]
async fn a_container_without_logs_is_told_of_in_the_kubelets_words() {
    let bench = bench().await;
    let (status, text) = bench.get("/containerLogs/ns/p/c?previous=true", true).await;
    let words = "previous terminated container \"c\" in pod \"p\" not found";
    assert_eq!((status, text.as_str()), (400, words));
    bench.status.send_modify(|status| {
        let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
        let containers = status.container_statuses.as_mut().expect("statuses");
        containers[0].state = serde_json::from_value(waiting).expect("a state");
    });
    let (status, text) = bench.get("/containerLogs/ns/p/c", true).await;
    let words = "container \"c\" in pod \"p\" is waiting to start: ContainerCreating";
    assert_eq!((status, text.as_str()), (400, words));
    assert_eq!(bench.get("/containerLogs/ns/p/x", true).await.0, 404);
    assert_eq!(bench.get("/containerLogs/ns/x/c", true).await.0, 404);
    assert_eq!(
        bench.get("/containerLogs/ns/p/c?tailLines=x", true).await.0,
        400
    );
}

#[tokio::test]
async fn a_command_gets_its_input_and_its_exit_code_comes_back() {
    let bench = bench().await;
    let stream = bench.connect(true).await;
    let request = Request::get("wss://n/exec/ns/p/c?command=7&input=1&output=1")
        .header("host", "n")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "v5.channel.k8s.io")
        .body(())
        .expect("a request");
    let (mut socket, response) = tokio_tungstenite::client_async(request, stream)
        .await
        .expect("an upgrade");
    assert_eq!(
        response.headers()["sec-websocket-protocol"],
        "v5.channel.k8s.io"
    );
    for message in [&b"\0hello"[..], b"\xff\0"] {
        let message = Message::Binary(Bytes::copy_from_slice(message));
        socket.send(message).await.expect("sent");
    }
    let mut output = Vec::new();
    let mut status = None;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(data) if data[0] == 1 => output.extend_from_slice(&data[1..]),
            Message::Binary(data) if data[0] == 3 => {
                status = serde_json::from_slice::<serde_json::Value>(&data[1..]).ok();
            }
            _ => {}
        }
    }
    assert_eq!(output, b"hello");
    let status = status.expect("a status");
    assert_eq!(status["details"]["causes"][0]["message"], "7");
}

#[tokio::test]
async fn a_restarted_server_listens_where_the_node_says_if_it_can() {
    let dir = tempfile::tempdir().expect("temp dir");
    let authority = authority();
    let memory = dir.path().join("port");
    let bind = || async {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let server = Server::bind(loopback, &memory, "n", &authority.pem, Directory::default());
        server.await.expect("bound")
    };
    let first = bind().await;
    let other = bind().await;
    assert_ne!(other.port(), first.port());
    let port = other.port();
    drop((first, other));
    assert_eq!(bind().await.port(), port);
}

#[tokio::test(start_paused = true)]
async fn pods_are_waited_for_after_a_start_but_not_for_ever() {
    let directory = Directory::default();
    let begin = tokio::time::Instant::now();
    directory.settled().await;
    assert_eq!(begin.elapsed(), super::SETTLING);
    directory.settle();
    directory.settled().await;
    assert_eq!(begin.elapsed(), super::SETTLING);
}
