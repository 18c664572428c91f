//! Service account tokens for pods, kept until most of their life is over.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use kube::api::{Api, PostParams};
use parking_lot::Mutex;

use super::VolumeError;
use crate::clock::Clock;
use crate::pod::spec;

/// A token and when to get the next one.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) renew_at: Timestamp,
}

/// A pod's uid, the audience and the life in seconds.
type Key = (String, Option<String>, i64);

/// All tokens of this node's pods.
pub(crate) struct Tokens {
    client: kube::Client,
    clock: Clock,
    known: Mutex<HashMap<Key, Token>>,
}

/// A token is renewed when 80 % of its life is over, or a day after it was made.
const OLDEST: i64 = 24 * 3600;

impl Tokens {
    pub(crate) fn new(client: kube::Client, clock: Clock) -> Self {
        Self {
            client,
            clock,
            known: Mutex::default(),
        }
    }

    /// The token for one source of a volume: a known one while it is fresh.
    pub(crate) async fn get(
        &self,
        pod: &Pod,
        source: &ServiceAccountTokenProjection,
    ) -> Result<Token, VolumeError> {
        let life = source.expiration_seconds.unwrap_or(3600);
        let key = (spec::uid(pod).to_owned(), source.audience.clone(), life);
        let known = self.known.lock().get(&key).cloned();
        if let Some(token) = known
            && token.renew_at > self.clock.now()
        {
            return Ok(token);
        }
        let token = self.request(pod, source, life).await?;
        self.known.lock().insert(key, token.clone());
        Ok(token)
    }

    /// Forgets the tokens of a pod.
    pub(crate) fn forget(&self, uid: &str) {
        self.known.lock().retain(|(pod, _, _), _| pod != uid);
    }

    async fn request(
        &self,
        pod: &Pod,
        source: &ServiceAccountTokenProjection,
        life: i64,
    ) -> Result<Token, VolumeError> {
        let audience = source.audience.clone().filter(|a| !a.is_empty());
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: audience.map(|audience| vec![audience]),
                expiration_seconds: Some(life),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
                attestations: None,
            }),
            ..TokenRequest::default()
        };
        let account = spec::spec(pod).service_account_name.as_deref();
        let account = account.filter(|a| !a.is_empty()).unwrap_or("default");
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.client.clone(), spec::namespace(pod));
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .map_err(|error| VolumeError::Token(error.to_string()))?;
        let status = answer.status.unwrap_or_default();
        let (Some(text), Some(expires)) = (status.token, status.expiration_timestamp) else {
            return Err(VolumeError::Token("the answer has no token".to_owned()));
        };
        Ok(Token {
            renew_at: renewal(self.clock.now(), expires.0),
            text,
        })
    }
}

fn renewal(now: Timestamp, expires: Timestamp) -> Timestamp {
    let life = expires.duration_since(now).as_secs().max(0);
    let wait = (life * 8 / 10).clamp(1, OLDEST);
    now.saturating_add(SignedDuration::from_secs(wait))
        .unwrap_or(expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life_or_after_a_day() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        assert_eq!(renewal(at(0), at(3600)), at(2880));
        assert_eq!(renewal(at(0), at(365 * OLDEST)), at(OLDEST));
        assert_eq!(renewal(at(10), at(5)), at(11));
    }
}
