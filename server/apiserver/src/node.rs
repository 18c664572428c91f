//! Requests to kubelets: HTTPS with the server's client certificate, answers streamed, upgrades passed
//! through byte for byte.
//!
//! As in Kubernetes without `--kubelet-certificate-authority`, a kubelet's own certificate is not checked:
//! nodes sign theirs themselves.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};
use crate::pki::{self, Pki};

/// The way to kubelets.
pub(crate) struct Nodes {
    tls: TlsConnector,
}

/// Where a kubelet listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The node's internal IP address.
    pub(crate) host: String,
    /// The kubelet's port.
    pub(crate) port: u16,
}

impl Nodes {
    /// Uses the server's client certificate.
    pub(crate) fn new(pki: &Pki) -> std::result::Result<Self, pki::Error> {
        let failed = |error: &dyn std::fmt::Display| pki::Error::Tls(error.to_string());
        let identity = pki.kubelet_client();
        let certificates = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| failed(&e))?;
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(|e| failed(&e))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyKubelet(provider)))
            .with_client_auth_cert(certificates, key)
            .map_err(|e| failed(&e))?;
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Sends a request to a kubelet and answers with what it answers. Where both sides change the
    /// protocol, their bytes are passed on from then on.
    pub(crate) async fn pass(
        &self,
        node: &Address,
        request: Request<Body>,
        upgrade: Option<OnUpgrade>,
    ) -> Result<Response> {
        let unreachable = |error: &dyn std::fmt::Display| {
            let Address { host, port } = node;
            Error::dial(format!("dial tcp {host}:{port}: {error}"))
        };
        let stream = TcpStream::connect((node.host.as_str(), node.port))
            .await
            .map_err(|e| unreachable(&e))?;
        let name = ServerName::try_from(node.host.clone()).map_err(|e| unreachable(&e))?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|e| unreachable(&e))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| unreachable(&e))?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!("a connection to a kubelet ended: {error}");
            }
        });
        let mut response = sender
            .send_request(request)
            .await
            .map_err(|e| unreachable(&e))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let kubelet = hyper::upgrade::on(&mut response);
            let client = upgrade.ok_or_else(|| Error::bad_request("Upgrade request required"))?;
            tokio::spawn(connect(client, kubelet));
        }
        Ok(response.map(Body::new))
    }
}

/// Passes bytes on between two upgraded connections until both have said all.
async fn connect(client: OnUpgrade, kubelet: OnUpgrade) {
    let (client, kubelet) = match tokio::try_join!(client, kubelet) {
        Ok(both) => both,
        Err(error) => return tracing::debug!("an upgrade failed: {error}"),
    };
    let (mut client, mut kubelet) = (TokioIo::new(client), TokioIo::new(kubelet));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut kubelet).await {
        tracing::debug!("an upgraded connection ended: {error}");
    }
}

/// Accepts any kubelet. That it holds its certificate's key is still checked.
#[derive(Debug)]
struct AnyKubelet(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyKubelet {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
