//! WebSockets over our own TLS: exec needs a stream in both directions, which an HTTP client has not.

use http::HeaderMap;
use reqwest::Url;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _};

use super::credentials::Credentials;
use super::{failure, tls};
use crate::error::{Connect, Error, Result};

/// A byte stream in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open WebSocket, with the sub-protocol that the server chose.
pub(crate) struct Socket {
    /// The messages.
    pub(crate) stream: WebSocketStream<Box<dyn Stream>>,
    /// Such as `v5.channel.k8s.io`.
    pub(crate) protocol: String,
}

/// Connects and shakes hands.
pub(crate) async fn connect(
    url: &Url,
    cluster: &Value,
    credentials: &Credentials,
    headers: HeaderMap,
    protocols: &str,
) -> Result<Socket> {
    let stream = open(url, cluster, credentials).await?;
    let mut target = url.clone();
    // The schemes are both known to the parser, so that this can't fail.
    let _ = target.set_scheme(if url.scheme() == "https" { "wss" } else { "ws" });
    let mut request = target
        .as_str()
        .into_client_request()
        .map_err(|e| e.to_string())?;
    request.headers_mut().extend(headers);
    request.headers_mut().insert(
        "sec-websocket-protocol",
        protocols.parse().map_err(|_| "bad sub-protocol")?,
    );
    request.headers_mut().insert(
        "user-agent",
        http::HeaderValue::from_static(super::USER_AGENT),
    );
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((stream, response)) => {
            let protocol = response
                .headers()
                .get("sec-websocket-protocol")
                .and_then(|p| p.to_str().ok())
                .unwrap_or_default();
            Ok(Socket {
                stream,
                protocol: protocol.to_owned(),
            })
        }
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            Err(Error::status(failure(
                response.status(),
                &body,
                &http::Method::GET,
                url,
            )))
        }
        Err(error) => Err(error.to_string().into()),
    }
}

async fn open(url: &Url, cluster: &Value, credentials: &Credentials) -> Result<Box<dyn Stream>> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let tcp = match cluster["proxy-url"].as_str().filter(|p| !p.is_empty()) {
        Some(proxy) => through_proxy(proxy, host, port).await?,
        None => TcpStream::connect((host, port))
            .await
            .map_err(|error| refused(&error, host, port))?,
    };
    // Small frames of a terminal must not wait for each other.
    let _ = tcp.set_nodelay(true);
    if url.scheme() != "https" {
        return Ok(Box::new(tcp));
    }
    let config = tls::config(cluster, credentials.certificate.clone())?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("{host:?} is not a name or an address"))?;
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector.connect(name, tcp).await.map_err(|error| {
        let tls = error
            .get_ref()
            .and_then(|e| e.downcast_ref::<rustls::Error>());
        Connect::Other(tls.map_or_else(|| error.to_string(), tls::words))
    })?;
    Ok(Box::new(stream))
}

fn refused(error: &std::io::Error, host: &str, port: u16) -> Error {
    if error.kind() == std::io::ErrorKind::ConnectionRefused {
        return Connect::Refused(format!("{host}:{port}")).into();
    }
    Connect::Other(format!(
        "dial tcp {host}:{port}: {}",
        crate::error::os(error)
    ))
    .into()
}

/// A tunnel through an HTTP proxy.
async fn through_proxy(proxy: &str, host: &str, port: u16) -> Result<TcpStream> {
    let proxy = Url::parse(proxy).map_err(|e| format!("invalid proxy-url {proxy:?}: {e}"))?;
    let address = (
        proxy.host_str().unwrap_or_default(),
        proxy.port_or_known_default().unwrap_or(80),
    );
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|error| refused(&error, address.0, address.1))?;
    stream
        .write_all(
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n").as_bytes(),
        )
        .await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < 8192 {
        answer.push(stream.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&answer);
    if line.split(' ').nth(1) == Some("200") {
        return Ok(stream);
    }
    Err(format!(
        "the proxy refused the tunnel: {}",
        line.lines().next().unwrap_or_default()
    )
    .into())
}
