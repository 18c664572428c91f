//! HTTP requests to containers, for probes and hooks. Certificates are not checked, as in the kubelet:
//! the question is whether something answers.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;

use super::Outcome;

/// A request, resolved.
#[derive(Debug)]
pub(crate) struct Request {
    tls: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
    agent: String,
}

impl Request {
    /// What an action asks for. `agent` is the name that goes with the version into `User-Agent`.
    ///
    /// # Errors
    /// A named port that the container does not have, or no host to ask.
    pub(crate) fn new(
        action: &HTTPGetAction,
        container: &Container,
        address: Option<IpAddr>,
        agent: &str,
    ) -> Result<Self, String> {
        let own = action.host.clone().filter(|host| !host.is_empty());
        let host = own.or_else(|| address.map(|address| address.to_string()));
        let headers = action.http_headers.iter().flatten();
        let path = action.path.clone().unwrap_or_default();
        Ok(Self {
            tls: action.scheme.as_deref() == Some("HTTPS"),
            host: host.ok_or("the pod has no address")?,
            port: port(&action.port, container)?,
            path: if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            },
            headers: headers
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
            agent: format!("{agent}/1.37"),
        })
    }

    fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }
}

/// The number of a port that may be named after one of the container's.
pub(crate) fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_deref() == Some(name));
            named
                .map(|port| port.container_port)
                .or_else(|| name.parse().ok())
        }
    };
    number
        .and_then(|number| u16::try_from(number).ok())
        .filter(|&number| number > 0)
        .ok_or_else(|| format!("invalid port: {port:?}"))
}

/// One attempt of an HTTP probe: any answer from 200 to 399 is success.
pub(super) async fn probe(request: &Request, timeout: Duration) -> Outcome {
    match tokio::time::timeout(timeout, get(request)).await {
        Ok(Ok(status @ 200..400)) => {
            tracing::trace!(status, url = request.url(), "probe succeeded");
            Outcome::Success
        }
        Ok(Ok(status)) => Outcome::Failure(format!("HTTP probe failed with statuscode: {status}")),
        Ok(Err(error)) => Outcome::Failure(format!("Get \"{}\": {error}", request.url())),
        Err(_) => Outcome::Failure(format!(
            "Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            request.url()
        )),
    }
}

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    #[error("{0}")]
    Dial(String),
    #[error("{0}")]
    Tls(io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Request(#[from] http::Error),
}

/// Sends a request; gives the status of the answer.
pub(crate) async fn get(request: &Request) -> Result<u16, GetError> {
    let address = (request.host.as_str(), request.port);
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| GetError::Dial(dial_error(&request.host, request.port, &error)))?;
    if !request.tls {
        return send(request, TokioIo::new(stream)).await;
    }
    let name = rustls::pki_types::ServerName::try_from(request.host.clone())
        .map_err(|error| GetError::Tls(io::Error::other(error)))?;
    let connector = tokio_rustls::TlsConnector::from(trusting());
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(GetError::Tls)?;
    send(request, TokioIo::new(stream)).await
}

async fn send<S>(request: &Request, stream: S) -> Result<u16, GetError>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let mut message = http::Request::get(&request.path);
    let given = |name: &str| {
        request
            .headers
            .iter()
            .any(|(n, _)| n.eq_ignore_ascii_case(name))
    };
    if !given("host") {
        message = message.header("host", request.authority());
    }
    if !given("user-agent") {
        message = message.header("user-agent", &request.agent);
    }
    if !given("accept") {
        message = message.header("accept", "*/*");
    }
    for (name, value) in &request.headers {
        message = message.header(name, value);
    }
    let message = message
        .header("connection", "close")
        .body(Empty::<Bytes>::new())?;
    // The connection has to be driven for the answer to come; it ends with this future.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(message));
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut answer => return Ok(answer?.status().as_u16()),
            end = &mut connection, if open => {
                end?;
                open = false;
            }
        }
    }
}

/// How Go words that a connection could not be made.
pub(crate) fn dial_error(host: &str, port: u16, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    };
    format!("dial tcp {host}:{port}: {why}")
}

/// A client that takes every certificate.
fn trusting() -> Arc<rustls::ClientConfig> {
    static CONFIG: std::sync::OnceLock<Arc<rustls::ClientConfig>> = std::sync::OnceLock::new();
    let make = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Trusting(provider.clone()));
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for the default versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Arc::new(config)
    };
    CONFIG.get_or_init(make).clone()
}

/// The verifier of [`trusting`].
#[cfg(test)]
pub(crate) fn any_certificate() -> Arc<dyn rustls::client::danger::ServerCertVerifier> {
    Arc::new(Trusting(Arc::new(rustls::crypto::ring::default_provider())))
}

/// Takes every certificate, but checks that the server holds its key.
#[derive(Debug)]
struct Trusting(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
