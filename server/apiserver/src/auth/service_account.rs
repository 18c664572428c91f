//! The tokens of service accounts: JWTs signed with ES256, with the claims that kube-apiserver puts in
//! them (KEP-1205, KEP-4193).
//!
//! A token is good while its account, and the object it is bound to, exist with the same uids; whoever
//! verifies one checks that after the signature.

use std::collections::{BTreeMap, HashMap};

use api::auth::{AUTHENTICATED, UserInfo};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::Mutex;
use rcgen::PublicKeyData as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

use super::Known;
use super::rbac::quoted;
use crate::pki::Identity;

/// Who issues the tokens; also the audience of tokens for this API.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// How many seconds a token is good for if the request doesn't say.
pub const DEFAULT_EXPIRATION: i64 = 3600;
/// How many verified tokens are remembered. Verifying one takes a fraction of a millisecond.
const REMEMBERED: usize = 1024;

/// What was wrong with keys or with a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key pair can't be used.
    #[error("the service-account key can't be used: {0}")]
    Key(String),
    /// A token could not be signed.
    #[error("cannot sign a service-account token: {0}")]
    Sign(String),
    /// It is no token of ours, or was changed.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// It is no longer good.
    #[error("service account token has expired")]
    Expired,
    /// It is not yet good.
    #[error("service account token is not valid yet")]
    Early,
    /// It is for somebody else.
    #[error("token audiences {} is invalid for the target audiences {}", quoted(.is), quoted(.asked))]
    Audience {
        /// Whom it is for.
        is: Vec<String>,
        /// Whom it would have to be for.
        asked: Vec<String>,
    },
    /// The account that it is for is gone.
    #[error("serviceaccounts {0:?} not found")]
    NoAccount(String),
    /// What it is bound to is gone.
    #[error("service account token has been invalidated")]
    Gone,
}

/// An object that a token is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The name.
    pub name: String,
    /// The uid.
    pub uid: String,
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The namespace of all but the node.
    pub namespace: String,
    /// The node that the pod runs on, or that the token is bound to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// The account.
    pub serviceaccount: Reference,
}

/// The claims of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    binding: Binding,
    nbf: i64,
    sub: String,
}

impl Claims {
    /// The user that a token with these claims stands for.
    pub fn user(&self) -> UserInfo {
        let Binding {
            namespace, node, ..
        } = &self.binding;
        let mut extra = BTreeMap::new();
        let mut add = |key: &str, value: &str| {
            extra.insert(
                format!("authentication.kubernetes.io/{key}"),
                vec![value.to_owned()],
            );
        };
        add("credential-id", &format!("JTI={}", self.jti));
        if let Some(pod) = &self.binding.pod {
            add("pod-name", &pod.name);
            add("pod-uid", &pod.uid);
        }
        if let Some(node) = node {
            add("node-name", &node.name);
            add("node-uid", &node.uid);
        }
        UserInfo {
            name: self.sub.clone(),
            uid: self.binding.serviceaccount.uid.clone(),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                AUTHENTICATED.to_owned(),
            ],
            extra,
        }
    }

    /// Those of the audiences that the token is for.
    pub(super) fn audiences_in(&self, audiences: &[&str]) -> Vec<String> {
        let mut common = self.aud.clone();
        common.retain(|audience| audiences.contains(&audience.as_str()));
        common
    }

    /// Fails when the account, or what the token is bound to, is gone or another one.
    fn check(&self, known: &Known, now: Timestamp) -> Result<(), Error> {
        let Binding {
            namespace,
            node,
            pod,
            secret,
            serviceaccount,
        } = &self.binding;
        // A pod's token names the pod's node only for information.
        let node = node.as_ref().filter(|_| pod.is_none());
        for (kind, namespace, reference) in [
            ("ServiceAccount", namespace.as_str(), Some(serviceaccount)),
            ("Pod", namespace, pod.as_ref()),
            ("Secret", namespace, secret.as_ref()),
            ("Node", "", node),
        ] {
            let Some(Reference { name, uid }) = reference else {
                continue;
            };
            if !known.exists(kind, namespace, name, uid, now) {
                return Err(match kind {
                    "ServiceAccount" => Error::NoAccount(name.clone()),
                    _ => Error::Gone,
                });
            }
        }
        Ok(())
    }
}

/// A token and when it ends.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// The end of its validity.
    pub expires: Timestamp,
}

/// Issues and verifies tokens.
pub struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    key_id: String,
    /// Claims of tokens whose signature is good, by the token's digest.
    verified: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.key_id)
    }
}

impl Tokens {
    /// Uses the key pair of [`crate::pki::Pki::service_account_keys`].
    pub fn new(keys: &Identity) -> Result<Self, Error> {
        let key = |error: &dyn std::fmt::Display| Error::Key(error.to_string());
        let pair = rcgen::KeyPair::from_pem(&keys.key).map_err(|e| key(&e))?;
        let digest = Sha256::digest(pair.subject_public_key_info());
        Ok(Self {
            signing: EncodingKey::from_ec_pem(keys.key.as_bytes()).map_err(|e| key(&e))?,
            verifying: DecodingKey::from_ec_pem(keys.certificate.as_bytes())
                .map_err(|e| key(&e))?,
            key_id: URL_SAFE_NO_PAD.encode(digest),
            verified: Mutex::default(),
        })
    }

    /// Issues a token for so many seconds from now; without audiences, for this API. What the request
    /// may ask for has been checked before.
    pub fn issue(
        &self,
        binding: Binding,
        audiences: Vec<String>,
        seconds: i64,
        now: Timestamp,
    ) -> Result<Issued, Error> {
        let sign = |error: &dyn std::fmt::Display| Error::Sign(error.to_string());
        let iat = now.as_second();
        let exp = iat.saturating_add(seconds);
        let account = &binding.serviceaccount.name;
        let claims = Claims {
            aud: match audiences.is_empty() {
                true => vec![ISSUER.to_owned()],
                false => audiences,
            },
            exp,
            iat,
            iss: ISSUER.to_owned(),
            jti: uuid::Uuid::new_v4().to_string(),
            sub: format!("system:serviceaccount:{}:{account}", binding.namespace),
            nbf: iat,
            binding,
        };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = None;
        header.kid = Some(self.key_id.clone());
        let token = jsonwebtoken::encode(&header, &claims, &self.signing);
        Ok(Issued {
            token: token.map_err(|e| sign(&e))?,
            expires: Timestamp::from_second(exp).map_err(|e| sign(&e))?,
        })
    }

    /// The claims of a token that is ours, good now, for one of the audiences, and whose account and
    /// bound object exist.
    pub fn verify(
        &self,
        token: &str,
        audiences: &[&str],
        known: &Known,
        now: Timestamp,
    ) -> Result<Arc<Claims>, Error> {
        let claims = self.signed(token)?;
        if claims.audiences_in(audiences).is_empty() {
            return Err(Error::Audience {
                is: claims.aud.clone(),
                asked: audiences.iter().map(|&audience| audience.into()).collect(),
            });
        }
        if now.as_second() >= claims.exp {
            return Err(Error::Expired);
        }
        if now.as_second() < claims.nbf {
            return Err(Error::Early);
        }
        claims.check(known, now)?;
        Ok(claims)
    }

    /// Checks the signature and the issuer, or remembers having done so.
    fn signed(&self, token: &str) -> Result<Arc<Claims>, Error> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.verified.lock().get(&digest) {
            return Ok(Arc::clone(claims));
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[ISSUER]);
        // Time and audience are checked above, also for remembered tokens.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let data = jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation)
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let claims = Arc::new(data.claims);
        let mut verified = self.verified.lock();
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(digest, Arc::clone(&claims));
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tokens() -> Tokens {
        let pair = rcgen::KeyPair::generate().unwrap();
        let keys = Identity {
            certificate: pair.public_key_pem(),
            key: pair.serialize_pem(),
        };
        Tokens::new(&keys).unwrap()
    }

    fn reference(name: &str) -> Reference {
        Reference {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
        }
    }

    fn binding() -> Binding {
        Binding {
            namespace: "ns".to_owned(),
            node: Some(reference("n1")),
            pod: Some(reference("p1")),
            secret: None,
            serviceaccount: reference("robot"),
        }
    }

    fn known() -> Known {
        let known = Known::default();
        for (kind, name) in [("ServiceAccount", "robot"), ("Pod", "p1")] {
            let object = json!({"metadata": {"uid": format!("uid-{name}")}});
            known.observe(kind, "ns", name, Some(&object));
        }
        known
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_has_the_claims_of_kubernetes() {
        let issued = tokens().issue(binding(), vec![], 600, at(1000)).unwrap();
        assert_eq!(issued.expires, at(1600));
        let payload = issued.token.split('.').nth(1).unwrap();
        let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
        let mut claims: Value = serde_json::from_slice(&payload).unwrap();
        claims["jti"].take();
        assert_eq!(
            claims,
            json!({
                "aud": [ISSUER], "exp": 1600, "iat": 1000, "nbf": 1000, "iss": ISSUER, "jti": null,
                "sub": "system:serviceaccount:ns:robot",
                "kubernetes.io": {
                    "namespace": "ns",
                    "node": {"name": "n1", "uid": "uid-n1"},
                    "pod": {"name": "p1", "uid": "uid-p1"},
                    "serviceaccount": {"name": "robot", "uid": "uid-robot"},
                },
            })
        );
    }

    #[test]
    fn a_token_stands_for_its_account() {
        let tokens = tokens();
        let issued = tokens.issue(binding(), vec![], 600, at(1000)).unwrap();
        for _ in 0..2 {
            let claims = tokens.verify(&issued.token, &[ISSUER], &known(), at(1001));
            let user = claims.unwrap().user();
            assert_eq!(user.name, "system:serviceaccount:ns:robot");
            assert_eq!(user.uid, "uid-robot");
            assert!(user.in_group("system:serviceaccounts:ns"));
            let pod = &user.extra["authentication.kubernetes.io/pod-name"];
            assert_eq!(pod[..], ["p1"]);
        }
    }

    #[test]
    fn a_token_is_refused_outside_its_time_and_audience() {
        let tokens = tokens();
        let issued = tokens.issue(binding(), vec!["vault".to_owned()], 600, at(1000));
        let token = issued.unwrap().token;
        let verify = |audience, now| tokens.verify(&token, &[audience], &known(), at(now));
        assert!(verify("vault", 1599).is_ok());
        assert!(matches!(verify("vault", 1600), Err(Error::Expired)));
        assert!(matches!(verify("vault", 999), Err(Error::Early)));
        assert!(matches!(verify(ISSUER, 1001), Err(Error::Audience { .. })));
    }

    #[test]
    fn a_token_of_another_key_or_changed_is_refused() {
        let (ours, theirs) = (tokens(), tokens());
        let token = theirs
            .issue(binding(), vec![], 600, at(1000))
            .unwrap()
            .token;
        let refused = ours.verify(&token, &[ISSUER], &known(), at(1001));
        assert!(matches!(refused, Err(Error::Invalid(_))));
        let refused = ours.verify("no.such.token", &[ISSUER], &known(), at(1001));
        assert!(matches!(refused, Err(Error::Invalid(_))));
    }

    #[test]
    fn a_token_ends_a_minute_after_what_only_finalizers_hold() {
        let tokens = tokens();
        let issued = tokens.issue(binding(), vec![], 600, at(1000)).unwrap();
        let known = known();
        let deleted = json!({"metadata": {
            "uid": "uid-robot", "deletionTimestamp": at(1100).to_string(), "finalizers": ["x.io/y"],
        }});
        known.observe("ServiceAccount", "ns", "robot", Some(&deleted));
        let verify = |now| tokens.verify(&issued.token, &[ISSUER], &known, at(now));
        assert!(verify(1160).is_ok());
        assert!(matches!(verify(1161), Err(Error::NoAccount(_))));
    }

    #[test]
    fn a_token_ends_with_its_account_and_with_its_pod() {
        let tokens = tokens();
        let token = tokens
            .issue(binding(), vec![], 600, at(1000))
            .unwrap()
            .token;
        for kind in ["ServiceAccount", "Pod"] {
            let known = known();
            let name = if kind == "Pod" { "p1" } else { "robot" };
            known.observe(
                kind,
                "ns",
                name,
                Some(&json!({"metadata": {"uid": "another"}})),
            );
            let refused = tokens.verify(&token, &[ISSUER], &known, at(1001));
            let gone = matches!(refused, Err(Error::Gone | Error::NoAccount(_)));
            assert!(gone, "{kind}");
        }
    }
}
