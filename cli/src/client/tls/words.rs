//! Go's words for what goes wrong with TLS.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError};

/// The words for an error of TLS.
pub(crate) fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            let problem = certificate(problem);
            format!("tls: failed to verify certificate: x509: {problem}")
        }
        rustls::Error::AlertReceived(alert) => {
            format!("remote error: tls: {}", self::alert(*alert))
        }
        // What comes and is no TLS is HTTP, as good as always.
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        other => format!("tls: {other}"),
    }
}

fn certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired | CertificateError::NotValidYet => {
            "certificate has expired or is not yet valid".to_owned()
        }
        CertificateError::ExpiredContext { time, not_after } => untimely(time, "after", not_after),
        CertificateError::NotValidYetContext { time, not_before } => {
            untimely(time, "before", not_before)
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate specifies an incompatible key usage".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => other_name(expected, presented),
        CertificateError::Other(inner) => inner.0.to_string(),
        other => other.to_string(),
    }
}

fn untimely(now: &UnixTime, side: &str, limit: &UnixTime) -> String {
    let shown = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        // Times beyond the year 9999 are none that a certificate can have.
        jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)
    };
    format!(
        "certificate has expired or is not yet valid: current time {} is {side} {}",
        shown(now),
        shown(limit)
    )
}

fn other_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    // Names are compared with names and addresses with addresses.
    let address = matches!(expected, ServerName::IpAddress(_));
    let kind = if address { "IpAddress(" } else { "DnsName(" };
    let names: Vec<&str> = presented
        .iter()
        .filter_map(|p| p.strip_prefix(kind)?.strip_suffix(')'))
        .map(|p| p.trim_matches('"'))
        .collect();
    let wanted = expected.to_str();
    match (names.is_empty(), address) {
        (true, true) => format!(
            "cannot validate certificate for {wanted} because it doesn't contain any IP SANs"
        ),
        (true, false) => {
            format!("certificate is not valid for any names, but wanted to match {wanted}")
        }
        _ => format!(
            "certificate is valid for {}, not {wanted}",
            names.join(", ")
        ),
    }
}

/// A certificate that names an authority which has not signed it: another one of that name has.
#[derive(Debug, thiserror::Error)]
#[error(
    "certificate signed by unknown authority (possibly because of {problem:?} while trying to verify candidate authority certificate {name:?})"
)]
struct NotSigned {
    problem: &'static str,
    name: String,
}

/// The error of a chain that none of the authorities has signed, though one has the right name.
pub(super) fn not_signed<'a>(
    mut chain: impl Iterator<Item = &'a CertificateDer<'a>>,
    anchors: &[TrustAnchor<'_>],
) -> CertificateError {
    let names = |certificate: &[u8], subject: &[u8]| {
        !subject.is_empty() && certificate.windows(subject.len()).any(|w| w == subject)
    };
    let candidate = chain.find_map(|certificate| {
        anchors
            .iter()
            .find(|anchor| names(certificate, &anchor.subject))
    });
    let Some(anchor) = candidate else {
        return CertificateError::UnknownIssuer;
    };
    let Some(name) = common_name(&anchor.subject) else {
        return CertificateError::UnknownIssuer;
    };
    let problem = verification(&anchor.subject_public_key_info);
    CertificateError::Other(OtherError(Arc::new(NotSigned { problem, name })))
}

/// How Go names the failure of a check with a key of that kind.
fn verification(key: &[u8]) -> &'static str {
    // The object identifiers 1.2.840.113549.1.1.1 and 1.3.101.112.
    const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];
    if key.windows(RSA.len()).any(|w| w == RSA) {
        "crypto/rsa: verification error"
    } else if key.windows(ED25519.len()).any(|w| w == ED25519) {
        "x509: Ed25519 verification failure"
    } else {
        "x509: ECDSA verification failure"
    }
}

/// The common name in a subject: what follows its object identifier 2.5.4.3, of less than 128 bytes.
fn common_name(subject: &[u8]) -> Option<String> {
    const IDENTIFIER: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    let at = subject
        .windows(IDENTIFIER.len())
        .position(|w| w == IDENTIFIER)?;
    let value = subject.get(at + IDENTIFIER.len()..)?;
    let length = *value.get(1).filter(|length| **length < 0x80)?;
    let text = value.get(2..2 + usize::from(length))?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::BadCertificate => "bad certificate",
        AlertDescription::CertificateExpired => "expired certificate",
        AlertDescription::CertificateRequired => "certificate required",
        AlertDescription::CertificateRevoked => "revoked certificate",
        AlertDescription::CertificateUnknown => "unknown certificate",
        AlertDescription::HandshakeFailure => "handshake failure",
        AlertDescription::InternalError => "internal error",
        AlertDescription::ProtocolVersion => "protocol version not supported",
        AlertDescription::UnknownCA => "unknown certificate authority",
        AlertDescription::UnrecognisedName => "unrecognized name",
        AlertDescription::UnsupportedCertificate => "unsupported certificate",
        other => return format!("alert({})", u8::from(other)),
    }
    .to_owned()
}
