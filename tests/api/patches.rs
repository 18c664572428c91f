//! Patch: the four kinds, and who owns which field.

use serde_json::{Value, json};
use tests::PATIENCE;
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

#[tokio::test]
async fn a_patch_changes_no_object_into_one_of_another_kind() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let secret = json!({"kind": "Secret"});
    let refused = api.patch(&at("one"), "merge", &secret).await.expect(422);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.ends_with("converting (v1.Secret) to (core.ConfigMap): unknown conversion"),
        "{message}"
    );
    let newer = json!([{"op": "replace", "path": "/apiVersion", "value": "v2"}]);
    let refused = api.patch(&at("one"), "json", &newer).await.expect(422);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("no kind \"ConfigMap\" is registered for version \"v2\""),
        "{message}"
    );
    let kept = api.patch(&at("one"), "strategic-merge", &secret).await;
    assert_eq!(kept.expect(200)["kind"], "ConfigMap");
}

#[tokio::test]
async fn a_patch_does_not_change_the_uid() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let patch = json!({"metadata": {"uid": "other"}});
    let refused = api.patch(&at("one"), "merge", &patch).await.expect(422);
    assert_eq!(
        refused["message"],
        "ConfigMap \"one\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable"
    );
}

#[tokio::test]
async fn a_pod_may_be_patched_before_it_runs() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "a", "image": "a:1"}]},
    });
    let created = tests::eventually_async("the pod is made", PATIENCE, || async {
        let answer = api.post(pods, &pod).await;
        (answer.code == 201).then_some(answer.body)
    })
    .await;
    assert_eq!(created["spec"].get("initContainers"), None);
    let patch = json!({"spec": {"containers": [{"name": "a", "image": "a:2"}]}});
    let path = format!("{pods}/web");
    let patched = api
        .patch(&path, "strategic-merge", &patch)
        .await
        .expect(200);
    assert_eq!(patched["spec"]["containers"][0]["image"], "a:2");
}

#[tokio::test]
async fn what_a_patch_says_twice_is_refused_when_strict() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let path = format!("{}?fieldValidation=Strict", at("one"));
    let request = api.request(reqwest::Method::PATCH, &path);
    let request = request
        .header("Content-Type", "application/merge-patch+json")
        .body(r#"{"data":{"a":"1","a":"2"},"more":1}"#);
    let refused = api.send(request).await.expect(422);
    let message = refused["message"].as_str().expect("a message");
    let told = "strict decoding error: duplicate field \"data.a\", unknown field \"more\"";
    assert!(message.ends_with(told), "{message}");
}
