//! The controllers against a scripted API server: lists are answered, watches stay open, and writes
//! are recorded.

use std::sync::Arc;
use std::time::Duration;

use api::auth::UserInfo;
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

/// A write: user, path, body.
type Write = (String, String, Value);

/// Starts the controllers in a cluster where lists of `path` show `items`, and gives their writes.
fn control(
    path: &'static str,
    items: Value,
) -> (mpsc::UnboundedReceiver<Write>, watch::Sender<bool>) {
    let (sender, writes) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (items, sender) = (items.clone(), sender.clone());
        async move {
            let (parts, body) = request.into_parts();
            let at = parts.uri.path().to_owned();
            let user = parts
                .extensions
                .get::<Arc<UserInfo>>()
                .expect("a user")
                .name
                .clone();
            let answer = match parts.method {
                Method::GET if parts.uri.query().is_some_and(|q| q.contains("watch=")) => {
                    std::future::pending().await
                }
                Method::GET if at == path => list(&items),
                Method::GET => list(&json!([])),
                _ => {
                    let bytes = body.collect_bytes().await.expect("a body in memory");
                    let body: Value = serde_json::from_slice(&bytes).expect("JSON");
                    let answer = body.clone();
                    sender.send((user, at, body)).expect("the test listens");
                    answer
                }
            };
            let response = Response::new(Body::from(answer.to_string().into_bytes()));
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let (stop, shutdown) = watch::channel(false);
    let clients =
        move |user: &str| client::in_process(service.clone(), UserInfo::component(user, &[]));
    let config = controllers::Config::new("PEM");
    tokio::spawn(controllers::run(clients, config, shutdown));
    (writes, stop)
}

fn list(items: &Value) -> Value {
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
}

async fn next(writes: &mut mpsc::UnboundedReceiver<Write>, path: &str) -> (String, Value) {
    let wanted = async {
        loop {
            let (user, at, body) = writes.recv().await.expect("the controllers run");
            if at == path {
                return (user, body);
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), wanted).await;
    found.expect("the write comes")
}

#[tokio::test]
async fn a_replica_set_gets_its_pods_from_its_own_controller() {
    let set = json!({
        "metadata": {"name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "1"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c"}]},
            },
        },
    });
    let (mut writes, _stop) = control("/apis/apps/v1/replicasets", json!([set]));
    for _ in 0..2 {
        let (user, pod) = next(&mut writes, "/api/v1/namespaces/ns/pods").await;
        assert_eq!(
            user,
            "system:serviceaccount:kube-system:replicaset-controller"
        );
        assert_eq!(pod["metadata"]["generateName"], "web-");
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["uid"], &owner["controller"]),
            (&json!("u"), &json!(true))
        );
    }
}

#[tokio::test]
async fn a_namespace_gets_its_service_account_and_the_certificate_authority() {
    let namespace = json!({"metadata": {"name": "ns", "uid": "u", "resourceVersion": "1"}});
    let (mut writes, _stop) = control("/api/v1/namespaces", json!([namespace]));
    let seen = async {
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let (_, path, body) = writes.recv().await.expect("the controllers run");
            seen.push((path, body["metadata"]["name"].clone()));
        }
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        seen
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
    let path = |plural: &str| format!("/api/v1/namespaces/ns/{plural}");
    assert_eq!(
        seen.expect("both come"),
        [
            (path("configmaps"), json!("kube-root-ca.crt")),
            (path("serviceaccounts"), json!("default")),
        ]
    );
}
