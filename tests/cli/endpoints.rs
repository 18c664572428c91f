//! Servers that a client can't or shouldn't speak with: wrong certificates, no TLS, no answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// An authority, which signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(params, key);
        Self {
            issuer,
            certificate,
        }
    }

    /// Starts a server whose certificate has these names and what `change` makes of it.
    fn serve(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> String {
        let (params, key) = leaf(names, change);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        tls(certificate, &key, None)
    }
}

fn leaf(
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names that certificates can have");
    params.distinguished_name.push(DnType::CommonName, "server");
    change(&mut params);
    (params, KeyPair::generate().expect("a key"))
}

/// Starts one server of each sort: its name and `127.0.0.1:PORT`. Then the `authority` that kubeconfigs
/// trust, PEM in base64.
pub(crate) fn start() -> Vec<(&'static str, String)> {
    let trusted = Authority::new("goldens");
    let unchanged = |_: &mut CertificateParams| {};
    let own = |names: &[&str]| {
        let (params, key) = leaf(names, unchanged);
        tls(params.self_signed(&key).expect("a certificate"), &key, None)
    };
    let pem = trusted.certificate.pem();
    vec![
        ("good", trusted.serve(&["127.0.0.1"], unchanged)),
        (
            "stranger",
            Authority::new("other").serve(&["127.0.0.1"], unchanged),
        ),
        (
            "namesake",
            Authority::new("goldens").serve(&["127.0.0.1"], unchanged),
        ),
        ("own", own(&["127.0.0.1"])),
        (
            "elsewhere",
            trusted.serve(
                &["a.example", "*.b.example", "10.0.0.1", "10.0.0.2"],
                unchanged,
            ),
        ),
        ("named", trusted.serve(&["a.example"], unchanged)),
        ("nameless", trusted.serve(&[], unchanged)),
        (
            "expired",
            trusted.serve(&["127.0.0.1"], |p| p.not_after = date_time_ymd(2001, 2, 3)),
        ),
        (
            "early",
            trusted.serve(&["127.0.0.1"], |p| p.not_before = date_time_ymd(2999, 2, 3)),
        ),
        (
            "client",
            trusted.serve(&["127.0.0.1"], |p| {
                p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
        ("mutual", mutual(&trusted)),
        ("plain", listen(refuse)),
        ("mute", listen(|stream| drop(hello(stream)))),
        (
            "authority",
            base64::engine::general_purpose::STANDARD.encode(pem),
        ),
    ]
}

/// A server that wants a certificate of its clients too.
fn mutual(trusted: &Authority) -> String {
    let (params, key) = leaf(&["127.0.0.1"], |_| {});
    let certificate = params
        .signed_by(&key, &trusted.issuer)
        .expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots
        .add(trusted.certificate.der().clone())
        .expect("an authority");
    tls(certificate, &key, Some(roots))
}

/// Starts a server of TLS with a certificate; with `clients`, for those only whose certificates these signed.
fn tls(certificate: rcgen::Certificate, key: &KeyPair, clients: Option<RootCertStore>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider has them");
    let builder = match clients {
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .expect("there is an authority"),
        ),
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("the key is that of the certificate");
    let config = Arc::new(config);
    listen(move |stream| {
        let connection = ServerConnection::new(config.clone()).expect("the configuration is whole");
        answer(StreamOwned::new(connection, stream));
    })
}

fn listen(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address.to_string()
}

/// Reads what a client says first: one that is left with something unread may see a reset connection.
fn hello(mut stream: TcpStream) -> TcpStream {
    let mut whole = [0; 16384];
    let _ = stream.read(&mut whole);
    stream
}

/// Answers what is no HTTP, as servers of HTTP do.
fn refuse(stream: TcpStream) {
    let _ = hello(stream).write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
}

/// Answers one request. Clients that don't like the certificate are gone before.
fn answer(mut stream: impl Read + Write) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.extend(byte),
            _ => return,
        }
    }
    let _ = stream.write_all(
        b"HTTP/1.1 503 X\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nsorry",
    );
    let _ = stream.flush();
}
