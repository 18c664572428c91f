//! The CA, and the certificates that it signs.

use std::net::IpAddr;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::X509Certificate;

use super::{Error, Identity, files};

/// A certificate that ends within so many days is made anew.
const RENEW_DAYS: i64 = 30;

/// For `map_err`: names the certificate that could not be made.
pub(super) fn failed(subject: &str) -> impl Fn(rcgen::Error) -> Error {
    let subject = subject.to_owned();
    move |error| Error::Issue {
        subject: subject.clone(),
        problem: error.to_string(),
    }
}

/// Whom a certificate is for.
#[derive(Debug)]
pub(super) struct Subject {
    common_name: &'static str,
    organization: Option<&'static str>,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Subject {
    /// Who answers under the names and addresses.
    pub(super) fn server(
        common_name: &'static str,
        names: &[String],
        addresses: &[IpAddr],
    ) -> Self {
        Self {
            common_name,
            organization: None,
            names: names.to_vec(),
            addresses: addresses.to_vec(),
        }
    }

    /// A user: the common name is the user's name, the organization its group.
    pub(super) fn client(common_name: &'static str, organization: &'static str) -> Self {
        Self {
            common_name,
            organization: Some(organization),
            names: Vec::new(),
            addresses: Vec::new(),
        }
    }

    fn params(&self) -> Result<CertificateParams, Error> {
        let failed = failed(self.common_name);
        let mut params = CertificateParams::default();
        let name = &mut params.distinguished_name;
        *name = rcgen::DistinguishedName::new();
        if let Some(organization) = self.organization {
            name.push(DnType::OrganizationName, organization);
        }
        name.push(DnType::CommonName, self.common_name);
        for dns in &self.names {
            let dns = dns.as_str().try_into().map_err(&failed)?;
            params.subject_alt_names.push(SanType::DnsName(dns));
        }
        let addresses = self.addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![match self.organization {
            Some(_) => ExtendedKeyUsagePurpose::ClientAuth,
            None => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, 1);
        Ok(params)
    }

    /// Whether a certificate is for this subject's names and addresses.
    fn is_of(&self, certificate: &X509Certificate<'_>) -> bool {
        let Ok(extension) = certificate.subject_alternative_name() else {
            return false;
        };
        let found = extension.map_or(&[][..], |e| &e.value.general_names);
        let has_name = |name: &String| {
            found
                .iter()
                .any(|g| matches!(g, GeneralName::DNSName(dns) if dns == name))
        };
        let has_address = |address: &IpAddr| {
            let octets = match address {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            found
                .iter()
                .any(|g| matches!(g, GeneralName::IPAddress(ip) if *ip == octets))
        };
        self.names.iter().all(has_name) && self.addresses.iter().all(has_address)
    }
}

/// Valid from yesterday, for the sake of clocks that are late, for so many years.
fn validity(params: &mut CertificateParams, years: i16) {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = |date: Date| {
        // A civil month or day is never negative and fits a byte.
        rcgen::date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = day(today.saturating_sub(1.day()));
    params.not_after = day(today.saturating_add(years.years()));
}

/// The CA.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, in PEM.
    pub(super) certificate: String,
}

impl Authority {
    /// Reads the CA, or makes one.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let (certificate_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        let (certificate, key) = match (files::read(&certificate_path)?, files::read(&key_path)?) {
            (Some(certificate), Some(key)) => (certificate, files::key(&key_path, &key)?),
            (None, Some(_)) => {
                return Err(Error::Incomplete {
                    present: key_path,
                    missing: certificate_path,
                });
            }
            (Some(_), None) => {
                return Err(Error::Incomplete {
                    present: certificate_path,
                    missing: key_path,
                });
            }
            (None, None) => {
                let (certificate, key) = make_authority()?;
                // The certificate last: if this is interrupted, the pair is seen to be incomplete.
                files::write_secret(&key_path, &key.serialize_pem())?;
                files::write_public(&certificate_path, &certificate)?;
                (certificate, key)
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate, key);
        let issuer = issuer.map_err(|error| Error::Damaged {
            path: certificate_path,
            problem: error.to_string(),
        })?;
        Ok(Self {
            issuer,
            certificate,
        })
    }

    /// Reads `STEM.crt` and `STEM.key`, or makes them if they are not there or not good any more.
    pub(super) fn identity(
        &self,
        dir: &Path,
        stem: &str,
        subject: &Subject,
    ) -> Result<Identity, Error> {
        let certificate_path = dir.join(format!("{stem}.crt"));
        let key_path = dir.join(format!("{stem}.key"));
        if let (Some(certificate), Some(key)) =
            (files::read(&certificate_path)?, files::read(&key_path)?)
        {
            let pair = files::key(&key_path, &key)?;
            let good = self.is_good(&certificate, &pair, subject);
            if good.map_err(|problem| Error::Damaged {
                path: certificate_path.clone(),
                problem,
            })? {
                return Ok(Identity { certificate, key });
            }
            tracing::info!(certificate = %certificate_path.display(), "making the certificate anew");
        }
        let failed = failed(subject.common_name);
        let key = KeyPair::generate().map_err(&failed)?;
        let certificate = subject.params()?.signed_by(&key, &self.issuer);
        let identity = Identity {
            certificate: certificate.map_err(&failed)?.pem(),
            key: key.serialize_pem(),
        };
        files::write_secret(&key_path, &identity.key)?;
        files::write_public(&certificate_path, &identity.certificate)?;
        Ok(identity)
    }

    /// Whether a certificate is of this CA, of the key, for the subject, and valid for a while. The
    /// error says why it is no certificate.
    fn is_good(&self, pem: &str, key: &KeyPair, subject: &Subject) -> Result<bool, String> {
        let (_, document) = parse_x509_pem(pem.as_bytes()).map_err(|e| e.to_string())?;
        let certificate = document.parse_x509().map_err(|e| e.to_string())?;
        let (_, ca) = parse_x509_pem(self.certificate.as_bytes()).map_err(|e| e.to_string())?;
        let ca = ca.parse_x509().map_err(|e| e.to_string())?;
        let soon = Timestamp::now().as_second() + RENEW_DAYS * 24 * 60 * 60;
        let key_id = |id: &[u8]| id == key_identifier(self.issuer.key());
        let by_this_ca = certificate.issuer() == ca.subject()
            && certificate.iter_extensions().any(|e| {
                use x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier;
                matches!(e.parsed_extension(), AuthorityKeyIdentifier(a)
                    if a.key_identifier.as_ref().is_some_and(|id| key_id(id.0)))
            });
        let of_this_key =
            certificate.public_key().subject_public_key.data[..] == *key.public_key_raw();
        let valid = certificate.validity().not_after.timestamp() > soon;
        Ok(by_this_ca && of_this_key && valid && subject.is_of(&certificate))
    }
}

/// How rcgen identifies a key: the first 20 bytes of the SHA-256 of its `SubjectPublicKeyInfo`.
fn key_identifier(key: &KeyPair) -> Vec<u8> {
    use rcgen::PublicKeyData as _;
    Sha256::digest(key.subject_public_key_info())[..20].to_vec()
}

fn make_authority() -> Result<(String, KeyPair), Error> {
    let failed = failed("kubernetes");
    let key = KeyPair::generate().map_err(&failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "kubernetes");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    validity(&mut params, 10);
    let certificate = params.self_signed(&key).map_err(&failed)?;
    Ok((certificate.pem(), key))
}
