//! Delete: preconditions, finalizers, grace, propagation, collections, namespaces.

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::{PATIENCE, eventually_async};

use crate::{MAPS, at, map, names};

#[tokio::test]
async fn a_deleted_object_is_gone() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let created = api.post(MAPS, &map("one", "1")).await.expect(201);
    let status = api.delete(&at("one")).await.expect(200);
    assert_eq!(status["status"], "Success");
    assert_eq!(status["details"]["uid"], created["metadata"]["uid"]);
    api.get(&at("one")).await.expect(404);
    api.delete(&at("one")).await.expect(404);
}

#[tokio::test]
async fn a_precondition_that_does_not_hold_keeps_the_object() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let options = json!({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}});
    let request = api
        .request(reqwest::Method::DELETE, &at("one"))
        .json(&options);
    let refused = api.send(request).await.expect(409);
    assert_eq!(refused["reason"], "Conflict");
    api.get(&at("one")).await.expect(200);
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_taken_away() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let mut body = map("one", "1");
    body["metadata"]["finalizers"] = json!(["example.com/hold"]);
    api.post(MAPS, &body).await.expect(201);
    api.delete(&at("one")).await.expect(200);
    let held = api.get(&at("one")).await.expect(200);
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    let patch = json!({"metadata": {"finalizers": null}});
    api.patch(&at("one"), "merge", &patch).await.expect(200);
    api.get(&at("one")).await.expect(404);
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    for (name, app) in [("one", "a"), ("two", "b"), ("three", "a")] {
        let mut body = map(name, "x");
        body["metadata"]["labels"] = json!({"app": app});
        api.post(MAPS, &body).await.expect(201);
    }
    api.delete(&format!("{MAPS}?labelSelector=app%3Da"))
        .await
        .expect(200);
    let left = api
        .get(&format!("{MAPS}?labelSelector=app"))
        .await
        .expect(200);
    assert_eq!(names(&left), ["two"]);
}

#[tokio::test]
async fn a_namespace_takes_everything_in_it_along() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    api.post("/api/v1/namespaces", &space).await.expect(201);
    api.post("/api/v1/namespaces/team/configmaps", &map("one", "1"))
        .await
        .expect(201);
    let terminating = api.delete("/api/v1/namespaces/team").await.expect(200);
    assert_eq!(terminating["status"]["phase"], "Terminating");
    eventually_async("the namespace to go", PATIENCE, || async {
        (api.get("/api/v1/namespaces/team").await.code == 404).then_some(())
    })
    .await;
    api.get("/api/v1/namespaces/team/configmaps/one")
        .await
        .expect(404);
}

fn owned(name: &str, owner: &Value) -> Value {
    let mut body = map(name, "x");
    body["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true, "controller": true,
    }]);
    body
}

#[tokio::test]
async fn dependents_follow_their_owner_in_the_background() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let owner = api.post(MAPS, &map("owner", "1")).await.expect(201);
    api.post(MAPS, &owned("child", &owner)).await.expect(201);
    api.delete(&format!("{}?propagationPolicy=Background", at("owner")))
        .await
        .expect(200);
    eventually_async("the child to go", PATIENCE, || async {
        (api.get(&at("child")).await.code == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn orphans_stay_and_forget_their_owner() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let owner = api.post(MAPS, &map("owner", "1")).await.expect(201);
    api.post(MAPS, &owned("child", &owner)).await.expect(201);
    api.delete(&format!("{}?propagationPolicy=Orphan", at("owner")))
        .await
        .expect(200);
    eventually_async("the owner to go", PATIENCE, || async {
        (api.get(&at("owner")).await.code == 404).then_some(())
    })
    .await;
    let child = api.get(&at("child")).await.expect(200);
    assert!(child["metadata"].get("ownerReferences").is_none());
}

#[tokio::test]
async fn in_the_foreground_the_owner_goes_last() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let owner = api.post(MAPS, &map("owner", "1")).await.expect(201);
    let mut child = owned("child", &owner);
    child["metadata"]["finalizers"] = json!(["example.com/hold"]);
    api.post(MAPS, &child).await.expect(201);
    api.delete(&format!("{}?propagationPolicy=Foreground", at("owner")))
        .await
        .expect(200);
    eventually_async("the child to be deleted", PATIENCE, || async {
        let child = api.get(&at("child")).await.body;
        child["metadata"]["deletionTimestamp"]
            .is_string()
            .then_some(())
    })
    .await;
    let waiting = api.get(&at("owner")).await.expect(200);
    assert_eq!(
        waiting["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    let patch = json!({"metadata": {"finalizers": null}});
    api.patch(&at("child"), "merge", &patch).await.expect(200);
    eventually_async("the owner to go", PATIENCE, || async {
        (api.get(&at("owner")).await.code == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_collection_is_deleted_page_by_page() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    for name in ["a", "b", "c"] {
        let mut body = map(name, "1");
        body["metadata"]["labels"] = json!({"set": "x"});
        api.post(MAPS, &body).await.expect(201);
    }
    let all = format!("{MAPS}?labelSelector=set%3Dx");
    let first = api.get(&format!("{all}&limit=1")).await.expect(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = format!("{all}&limit=1&continue={token}");
    let deleted = api.delete(&second).await.expect(200);
    assert_eq!(names(&deleted), ["b"]);
    assert!(deleted["metadata"]["continue"].is_string());
    let deleted = api.delete(&format!("{all}&limit=1")).await.expect(200);
    assert_eq!(names(&deleted), ["a"]);
    assert_eq!(names(&api.get(&all).await.expect(200)), ["c"]);
}
