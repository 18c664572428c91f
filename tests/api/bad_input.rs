//! Whatever a client sends, it gets a Status and the server goes on.

use reqwest::Method;
use tests::cluster::Cluster;

use crate::{MAPS, at, map};

#[tokio::test]
async fn malformed_bodies_are_bad_requests() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"metadata\": 3}",
        "{\"kind\": \"Pod\", \"apiVersion\": \"v1\"}",
        "\u{0}",
    ] {
        let request = api.request(Method::POST, MAPS);
        let request = request
            .header("Content-Type", "application/json")
            .body(body);
        let answer = api.send(request).await;
        assert!(
            matches!(answer.code, 400 | 422),
            "{body:?} gave {}: {:#}",
            answer.code,
            answer.body
        );
        assert_eq!(answer.body["kind"], "Status", "{body:?}");
    }
    api.get(MAPS).await.expect(200);
}

#[tokio::test]
async fn a_body_may_be_yaml() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  key: \"1\"\n";
    let request = api.request(Method::POST, MAPS);
    let request = request
        .header("Content-Type", "application/yaml")
        .body(text);
    let created = api.send(request).await.expect(201);
    assert_eq!(created["data"]["key"], "1");
}

#[tokio::test]
async fn an_unknown_content_type_is_unsupported() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let request = api.request(Method::POST, MAPS);
    let request = request.header("Content-Type", "text/html").body("<p>");
    assert_eq!(
        api.send(request).await.expect(415)["reason"],
        "UnsupportedMediaType"
    );
}

#[tokio::test]
async fn a_body_over_three_mebibytes_is_too_large() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let large = map("one", &"x".repeat(4 << 20));
    assert_eq!(
        api.post(MAPS, &large).await.expect(413)["reason"],
        "RequestEntityTooLarge"
    );
    api.get(MAPS).await.expect(200);
}

#[tokio::test]
async fn duplicate_fields_are_refused_when_strict() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let text = r#"{"metadata":{"name":"one"},"data":{"key":"1","key":"2"}}"#;
    let request = api.request(Method::POST, &format!("{MAPS}?fieldValidation=Strict"));
    let request = request
        .header("Content-Type", "application/json")
        .body(text);
    let refused = api.send(request).await.expect(400);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("duplicate field \"data.key\""),
        "{message}"
    );
}

#[tokio::test]
async fn malformed_queries_are_bad_requests() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    for query in [
        "limit=many",
        "watch=true&timeoutSeconds=soon",
        "resourceVersion=abc",
        "resourceVersionMatch=Exact",
        "labelSelector=%3D%3D",
    ] {
        let answer = api.get(&format!("{MAPS}?{query}")).await;
        assert!(
            matches!(answer.code, 400 | 422),
            "{query} gave {}: {:#}",
            answer.code,
            answer.body
        );
    }
    let answer = api
        .post(&format!("{MAPS}?dryRun=Some"), &map("one", "1"))
        .await;
    assert!(matches!(answer.code, 400 | 422), "{:#}", answer.body);
}

#[tokio::test]
async fn unknown_paths_and_methods_have_their_codes() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.get("/api/v1/namespaces/default/unicorns")
        .await
        .expect(404);
    api.get("/apis/example.com/v1/things").await.expect(404);
    api.put(MAPS, &map("one", "1")).await.expect(405);
    api.post(&at("one"), &map("one", "1")).await.expect(405);
}

#[tokio::test]
async fn invalid_labels_and_names_are_named() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let mut body = map("UPPER", "1");
    body["metadata"]["labels"] = serde_json::json!({"bad key!": "bad value!"});
    let refused = api.post(MAPS, &body).await.expect(422);
    let text = refused["message"].as_str().expect("a message");
    assert!(
        text.contains("metadata.name: Invalid value: \"UPPER\""),
        "{text}"
    );
    assert!(
        text.contains("metadata.labels: Invalid value: \"bad key!\""),
        "{text}"
    );
}

#[tokio::test]
async fn wrong_types_are_told_with_their_field() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let mut body = map("one", "1");
    body["data"] = serde_json::json!({"key": 5});
    let refused = api.post(MAPS, &body).await.expect(400);
    let text = refused["message"].as_str().expect("a message");
    assert!(text.contains("data"), "{text}");
    assert_eq!(refused["reason"], "BadRequest");
}
