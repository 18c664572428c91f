//! TLS as Go's client has it: its own list of places for the system's authorities, leaf certificates
//! that are their own authority, another name to expect, or no check at all.

pub(crate) mod pair;
mod words;

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, TrustAnchor, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use serde_json::Value;

use super::shape;
use crate::error::Result;
pub(crate) use words::words;

/// Where systems keep the authorities that they trust.
const SYSTEM_ROOTS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The bytes of a credential: `<field>-data` in base64, or the file that `<field>` names.
pub(crate) fn credential(body: &Value, field: &str) -> Result<Option<Vec<u8>>> {
    if let Some(data) = body[format!("{field}-data")]
        .as_str()
        .filter(|d| !d.is_empty())
    {
        return Ok(Some(shape::decode(data)?));
    }
    match body[field].as_str().filter(|p| !p.is_empty()) {
        Some(path) => match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(format!(
                "unable to read {field} {path}: open {path}: {}",
                crate::error::os(&error)
            )
            .into()),
        },
        None => Ok(None),
    }
}

/// The TLS side of a connection to `cluster` with the certificate of `user`, if it has one.
pub(crate) fn config(
    cluster: &Value,
    certificate: Option<(Vec<u8>, Vec<u8>)>,
) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let insecure = cluster["insecure-skip-tls-verify"]
        .as_bool()
        .unwrap_or(false);
    let verifier: Arc<dyn ServerCertVerifier> = if insecure {
        Arc::new(Unchecked(provider))
    } else {
        Arc::new(Checked::new(cluster, provider)?)
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<std::result::Result<_, _>>()
        .unwrap_or_default();
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| "tls: failed to find any PEM data in key input")?;
    if chain.is_empty() {
        return Err("tls: failed to find any PEM data in certificate input".into());
    }
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("tls: {error}").into())
}

/// The usual check, with Go's allowances.
#[derive(Debug)]
struct Checked {
    inner: Arc<WebPkiServerVerifier>,
    roots: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    name: Option<ServerName<'static>>,
}

impl Checked {
    fn new(cluster: &Value, provider: Arc<CryptoProvider>) -> Result<Self> {
        let pem = match credential(cluster, "certificate-authority")? {
            Some(pem) => pem,
            None => system_roots(),
        };
        let roots: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&pem).flatten().collect();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        if store.is_empty() {
            return Err(
                "unable to load root certificates: unable to parse bytes as PEM block".into(),
            );
        }
        let anchors = store.roots.clone();
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
            .build()
            .map_err(|error| error.to_string())?;
        let name = match cluster["tls-server-name"]
            .as_str()
            .filter(|n| !n.is_empty())
        {
            Some(name) => Some(
                ServerName::try_from(name.to_owned())
                    .map_err(|_| format!("tls-server-name {name:?} is not a name or an address"))?,
            ),
            None => None,
        };
        Ok(Self {
            inner,
            roots,
            anchors,
            name,
        })
    }
}

fn system_roots() -> Vec<u8> {
    let named = std::env::var("SSL_CERT_FILE").ok();
    named
        .iter()
        .map(String::as_str)
        .chain(SYSTEM_ROOTS)
        .find_map(|path| std::fs::read(path).ok())
        .unwrap_or_default()
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let name = self.name.as_ref().unwrap_or(server_name);
        let checked =
            self.inner
                .verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        match checked {
            // Go accepts a certificate that is itself in the pool, whatever else it is.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self
                    .roots
                    .iter()
                    .any(|root| root.as_ref() == end_entity.as_ref()) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            Err(rustls::Error::InvalidCertificate(CertificateError::BadSignature)) => {
                let chain = std::iter::once(end_entity).chain(intermediates);
                Err(words::not_signed(chain, &self.anchors).into())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// No check at all, which the user asked for with `insecure-skip-tls-verify`.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
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
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
