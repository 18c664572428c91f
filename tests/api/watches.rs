//! Watch: events in order, bookmarks, resuming.

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::http::Api;
use tests::watch::Watch;

use crate::{MAPS, at, map};

/// Watches the ConfigMaps of the default namespace, but for the one that the controllers publish
/// everywhere at a time of their own.
async fn watch(api: &Api, query: &str) -> Watch {
    let others = "fieldSelector=metadata.name!%3Dkube-root-ca.crt";
    Watch::start(api, MAPS, &format!("{others}&{query}")).await
}

async fn version(api: &Api) -> String {
    let list = api.get(MAPS).await.expect(200);
    list["metadata"]["resourceVersion"]
        .as_str()
        .expect("a version")
        .to_owned()
}

#[tokio::test]
async fn every_change_arrives_in_order() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let from = version(&api).await;
    let mut watch = watch(&api, &format!("resourceVersion={from}")).await;
    api.post(MAPS, &map("one", "1")).await.expect(201);
    api.patch(&at("one"), "merge", &json!({"data": {"key": "2"}}))
        .await
        .expect(200);
    api.delete(&at("one")).await.expect(200);
    watch.expect("ADDED", "one").await;
    let modified = watch.expect("MODIFIED", "one").await;
    assert_eq!(modified["object"]["data"]["key"], "2");
    let deleted = watch.expect("DELETED", "one").await;
    let number = |event: &Value| -> u64 {
        event["object"]["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert!(number(&deleted) > number(&modified));
}

#[tokio::test]
async fn an_object_that_leaves_the_selection_is_deleted_for_its_watcher() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let from = version(&api).await;
    let query = format!("resourceVersion={from}&labelSelector=app%3Da");
    let mut watch = watch(&api, &query).await;
    let mut body = map("one", "1");
    body["metadata"]["labels"] = json!({"app": "a"});
    api.post(MAPS, &body).await.expect(201);
    api.patch(
        &at("one"),
        "merge",
        &json!({"metadata": {"labels": {"app": "b"}}}),
    )
    .await
    .expect(200);
    watch.expect("ADDED", "one").await;
    watch.expect("DELETED", "one").await;
}

#[tokio::test]
async fn a_watch_resumes_after_a_restart_of_the_server() {
    let mut cluster = Cluster::without_worker();
    let api = cluster.api();
    let from = version(&api).await;
    api.post(MAPS, &map("one", "1")).await.expect(201);
    api.post(MAPS, &map("two", "2")).await.expect(201);
    api.delete(&at("one")).await.expect(200);
    cluster.terminate();
    cluster.boot();
    let api = cluster.api();
    let mut watch = watch(&api, &format!("resourceVersion={from}")).await;
    watch.expect("ADDED", "one").await;
    watch.expect("ADDED", "two").await;
    watch.expect("DELETED", "one").await;
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark_that_says_so() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let mut body = map("one", "1");
    body["metadata"]["labels"] = json!({"app": "a"});
    api.post(MAPS, &body).await.expect(201);
    let query = "sendInitialEvents=true&allowWatchBookmarks=true\
                 &resourceVersionMatch=NotOlderThan&labelSelector=app%3Da";
    let mut watch = watch(&api, query).await;
    watch.expect("ADDED", "one").await;
    let bookmark = watch.next().await.expect("a bookmark");
    assert_eq!(bookmark["type"], "BOOKMARK");
    let annotations = &bookmark["object"]["metadata"]["annotations"];
    assert_eq!(annotations["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_version_from_the_future_is_told_so() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let path = format!("{MAPS}?resourceVersion=99999999&resourceVersionMatch=Exact");
    let answer = api.get(&path).await;
    assert_eq!(answer.code, 504, "{:#}", answer.body);
    let message = answer.body["message"].as_str().expect("a message");
    assert!(message.contains("Too large resource version"), "{message}");
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let from = version(&api).await;
    let mut watch = watch(&api, &format!("resourceVersion={from}&timeoutSeconds=1")).await;
    assert_eq!(watch.next().await, None);
}
