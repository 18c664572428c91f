//! The scheduler's loop against a scripted API server: lists are answered, watches stay open, and
//! writes are recorded.

use std::time::Duration;

use api::auth::UserInfo;
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

/// A write: method, path, body.
type Write = (Method, String, Value);

/// Starts the scheduler in a cluster with these nodes and one pod, and gives its writes.
fn schedule(nodes: Value) -> (mpsc::UnboundedReceiver<Write>, watch::Sender<bool>) {
    let (sender, writes) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (nodes, sender) = (nodes.clone(), sender.clone());
        async move {
            let (parts, body) = request.into_parts();
            let path = parts.uri.path().to_owned();
            let answer = match (&parts.method, path.as_str()) {
                (&Method::GET, _) if parts.uri.query().is_some_and(|q| q.contains("watch=")) => {
                    std::future::pending().await
                }
                (&Method::GET, "/api/v1/nodes") => list(&nodes),
                (&Method::GET, "/api/v1/pods") => list(&json!([pod()])),
                _ => {
                    let bytes = body.collect_bytes().await.expect("a body in memory");
                    let body: Value = serde_json::from_slice(&bytes).expect("JSON");
                    let answer = body.clone();
                    sender
                        .send((parts.method, path, body))
                        .expect("the test listens");
                    answer
                }
            };
            let response = Response::new(Body::from(answer.to_string().into_bytes()));
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let user = UserInfo::component("system:kube-scheduler", &[]);
    let client = client::in_process(service, user);
    let (stop, shutdown) = watch::channel(false);
    tokio::spawn(scheduler::run(client, shutdown));
    (writes, stop)
}

fn list(items: &Value) -> Value {
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
}

fn pod() -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "2"}}}]},
    })
}

fn node(cpu: &str) -> Value {
    json!({
        "metadata": {"name": "n1", "resourceVersion": "1"},
        "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "10"}},
    })
}

async fn next(writes: &mut mpsc::UnboundedReceiver<Write>, path: &str) -> Value {
    let wanted = async {
        loop {
            let (_, at, body) = writes.recv().await.expect("the scheduler runs");
            if at == path {
                return body;
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), wanted).await;
    found.expect("the write comes")
}

#[tokio::test]
async fn a_pod_is_bound_to_the_node_that_has_room() {
    let (mut writes, _stop) = schedule(json!([node("4")]));
    let binding = next(&mut writes, "/api/v1/namespaces/ns/pods/web/binding").await;
    assert_eq!(binding["target"]["name"], "n1");
    assert_eq!(binding["metadata"]["uid"], "u");
    let event = next(&mut writes, "/api/v1/namespaces/ns/events").await;
    assert_eq!(event["reason"], "Scheduled");
    assert_eq!(event["message"], "Successfully assigned ns/web to n1");
}

#[tokio::test]
async fn a_pod_without_a_node_is_told_why() {
    let (mut writes, _stop) = schedule(json!([node("1")]));
    let patch = next(&mut writes, "/api/v1/namespaces/ns/pods/web/status").await;
    let condition = &patch["status"]["conditions"][0];
    assert_eq!(condition["type"], "PodScheduled");
    assert_eq!(condition["reason"], "Unschedulable");
    assert_eq!(
        condition["message"],
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
         1 Preemption is not helpful for scheduling."
    );
}
