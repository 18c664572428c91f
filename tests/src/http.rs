//! A small HTTP client for the REST API: JSON in, status and JSON out.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, Method, RequestBuilder, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

/// How long an answer may take, to its last byte.
const LONGEST: Duration = Duration::from_secs(60);

/// An API server and the credentials to speak to it.
#[derive(Clone)]
pub struct Api {
    client: Client,
    url: String,
    token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status code.
    pub code: u16,
    /// The body, null when it is empty and a string when it is not JSON.
    pub body: Value,
    /// The warnings, as the `Warning` headers have them.
    pub warnings: Vec<String>,
}

impl Api {
    /// With the client certificate of a kubeconfig's first user.
    pub fn admin(url: &str, kubeconfig: &Path) -> Self {
        let text = fs::read_to_string(kubeconfig).expect("the kubeconfig can be read");
        let config: Value = serde_yaml::from_str(&text).expect("the kubeconfig is YAML");
        let user = &config["users"][0]["user"];
        let roots = roots(&config);
        let certificate = pem(&user["client-certificate-data"]);
        let key = pem(&user["client-key-data"]);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
        let key = PrivateKeyDer::from_pem_slice(&key).expect("the key is PEM");
        let tls = builder(roots)
            .with_client_auth_cert(chain.expect("the certificate is PEM"), key)
            .expect("certificate and key belong together");
        Self::with(url, tls, None)
    }

    /// With a bearer token, or without any credentials. The kubeconfig gives the authority.
    pub fn with_token(url: &str, kubeconfig: &Path, token: Option<&str>) -> Self {
        let text = fs::read_to_string(kubeconfig).expect("the kubeconfig can be read");
        let config: Value = serde_yaml::from_str(&text).expect("the kubeconfig is YAML");
        let tls = builder(roots(&config)).with_no_client_auth();
        Self::with(url, tls, token.map(str::to_owned))
    }

    fn with(url: &str, mut tls: ClientConfig, token: Option<String>) -> Self {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .build();
        Self {
            client: client.expect("a client can be built"),
            url: url.to_owned(),
            token,
        }
    }

    /// A request that the test finishes itself.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `GET` of a body that is only counted: its length in bytes. Panics unless the code is 200.
    pub async fn fetch(&self, path: &str) -> usize {
        let response = self.request(Method::GET, path).send().await;
        let response = response.expect("the server answers");
        assert_eq!(response.status().as_u16(), 200, "GET {path}");
        response.bytes().await.expect("the body arrives").len()
    }

    /// `POST` of a JSON text, with an answer that is read but not looked at. Panics unless the code is 201.
    pub async fn create(&self, path: &str, text: String) {
        let request = self.request(Method::POST, path);
        let request = request
            .header("Content-Type", "application/json")
            .body(text);
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status().as_u16(), 201, "POST {path}");
        response.bytes().await.expect("the body arrives");
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` of a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH` of a kind: `merge`, `strategic-merge`, `json` or `apply`.
    pub async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        let media_type = match kind {
            "json" => "application/json-patch+json".to_owned(),
            "apply" => "application/apply-patch+yaml".to_owned(),
            kind => format!("application/{kind}-patch+json"),
        };
        let request = self.request(Method::PATCH, path);
        let request = request
            .header("Content-Type", media_type)
            .body(body.to_string());
        self.send(request).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Sends a request and reads all of the answer, which must not take for ever.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.timeout(LONGEST).send().await;
        let response = response.expect("the server answers");
        Answer::read(response).await
    }
}

impl Answer {
    async fn read(response: Response) -> Self {
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings
            .map(|w| String::from_utf8_lossy(w.as_bytes()).into_owned())
            .collect();
        let bytes = response.bytes().await.expect("the body arrives");
        let body = match bytes.as_ref() {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into()),
        };
        Self {
            code,
            body,
            warnings,
        }
    }

    /// The body of an answer that must have this code.
    pub fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "unexpected answer: {:#}", self.body);
        self.body
    }
}

/// The TLS settings of a client that speaks plain HTTP only.
pub fn no_tls() -> ClientConfig {
    builder(RootCertStore::empty()).with_no_client_auth()
}

fn builder(
    roots: RootCertStore,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(roots)
}

fn roots(config: &Value) -> RootCertStore {
    let authority = pem(&config["clusters"][0]["cluster"]["certificate-authority-data"]);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&authority) {
        let certificate = certificate.expect("the authority is PEM");
        roots
            .add(certificate)
            .expect("the authority is a certificate");
    }
    roots
}

fn pem(data: &Value) -> Vec<u8> {
    let data = data
        .as_str()
        .expect("the kubeconfig embeds its credentials");
    BASE64_STANDARD
        .decode(data)
        .expect("credentials are base64")
}
