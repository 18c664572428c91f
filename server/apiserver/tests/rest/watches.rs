//! Watches.

use crate::harness::{CONFIG_MAPS, Cluster};

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn a_watch_shows_the_state_and_then_every_change() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", "x").await;
    let mut events = cluster.watch(&format!("{CONFIG_MAPS}?watch=1"), &[]).await;
    assert_eq!(events.brief().await, pair("ADDED", "a"));
    cluster.config_map("b", "x").await;
    assert_eq!(events.brief().await, pair("ADDED", "b"));
    cluster
        .put(&format!("{CONFIG_MAPS}/a"), r#"{"metadata":{"name":"a"}}"#)
        .await;
    assert_eq!(events.brief().await, pair("MODIFIED", "a"));
    cluster.delete(&format!("{CONFIG_MAPS}/b"), "").await;
    assert_eq!(events.brief().await, pair("DELETED", "b"));
}

#[tokio::test]
async fn a_watch_resumes_after_the_version_that_it_has_seen() {
    let cluster = Cluster::start().await;
    let seen = cluster.config_map("a", "x").await;
    cluster.config_map("b", "x").await;
    let version = seen["metadata"]["resourceVersion"].as_str().unwrap();
    let url = format!("{CONFIG_MAPS}?watch=1&resourceVersion={version}");
    let mut events = cluster.watch(&url, &[]).await;
    assert_eq!(events.brief().await, pair("ADDED", "b"));
}

#[tokio::test]
async fn an_object_that_leaves_the_selection_is_deleted_for_the_watcher() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", "x").await;
    let mut events = cluster
        .watch(&format!("{CONFIG_MAPS}?watch=1&labelSelector=app%3Dx"), &[])
        .await;
    assert_eq!(events.brief().await, pair("ADDED", "a"));
    let away = r#"{"metadata":{"name":"a","labels":{"app":"y"}}}"#;
    let moved = cluster.put(&format!("{CONFIG_MAPS}/a"), away).await.json();
    let event = events.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    let version = &event["object"]["metadata"]["resourceVersion"];
    assert_eq!(*version, moved["metadata"]["resourceVersion"]);
    assert_eq!(event["object"]["metadata"]["labels"]["app"], "x");
}

#[tokio::test]
async fn a_watch_list_marks_the_end_of_the_state() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", "x").await;
    let url = format!(
        "{CONFIG_MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let mut events = cluster.watch(&url, &[]).await;
    assert_eq!(events.brief().await, pair("ADDED", "a"));
    let mark = events.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(
        mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
}

#[tokio::test]
async fn a_watch_ends_after_its_timeout() {
    let cluster = Cluster::start().await;
    let mut events = cluster
        .watch(&format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1"), &[])
        .await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_watch_of_tables_sends_the_header_once() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", "x").await;
    cluster.config_map("b", "x").await;
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let mut events = cluster
        .watch(&format!("{CONFIG_MAPS}?watch=1"), &accept)
        .await;
    let first = events.next().await.unwrap();
    assert!(first["object"]["columnDefinitions"].is_array());
    let second = events.next().await.unwrap();
    assert!(second["object"]["columnDefinitions"].is_null());
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
}
