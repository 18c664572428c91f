//! Patch: the four kinds, and who owns which field.

use serde_json::{Value, json};
use tests::cluster::Cluster;

use crate::{MAPS, at, map};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "paused": true,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [
                    {"name": "a", "image": "a:1"},
                    {"name": "b", "image": "b:1"},
                ]},
            },
        },
    })
}

#[tokio::test]
async fn a_json_patch_changes_and_a_failed_test_refuses() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let good = json!([
        {"op": "test", "path": "/data/key", "value": "1"},
        {"op": "replace", "path": "/data/key", "value": "2"},
        {"op": "add", "path": "/data/more", "value": "3"},
    ]);
    let patched = api.patch(&at("one"), "json", &good).await.expect(200);
    assert_eq!(patched["data"], json!({"key": "2", "more": "3"}));
    api.patch(&at("one"), "json", &good).await.expect(422);
}

#[tokio::test]
async fn a_merge_patch_removes_with_null() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let patch = json!({"data": {"key": null, "other": "2"}});
    let patched = api.patch(&at("one"), "merge", &patch).await.expect(200);
    assert_eq!(patched["data"], json!({"other": "2"}));
}

#[tokio::test]
async fn a_strategic_patch_merges_containers_by_name() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(DEPLOYMENTS, &deployment()).await.expect(201);
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "b", "image": "b:2"},
        {"name": "a", "$patch": "delete"},
    ]}}}});
    let path = format!("{DEPLOYMENTS}/web");
    let patched = api
        .patch(&path, "strategic-merge", &patch)
        .await
        .expect(200);
    let containers = patched["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0]["image"], "b:2");
    assert_eq!(patched["metadata"]["generation"], 2);
}

#[tokio::test]
async fn an_applied_object_is_created_changed_and_cleaned_of_what_is_no_longer_applied() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let path = format!("{}?fieldManager=me", at("one"));
    let mut body = map("one", "1");
    body["data"]["extra"] = json!("x");
    let created = api.patch(&path, "apply", &body).await.expect(201);
    let managed = &created["metadata"]["managedFields"][0];
    assert_eq!(managed["manager"], "me");
    assert_eq!(managed["operation"], "Apply");
    assert_eq!(managed["fieldsV1"]["f:data"]["f:key"], json!({}));
    let changed = api
        .patch(&path, "apply", &map("one", "2"))
        .await
        .expect(200);
    assert_eq!(changed["data"], json!({"key": "2"}));
}

#[tokio::test]
async fn two_appliers_of_one_field_conflict_until_one_forces() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.patch(
        &format!("{}?fieldManager=me", at("one")),
        "apply",
        &map("one", "1"),
    )
    .await
    .expect(201);
    let path = format!("{}?fieldManager=you", at("one"));
    let refused = api
        .patch(&path, "apply", &map("one", "2"))
        .await
        .expect(409);
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"me\": .data.key"
    );
    assert_eq!(
        refused["details"]["causes"][0]["reason"],
        "FieldManagerConflict"
    );
    let forced = api
        .patch(&format!("{path}&force=true"), "apply", &map("one", "2"))
        .await
        .expect(200);
    assert_eq!(forced["data"]["key"], "2");
}

#[tokio::test]
async fn an_apply_needs_a_manager() {
    let cluster = Cluster::without_worker();
    let refused = cluster
        .api()
        .patch(&at("one"), "apply", &map("one", "1"))
        .await;
    assert_eq!(refused.code, 422, "{:#}", refused.body);
}

#[tokio::test]
async fn an_unknown_kind_of_patch_is_refused() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let refused = api.patch(&at("one"), "magic", &json!({})).await.expect(415);
    assert_eq!(refused["reason"], "UnsupportedMediaType");
}
