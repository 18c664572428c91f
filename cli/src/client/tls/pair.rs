//! A certificate and a key: whether they are such, and belong together, in Go's words.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;

use crate::error::Result;

/// What Go says of an input without anything in PEM.
const NO_CERTIFICATE: &str = "tls: failed to find any PEM data in certificate input";
const NO_KEY: &str = "tls: failed to find any PEM data in key input";

/// The kinds of keys: RSA, elliptic curves, Ed25519, as the object identifiers of public keys.
const ALGORITHMS: [&[u8]; 3] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
    &[0x2b, 0x65, 0x70],
];

/// Checks both, as PEM texts.
pub(crate) fn check(certificate: &[u8], key: &[u8]) -> Result<()> {
    let first = CertificateDer::pem_slice_iter(certificate).flatten().next();
    let Some(first) = first else {
        return Err(if PrivateKeyDer::from_pem_slice(certificate).is_ok() {
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"
        } else {
            NO_CERTIFICATE
        }
        .into());
    };
    let Ok(key_der) = PrivateKeyDer::from_pem_slice(key) else {
        let other = CertificateDer::pem_slice_iter(key).flatten().next();
        return Err(if other.is_some() {
            "tls: found a certificate rather than a key in the PEM for the private key"
        } else {
            NO_KEY
        }
        .into());
    };
    let public = ParsedCertificate::try_from(&first).map_err(|_| "x509: malformed certificate")?;
    let public = public.subject_public_key_info();
    let Ok(signer) = rustls::crypto::ring::sign::any_supported_type(&key_der) else {
        // There are sizes and curves that Go knows and this library doesn't: those are let pass.
        return if is_sequence(key_der.secret_der()) {
            Ok(())
        } else {
            Err("tls: failed to parse private key".into())
        };
    };
    let Some(own) = signer.public_key() else {
        return Ok(());
    };
    if own.as_ref() == public.as_ref() {
        Ok(())
    } else if algorithm(own.as_ref()) == algorithm(public.as_ref()) {
        Err("tls: private key does not match public key".into())
    } else {
        Err("tls: private key type does not match public key type".into())
    }
}

/// Which of the known algorithms a public key begins with.
fn algorithm(info: &[u8]) -> Option<usize> {
    let head = &info[..info.len().min(32)];
    ALGORITHMS
        .iter()
        .position(|known| head.windows(known.len()).any(|part| part == *known))
}

/// Whether this is a DER sequence that ends where it says, as all keys are.
fn is_sequence(der: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = der else {
        return false;
    };
    let size = usize::from(length & 0x7f);
    if length & 0x80 == 0 {
        return rest.len() == size;
    }
    let Some((bytes, rest)) = rest.split_at_checked(size) else {
        return false;
    };
    let said = bytes.iter().fold(0_usize, |sum, byte| {
        sum.wrapping_shl(8) | usize::from(*byte)
    });
    rest.len() == said
}
