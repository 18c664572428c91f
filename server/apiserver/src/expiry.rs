//! What goes by itself: events, an hour after they were last seen.

use std::sync::Arc;
use std::time::Duration;

use api::auth::{MASTERS, UserInfo};
use api::meta::time;
use axum::body::Body;
use axum::extract::Request;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::app::App;
use crate::policy;

/// How often is looked for what has expired, and how much goes at a time.
const PERIOD: Duration = Duration::from_secs(60);
const BATCH: usize = 1000;

/// Deletes expired objects until the server stops. `_ready` is kept so that its receivers live.
pub(crate) async fn run(
    app: Arc<App>,
    router: axum::Router,
    ttl: Duration,
    _ready: watch::Sender<bool>,
) {
    let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::from_hours(1));
    let mut stopping = app.stopping.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = crate::server::stopped(&mut stopping) => return,
        }
        for url in expired(&app, Timestamp::now() - ttl) {
            let request = Request::delete(url).body(Body::empty());
            let Ok(mut request) = request else {
                continue;
            };
            let user = UserInfo::component("system:apiserver", &[MASTERS]);
            request.extensions_mut().insert(Arc::new(user));
            let Ok(response) = router.clone().oneshot(request).await;
            if response.status().is_server_error() {
                tracing::warn!("an expired object can't be deleted: {}", response.status());
            }
        }
    }
}

/// The URLs of objects that were last seen before a time.
fn expired(app: &App, before: Timestamp) -> Vec<String> {
    let mut urls = Vec::new();
    let caches = app
        .cache
        .all()
        .filter(|cache| policy::expires(cache.kind.resource()));
    for cache in caches {
        let resource = cache.kind.resource();
        let root = match resource.group {
            "" => "/api".to_owned(),
            group => format!("/apis/{group}"),
        };
        for object in cache.objects() {
            if urls.len() == BATCH {
                return urls;
            }
            if last_seen(&object.value()).is_some_and(|seen| seen < before) {
                urls.push(format!(
                    "{root}/{}/namespaces/{}/{}/{}",
                    resource.version, object.namespace, resource.plural, object.name
                ));
            }
        }
    }
    urls
}

/// The newest of the times that an event carries. Like every write of an event in Kubernetes, each
/// repetition prolongs its life.
fn last_seen(event: &Value) -> Option<Timestamp> {
    [
        &event["lastTimestamp"],
        &event["series"]["lastObservedTime"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ]
    .into_iter()
    .filter_map(|time| time::parse(time.as_str()?))
    .max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_repeated_event_lives_from_its_last_time() {
        let event = json!({
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
            "lastTimestamp": "2026-01-01T05:00:00Z",
            "eventTime": null,
        });
        let seen = last_seen(&event).unwrap();
        assert_eq!(time::seconds(seen), "2026-01-01T05:00:00Z");
    }
}
