//! The user that a client certificate names: the common name is the user, the organizations are the
//! groups. That the certificate is of our CA, and valid, TLS has checked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::auth::{AUTHENTICATED, UserInfo};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The user of a certificate in DER; `None` when it names none. That takes some
/// microseconds: a connection asks once.
pub fn user(der: &[u8]) -> Option<UserInfo> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    if name.is_empty() {
        return None;
    }
    let organizations = subject.iter_organization().filter_map(|o| o.as_str().ok());
    let mut credential = "X509SHA256=".to_owned();
    for byte in Sha256::digest(der) {
        write!(credential, "{byte:02x}").expect("a String takes all writes");
    }
    Some(UserInfo {
        name: name.to_owned(),
        uid: String::new(),
        groups: organizations
            .chain([AUTHENTICATED])
            .map(str::to_owned)
            .collect(),
        extra: BTreeMap::from([(
            "authentication.kubernetes.io/credential-id".to_owned(),
            vec![credential],
        )]),
    })
}
