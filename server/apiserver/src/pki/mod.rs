//! The keys and certificates of a cluster, in one directory.
//!
//! ```text
//! ca.crt ca.key                          signs everything below; ten years
//! apiserver.crt apiserver.key            what clients see when they connect
//! kubelet-client.crt kubelet-client.key  what the server shows when it connects to nodes
//! admin.crt admin.key                    a member of system:masters
//! sa.key sa.pub                          signs service-account tokens
//! ```
//!
//! What is there is reused. A certificate (not the CA) that ends within a month, or was made for other
//! names or by another CA, is made anew when the directory is opened. Keys have mode 0600. A file that
//! can't be read is an error and never replaced: a new CA would lock every worker out.

mod files;
mod issue;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use issue::{Authority, Subject};

/// Why keys or certificates could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is damaged ({problem}); restore it, or remove it to have a new one made")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// One file of a pair is gone.
    #[error("{missing} is missing, but {present} is there: restore it, or remove both")]
    Incomplete {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate for {subject}: {problem}")]
    Issue {
        /// The common name.
        subject: String,
        /// The reason.
        problem: String,
    },
    /// TLS refuses the certificates.
    #[error("TLS does not accept the certificates: {0}")]
    Tls(String),
}

/// A certificate chain and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its PKCS#8 key.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// A cluster's keys and certificates.
#[derive(Debug)]
pub struct Pki {
    ca: String,
    serving: Identity,
    kubelet_client: Identity,
    admin: Identity,
    /// The key pair of service-account tokens.
    service_account: Identity,
}

impl Pki {
    /// Reads the directory, and makes what is not there. The serving certificate is valid for `names`
    /// and `addresses`.
    pub fn open(dir: &Path, names: &[String], addresses: &[IpAddr]) -> Result<Self, Error> {
        files::make_directory(dir)?;
        let authority = Authority::open(dir)?;
        let serving = Subject::server("kube-apiserver", names, addresses);
        let kubelet_client = Subject::client("kube-apiserver-kubelet-client", "system:masters");
        let admin = Subject::client("kubernetes-admin", "system:masters");
        Ok(Self {
            serving: authority.identity(dir, "apiserver", &serving)?,
            kubelet_client: authority.identity(dir, "kubelet-client", &kubelet_client)?,
            admin: authority.identity(dir, "admin", &admin)?,
            service_account: signing_key(dir)?,
            ca: authority.certificate,
        })
    }

    /// The CA's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// What clients see when they connect.
    pub fn serving(&self) -> &Identity {
        &self.serving
    }

    /// What the server shows when it connects to nodes.
    pub fn kubelet_client(&self) -> &Identity {
        &self.kubelet_client
    }

    /// The P-256 key pair of service-account tokens: `certificate` is the public key.
    pub fn service_account_keys(&self) -> &Identity {
        &self.service_account
    }

    /// A kubeconfig for a member of `system:masters`. To be written with mode 0600: it holds the key.
    pub fn admin_kubeconfig(&self, server_url: &str) -> String {
        let ca = STANDARD.encode(&self.ca);
        let certificate = STANDARD.encode(&self.admin.certificate);
        let key = STANDARD.encode(&self.admin.key);
        format!(
            "apiVersion: v1
kind: Config
clusters:
- name: ctl
  cluster:
    certificate-authority-data: {ca}
    server: {server_url}
contexts:
- name: admin@ctl
  context:
    cluster: ctl
    user: admin
current-context: admin@ctl
preferences: {{}}
users:
- name: admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"
        )
    }

    /// TLS as the server speaks it: HTTP/2 or HTTP/1.1, client certificates of this CA are welcome but
    /// not needed.
    pub fn server_tls(&self) -> Result<rustls::ServerConfig, Error> {
        let tls = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).map_err(|e| tls(&e))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|e| tls(&e))?;
        let key =
            PrivateKeyDer::from_pem_slice(self.serving.key.as_bytes()).map_err(|e| tls(&e))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| tls(&e))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&self.serving.certificate)?, key)
            .map_err(|e| tls(&e))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The certificates of a PEM text.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Tls(error.to_string()))
}

/// The key of service-account tokens. The public half is derived, so it is written when it is missing.
fn signing_key(dir: &Path) -> Result<Identity, Error> {
    let path = dir.join("sa.key");
    let key = match files::read(&path)? {
        Some(pem) => files::key(&path, &pem)?,
        None => {
            let key = KeyPair::generate().map_err(issue::failed("service accounts"))?;
            files::write_secret(&path, &key.serialize_pem())?;
            key
        }
    };
    let public = key.public_key_pem();
    let public_path = dir.join("sa.pub");
    if files::read(&public_path)?.as_deref() != Some(&public) {
        files::write_public(&public_path, &public)?;
    }
    Ok(Identity {
        certificate: public,
        key: key.serialize_pem(),
    })
}

#[cfg(test)]
mod tests;
