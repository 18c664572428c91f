//! Finds out who a request is from.

use std::sync::Arc;

use api::auth::{UNAUTHENTICATED, UserInfo};
use api::review::Bearer;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;

use super::token_file::TokenFile;
use super::{Known, service_account};

/// A request whose credentials are missing or wrong. The client learns no more than `Unauthorized`; the
/// reason is for the log.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Unauthenticated {
    /// What was wrong.
    pub reason: String,
}

/// Finds out who requests are from.
#[derive(Debug)]
pub struct Authenticator {
    token_file: TokenFile,
    tokens: Arc<service_account::Tokens>,
    known: Arc<Known>,
}

impl Authenticator {
    /// An authenticator for the tokens of a file and those of service accounts.
    pub fn new(
        token_file: TokenFile,
        tokens: Arc<service_account::Tokens>,
        known: Arc<Known>,
    ) -> Self {
        Self {
            token_file,
            tokens,
            known,
        }
    }

    /// The user of a request: the one in its extensions (the in-process caller, or whom the connection's
    /// client certificate names), or the one that the bearer token stands for. Nobody else, except that
    /// anybody may ask for health.
    pub fn authenticate(&self, request: &Parts) -> Result<Arc<UserInfo>, Unauthenticated> {
        if let Some(user) = request.extensions.get::<Arc<UserInfo>>() {
            return Ok(Arc::clone(user));
        }
        if let Some(token) = bearer_token(request) {
            return self.token_user(token).map(Arc::new);
        }
        if is_health(request.uri.path()) {
            return Ok(Arc::new(UserInfo {
                name: "system:anonymous".to_owned(),
                groups: vec![UNAUTHENTICATED.to_owned()],
                ..UserInfo::default()
            }));
        }
        Err(Unauthenticated {
            reason: "no credentials".to_owned(),
        })
    }

    /// Whose a token is that a review asks about, and for which of the audiences it is good; without
    /// any: of this API's. The error is in Kubernetes' words.
    pub fn review(&self, token: &str, audiences: &[&str]) -> Result<Bearer, String> {
        const INVALID: &str = "invalid bearer token";
        let own = [service_account::ISSUER];
        let audiences = match audiences {
            [] => &own[..],
            asked => asked,
        };
        if let Some(user) = self.token_file.user(token) {
            // Those tokens are for this API alone.
            return match audiences.contains(&service_account::ISSUER) {
                true => Ok(Bearer {
                    user: user.clone(),
                    audiences: own.map(str::to_owned).to_vec(),
                }),
                false => Err(INVALID.to_owned()),
            };
        }
        let now = Timestamp::now();
        match self.tokens.verify(token, audiences, &self.known, now) {
            Ok(claims) => Ok(Bearer {
                user: claims.user(),
                audiences: claims.audiences_in(audiences),
            }),
            Err(service_account::Error::Invalid(_)) => Err(INVALID.to_owned()),
            Err(error) => Err(format!("[{INVALID}, {error}]")),
        }
    }

    fn token_user(&self, token: &str) -> Result<UserInfo, Unauthenticated> {
        if let Some(user) = self.token_file.user(token) {
            return Ok(user.clone());
        }
        let audiences = &[service_account::ISSUER];
        let claims = self
            .tokens
            .verify(token, audiences, &self.known, Timestamp::now());
        match claims {
            Ok(claims) => Ok(claims.user()),
            Err(error) => Err(Unauthenticated {
                reason: error.to_string(),
            }),
        }
    }
}

/// The token of an `Authorization: Bearer` header.
fn bearer_token(request: &Parts) -> Option<&str> {
    let header = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_health(path: &str) -> bool {
    ["/livez", "/readyz", "/healthz"].iter().any(|health| {
        path.strip_prefix(health)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Identity;

    fn authenticator(token_file: &str) -> Authenticator {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), token_file).unwrap();
        let pair = rcgen::KeyPair::generate().unwrap();
        let keys = Identity {
            certificate: pair.public_key_pem(),
            key: pair.serialize_pem(),
        };
        let tokens = service_account::Tokens::new(&keys).unwrap();
        let token_file = TokenFile::open(file.path()).unwrap();
        Authenticator::new(token_file, Arc::new(tokens), Arc::default())
    }

    fn request(path: &str, authorization: Option<&str>) -> Parts {
        let mut request = http::Request::get(path);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_in_process_caller_is_believed_before_any_credential() {
        let authenticator = authenticator("t,alice,1");
        let mut request = request("/api/v1/pods", Some("Bearer t"));
        let user = Arc::new(UserInfo::component("system:kube-scheduler", &[]));
        request.extensions.insert(Arc::clone(&user));
        assert_eq!(authenticator.authenticate(&request).unwrap(), user);
    }

    #[test]
    fn a_bearer_token_names_a_user_and_a_wrong_one_nobody() {
        let authenticator = authenticator("t,alice,1");
        let user = |header| authenticator.authenticate(&request("/api/v1/pods", Some(header)));
        assert_eq!(user("Bearer t").unwrap().name, "alice");
        assert_eq!(user("bearer t").unwrap().name, "alice");
        assert!(user("Bearer u").is_err());
        assert!(user("Basic dDp0").is_err());
    }

    #[test]
    fn only_health_may_be_asked_for_without_credentials() {
        let authenticator = authenticator("");
        for path in ["/livez", "/readyz/ping", "/healthz"] {
            let user = authenticator.authenticate(&request(path, None)).unwrap();
            assert_eq!(user.groups, [UNAUTHENTICATED]);
        }
        for path in ["/version", "/livezz", "/metrics", "/api"] {
            let refused = authenticator.authenticate(&request(path, None));
            assert!(refused.is_err(), "{path}");
        }
        let wrong = authenticator.authenticate(&request("/livez", Some("Bearer x")));
        assert!(wrong.is_err());
    }
}
