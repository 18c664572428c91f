//! Creating, updating and deleting objects.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use serde_json::json;

use crate::harness::{CONFIG_MAPS, Cluster};

#[tokio::test]
async fn a_created_object_is_read_back_as_it_was_answered() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("a", "x").await;
    assert_eq!(made["kind"], "ConfigMap");
    assert_eq!(made["metadata"]["namespace"], "default");
    let read = cluster.get(&format!("{CONFIG_MAPS}/a")).await;
    assert_eq!(read.code, 200);
    assert_eq!(read.json(), made);
    assert!(read.headers.contains_key("audit-id"));
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", "x").await;
    let again = cluster
        .post(CONFIG_MAPS, r#"{"metadata":{"name":"a"}}"#)
        .await;
    assert_eq!(again.code, 409);
    assert_eq!(again.message(), r#"configmaps "a" already exists"#);
    assert_eq!(
        again.json()["details"],
        json!({"name": "a", "kind": "configmaps"})
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let cluster = Cluster::start().await;
    let missing = cluster.get(&format!("{CONFIG_MAPS}/zz")).await;
    assert_eq!(
        (missing.code, missing.message().as_str()),
        (404, r#"configmaps "zz" not found"#)
    );
    let kind = cluster.get("/api/v1/namespaces/default/foos").await;
    assert_eq!(
        kind.message(),
        "the server could not find the requested resource"
    );
    let place = cluster
        .post(
            "/api/v1/namespaces/nons/configmaps",
            r#"{"metadata":{"name":"a"}}"#,
        )
        .await;
    assert_eq!(
        (place.code, place.message().as_str()),
        (404, r#"namespaces "nons" not found"#)
    );
    let page = cluster.get("/nope").await;
    assert_eq!(
        (page.code, page.body.as_slice()),
        (404, b"404 page not found\n".as_slice())
    );
}

#[tokio::test]
async fn a_stale_version_conflicts_and_no_version_does_not() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("a", "x").await;
    let url = format!("{CONFIG_MAPS}/a");
    let mut new = made.clone();
    new["data"]["k"] = "w".into();
    let first = cluster.put(&url, &new.to_string()).await;
    assert_eq!(first.code, 200, "{}", first.message());
    let second = cluster.put(&url, &made.to_string()).await;
    assert_eq!(second.code, 409);
    assert_eq!(
        second.message(),
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply \
         your changes to the latest version and try again"
    );
    let free = cluster
        .put(&url, r#"{"metadata":{"name":"a"},"data":{"k":"z"}}"#)
        .await;
    assert_eq!(free.code, 200);
    assert_eq!(free.json()["metadata"]["uid"], made["metadata"]["uid"]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_makes_no_version() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("a", "x").await;
    let same = cluster
        .put(&format!("{CONFIG_MAPS}/a"), &made.to_string())
        .await;
    assert_eq!(same.json(), made);
}

#[tokio::test]
async fn a_generated_name_starts_with_its_base() {
    let cluster = Cluster::start().await;
    let made = cluster
        .post(CONFIG_MAPS, r#"{"metadata":{"generateName":"f-"}}"#)
        .await;
    let name = made.json()["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("f-") && name.len() == 7, "{name}");
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let cluster = Cluster::start().await;
    let url = format!("{CONFIG_MAPS}?dryRun=All");
    let dry = cluster.post(&url, r#"{"metadata":{"name":"a"}}"#).await;
    assert_eq!(dry.code, 201);
    assert_eq!(cluster.get(&format!("{CONFIG_MAPS}/a")).await.code, 404);
}

#[tokio::test]
async fn a_finalizer_holds_a_deleted_object_until_it_is_gone() {
    let cluster = Cluster::start().await;
    let body = r#"{"metadata":{"name":"f","finalizers":["a/b"]}}"#;
    cluster.post(CONFIG_MAPS, body).await;
    let url = format!("{CONFIG_MAPS}/f");
    let marked = cluster.delete(&url, "").await;
    assert_eq!(marked.code, 200);
    assert!(marked.json()["metadata"]["deletionTimestamp"].is_string());
    let again = cluster.post(CONFIG_MAPS, body).await;
    assert_eq!(
        again.message(),
        r#"object is being deleted: configmaps "f" already exists"#
    );
    let freed = cluster.put(&url, r#"{"metadata":{"name":"f"}}"#).await;
    assert_eq!(freed.code, 200, "{}", freed.message());
    assert_eq!(cluster.get(&url).await.code, 404);
}

#[tokio::test]
async fn a_deletion_checks_its_preconditions() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("a", "x").await;
    let url = format!("{CONFIG_MAPS}/a");
    let refused = cluster
        .delete(&url, r#"{"preconditions":{"uid":"xx"}}"#)
        .await;
    assert_eq!(refused.code, 409);
    assert!(
        refused
            .message()
            .contains("the UID in the precondition (xx)")
    );
    let body = json!({"preconditions": {"uid": made["metadata"]["uid"]}});
    let gone = cluster.delete(&url, &body.to_string()).await;
    assert_eq!(gone.json()["status"], "Success");
}

#[tokio::test]
async fn a_selected_collection_goes_and_the_rest_stays() {
    let cluster = Cluster::start().await;
    for (name, app) in [("a", "x"), ("b", "x"), ("c", "y")] {
        cluster.config_map(name, app).await;
    }
    let gone = cluster
        .delete(&format!("{CONFIG_MAPS}?labelSelector=app%3Dx"), "")
        .await;
    assert_eq!(gone.json()["items"].as_array().unwrap().len(), 2);
    let left = cluster.get(CONFIG_MAPS).await.json();
    assert_eq!(left["items"][0]["metadata"]["name"], "c");
}

#[tokio::test]
async fn a_namespace_goes_when_its_finalizers_are_gone() {
    let cluster = Cluster::start().await;
    cluster
        .post("/api/v1/namespaces", r#"{"metadata":{"name":"n1"}}"#)
        .await;
    let ending = cluster.delete("/api/v1/namespaces/n1", "").await;
    assert_eq!(ending.json()["status"]["phase"], "Terminating");
    let late = cluster
        .post(
            "/api/v1/namespaces/n1/configmaps",
            r#"{"metadata":{"name":"x"}}"#,
        )
        .await;
    assert_eq!(late.code, 403);
    assert_eq!(
        late.message(),
        "configmaps \"x\" is forbidden: unable to create new content in namespace n1 because it is being \
         terminated"
    );
    let mut namespace = ending.json();
    namespace["spec"]["finalizers"] = json!([]);
    let done = cluster
        .put("/api/v1/namespaces/n1/finalize", &namespace.to_string())
        .await;
    assert_eq!(done.code, 200, "{}", done.message());
    assert_eq!(cluster.get("/api/v1/namespaces/n1").await.code, 404);
    let kept = cluster.delete("/api/v1/namespaces/default", "").await;
    assert_eq!(
        kept.message(),
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_with_the_reason() {
    let cluster = Cluster::start().await;
    let broken = cluster.post(CONFIG_MAPS, r#"{"apiVersion":"#).await;
    assert_eq!(broken.code, 400);
    assert!(
        broken
            .message()
            .contains("json parse error: unexpected end of JSON input")
    );
    let nameless = cluster.post(CONFIG_MAPS, "{}").await;
    assert_eq!(
        nameless.message(),
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required"
    );
    let foreign = cluster
        .post(CONFIG_MAPS, r#"{"apiVersion":"v1","kind":"Pod"}"#)
        .await;
    assert_eq!(
        foreign.message(),
        "Pod in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Pod) to \
         (core.ConfigMap): unknown conversion"
    );
    let text = cluster
        .ask("POST", CONFIG_MAPS, &[("content-type", "text/plain")], "{}")
        .await;
    assert_eq!(text.code, 415);
    let large = cluster.post(CONFIG_MAPS, &"a".repeat(4 << 20)).await;
    assert_eq!(large.code, 413);
}

#[tokio::test]
async fn unknown_fields_are_refused_told_or_ignored_as_the_client_wants() {
    let cluster = Cluster::start().await;
    let body = r#"{"metadata":{"name":"a","foo":1},"data":{"a":"1"}}"#;
    let strict = cluster
        .post(&format!("{CONFIG_MAPS}?fieldValidation=Strict"), body)
        .await;
    assert_eq!(
        strict.message(),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown \
         field \"metadata.foo\""
    );
    let warned = cluster.post(CONFIG_MAPS, body).await;
    assert_eq!(warned.code, 201);
    assert_eq!(
        warned.headers["warning"],
        r#"299 - "unknown field \"metadata.foo\"""#
    );
}

/// A body that says when it is dropped, and never ends.
struct Endless(Arc<AtomicBool>);

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl futures::Stream for Endless {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_short_request_that_is_refused_is_read_to_its_end() {
    let cluster = Cluster::start().await;
    let read = Arc::new(AtomicBool::default());
    let end = futures::stream::once({
        let read = Arc::clone(&read);
        async move {
            read.store(true, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from_static(b"}"))
        }
    });
    let request = http::Request::post(CONFIG_MAPS)
        .body(Body::from_stream(end))
        .unwrap();
    let refused = cluster.call(request).await;
    assert_eq!(refused.status(), 401);
    assert!(read.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_request_that_is_refused_unread_is_kept_until_the_refusal_is_sent() {
    let cluster = Cluster::start().await;
    let dropped = Arc::default();
    let body = Endless(Arc::clone(&dropped));
    let request = http::Request::post(CONFIG_MAPS)
        .body(Body::from_stream(body))
        .unwrap();
    let refused = cluster.call(request).await;
    assert_eq!(refused.status(), 401);
    assert!(!dropped.load(Ordering::SeqCst));
    let text = axum::body::to_bytes(refused.into_body(), usize::MAX).await;
    assert!(text.unwrap().starts_with(b"{"));
    assert!(dropped.load(Ordering::SeqCst));
}
