//! The two ways to the API server: a call in the same process, or HTTPS.

use std::sync::Arc;

use api::auth::UserInfo;
use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use k8s_openapi::ByteString;
use kube::client::Body;
use kube::config::AuthInfo;
use tower::{BoxError, Service, ServiceExt as _};

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's URL does not parse.
    #[error("the server URL {url:?} is malformed: {source}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// The certificate authority is not a series of PEM certificates.
    #[error("the certificate authority holds no valid PEM certificate")]
    CertificateAuthority,
    /// TLS or the token could not be set up.
    #[error(transparent)]
    Client(#[from] kube::Error),
}

/// A client that calls `service`, usually the API server's router, without a socket. Every request
/// carries `user` in its extensions, which the authenticator takes as proof.
///
/// Must be called inside a tokio runtime.
pub fn in_process<S, B>(service: S, user: UserInfo) -> kube::Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body_util::BodyExt<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let agent = HeaderValue::from_static(user_agent(&user.name));
    let user = Arc::new(user);
    let service = service.map_request(move |mut request: Request<Body>| {
        request.extensions_mut().insert(Arc::clone(&user));
        request.headers_mut().insert(USER_AGENT, agent.clone());
        request
    });
    kube::Client::new(service, "default")
}

/// A client that talks to `server` over HTTPS with a bearer token. Without `ca_pem` the operating
/// system's certificate authorities are trusted.
///
/// Must be called inside a tokio runtime.
///
/// # Errors
/// If the URL or the certificates are malformed, or TLS can't be set up.
pub fn remote(server: &str, ca_pem: Option<&[u8]>, token: &str) -> Result<kube::Client, Error> {
    let url: Uri = server.parse().map_err(|source| Error::Url {
        url: server.to_owned(),
        source,
    })?;
    let mut config = kube::Config::new(url);
    config.root_cert = ca_pem.map(certificates).transpose()?;
    config.auth_info = AuthInfo {
        token: Some(token.to_owned().into()),
        ..AuthInfo::default()
    };
    config.headers = vec![(USER_AGENT, HeaderValue::from_static("kubelet"))];
    Ok(kube::Client::try_from(config)?)
}

/// The part of a user agent that the server records as the field manager: the names of Kubernetes'
/// own binaries.
fn user_agent(user: &str) -> &'static str {
    if user == "system:kube-scheduler" {
        "kube-scheduler"
    } else if user.starts_with("system:node:") {
        "kubelet"
    } else if user == "system:kube-controller-manager"
        || user.starts_with("system:serviceaccount:kube-system:")
    {
        "kube-controller-manager"
    } else {
        "ctld"
    }
}

/// The DER form of each certificate in a PEM file.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = str::from_utf8(pem).map_err(|_| Error::CertificateAuthority)?;
    let mut found = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let (body, _) = block.split_once(END).ok_or(Error::CertificateAuthority)?;
        let base64: String = body.split_whitespace().collect();
        let ByteString(der) =
            serde_json::from_value(base64.into()).map_err(|_| Error::CertificateAuthority)?;
        found.push(der);
    }
    if found.is_empty() {
        return Err(Error::CertificateAuthority);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Server;

    #[tokio::test]
    async fn a_request_in_process_carries_the_user_and_the_user_agent() {
        let server = Server::new();
        let user = UserInfo::component("system:kube-scheduler", &[]);
        let client = in_process(server.clone(), user.clone());
        let request = Request::get("/version").body(Body::empty()).expect("valid");
        client.send(request).await.expect("answered");
        let seen = server.requests();
        assert_eq!(seen[0].user.as_deref(), Some(&user));
        assert_eq!(seen[0].agent, "kube-scheduler");
    }

    #[test]
    fn certificates_are_found_between_their_markers() {
        let pem = b"x\n-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        assert_eq!(certificates(pem).expect("valid"), [[1, 2, 3]]);
        assert!(certificates(b"nothing here").is_err());
        assert!(certificates(b"-----BEGIN CERTIFICATE-----\nAQID").is_err());
    }
}
