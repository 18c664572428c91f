//! What opening a directory makes, keeps and refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn open(dir: &Path) -> Result<Pki, Error> {
    let address = IpAddr::from([127, 0, 0, 1]);
    Pki::open(dir, &["localhost".to_owned()], &[address])
}

#[test]
fn a_directory_opened_again_gives_the_same_keys() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let again = open(dir.path()).unwrap();
    assert_eq!(first.ca_pem(), again.ca_pem());
    for (a, b) in [
        (first.serving(), again.serving()),
        (first.kubelet_client(), again.kubelet_client()),
        (first.service_account_keys(), again.service_account_keys()),
        (&first.admin, &again.admin),
    ] {
        assert_eq!((&a.certificate, &a.key), (&b.certificate, &b.key));
    }
}

#[test]
fn keys_are_for_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "key") {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }
}

#[test]
fn another_name_makes_another_serving_certificate_of_the_same_ca() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let address = IpAddr::from([10, 0, 0, 1]);
    let second = Pki::open(dir.path(), &["example.org".to_owned()], &[address]).unwrap();
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_ne!(first.serving().certificate, second.serving().certificate);
    assert_eq!(
        first.kubelet_client().certificate,
        second.kubelet_client().certificate
    );
}

#[test]
fn a_new_ca_signs_everything_anew() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    fs::remove_file(dir.path().join("ca.crt")).unwrap();
    fs::remove_file(dir.path().join("ca.key")).unwrap();
    let second = open(dir.path()).unwrap();
    assert_ne!(first.serving().certificate, second.serving().certificate);
    assert_ne!(first.admin.certificate, second.admin.certificate);
}

#[test]
fn a_damaged_or_half_lost_ca_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    let key = dir.path().join("ca.key");
    let good = fs::read(&key).unwrap();
    fs::write(&key, "nonsense").unwrap();
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("ca.key is damaged"), "{error}");
    assert_eq!(fs::read(&key).unwrap(), b"nonsense");

    fs::write(&key, good).unwrap();
    fs::remove_file(dir.path().join("ca.crt")).unwrap();
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("ca.crt is missing"), "{error}");
}

#[test]
fn a_client_that_trusts_the_ca_connects_and_shows_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(certificates(pki.ca_pem()).unwrap().remove(0))
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(pki.admin.key.as_bytes()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&pki.admin.certificate).unwrap(), key)
        .unwrap();
    let name = "localhost".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    let tls = Arc::new(pki.server_tls().unwrap());
    let mut server = rustls::ServerConnection::new(tls).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    let shown = server.peer_certificates().unwrap();
    let user = crate::auth::certificate::user(&shown[0]).unwrap();
    assert_eq!(user.name, "kubernetes-admin");
    assert!(user.in_group("system:masters"));
}
