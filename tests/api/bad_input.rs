//! Whatever a client sends, it gets a Status and the server goes on.

use reqwest::Method;
use serde_json::json;
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
async fn what_is_no_utf_8_is_read_as_replacement_characters() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let post = |body: &'static [u8]| {
        let request = api.request(Method::POST, MAPS);
        let request = request.header("Content-Type", "application/json");
        api.send(request.body(body))
    };
    let made = post(b"{\"metadata\":{\"name\":\"odd\"},\"data\":{\"a\":\"\xff\"}}").await;
    assert_eq!(made.expect(201)["data"]["a"], "\u{fffd}");
    let refused = post(b"{\"metadata\":{\"name\":\"odd\xff\"}}").await;
    assert_eq!(refused.expect(422)["reason"], "Invalid");
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
        "timeoutSeconds=soon",
        "watch=true&timeoutSeconds=soon",
        "watch=true&resourceVersion=abc",
        "watch=true&continue=x",
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
    // What isn't there isn't there, whatever is to be done with it.
    let unknown = "/apis/example.com/v1/things";
    let missing = api.post(unknown, &map("one", "1")).await.expect(404);
    assert_eq!(missing, "404 page not found\n");
    api.post("/version", &json!({})).await.expect(405);
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

#[tokio::test]
async fn malformed_options_delete_nothing() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    for body in [
        "[]",
        "\"x\"",
        "{\"kind\": \"Eviction\"}",
        "{\"gracePeriodSeconds\": \"x\"}",
        "{\"preconditions\": []}",
        "{\"dryRun\": \"All\"}",
    ] {
        let request = api.request(Method::DELETE, &at("one"));
        let request = request
            .header("Content-Type", "application/json")
            .body(body);
        let answer = api.send(request).await;
        assert_eq!(answer.code, 400, "{body}: {:#}", answer.body);
    }
    for query in ["limit=x", "timeoutSeconds=x", "resourceVersion=x"] {
        api.delete(&format!("{MAPS}?{query}")).await.expect(400);
    }
    api.get(&at("one")).await.expect(200);
}

#[tokio::test]
async fn complaints_about_fields_come_in_the_order_of_the_body() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let request = api.request(Method::POST, &format!("{MAPS}?fieldValidation=Strict"));
    let request = request.header("Content-Type", "application/json").body(
        r#"{"metadata":{"name":"one","x":{"y":1,"y":2},"x":3},"b":1,"data":{"k":"1","k":"2"}}"#,
    );
    assert_eq!(
        api.send(request).await.expect(400)["message"],
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown \
         field \"metadata.x\", unknown field \"b\", duplicate field \"data.k\""
    );
}

#[tokio::test]
async fn a_yaml_body_is_read_as_yaml_1_1() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let post = |path: &str, body: &'static str| {
        let request = api.request(Method::POST, path);
        let request = request
            .header("Content-Type", "application/yaml")
            .body(body);
        api.send(request)
    };
    // An unquoted `yes` is a boolean, and no text.
    post(MAPS, "metadata: {name: one}\ndata: {key: yes}\n")
        .await
        .expect(400);
    let twice = "metadata:\n  name: one\n  name: two\n---\nignored: true\n";
    let created = post(MAPS, twice).await;
    let told = r#"299 - "line 3: key \"name\" already set in map""#;
    assert_eq!(created.warnings, [told]);
    assert_eq!(created.expect(201)["metadata"]["name"], "two");
    let strict = format!("{MAPS}?fieldValidation=Strict");
    let refused = post(&strict, twice).await.expect(400);
    let message = refused["message"].as_str().expect("a message");
    let why =
        "strict decoding error: yaml: unmarshal errors:\n  line 3: key \"name\" already set in map";
    assert!(message.ends_with(why), "{message}");
}

#[tokio::test]
async fn a_kind_that_is_no_text_is_a_bad_request() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    for field in ["apiVersion", "kind"] {
        let mut body = map("one", "1");
        body[field] = serde_json::json!(1);
        api.post(MAPS, &body).await.expect(400);
    }
}

#[tokio::test]
async fn malformed_patches_are_refused_in_the_words_of_kubernetes() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let map_type = "cannot unmarshal array into Go value of type map[string]interface {}";
    for (kind, body, told) in [
        ("json", "x".to_owned(), "invalid JSON patch".to_owned()),
        ("merge", "{".to_owned(), "invalid JSON patch".to_owned()),
        ("merge", "null".to_owned(), "Invalid JSON Patch".to_owned()),
        (
            "merge",
            "[]".to_owned(),
            format!("error decoding patch: json: {map_type}"),
        ),
        (
            "strategic-merge",
            "[]".to_owned(),
            format!("json: {map_type}"),
        ),
    ] {
        let request = api.request(Method::PATCH, &at("one"));
        let request = request
            .header("Content-Type", format!("application/{kind}-patch+json"))
            .body(body);
        let refused = api.send(request).await.expect(400);
        assert_eq!(refused["message"], told);
    }
    let operation = serde_json::json!({"op": "test", "path": "/kind", "value": "ConfigMap"});
    let many = serde_json::json!(vec![operation; 10_001]);
    assert_eq!(
        api.patch(&at("one"), "json", &many).await.expect(413)["message"],
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[tokio::test]
async fn an_applied_text_that_says_something_twice_is_warned_about() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let apply = |query: &'static str| {
        let path = format!("{}?fieldManager=m{query}", at("one"));
        let request = api.request(Method::PATCH, &path);
        let request = request
            .header("Content-Type", "application/apply-patch+yaml")
            .body("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: \"1\"\n  a: \"2\"\n");
        api.send(request)
    };
    let applied = apply("").await;
    let told = r#"299 - "line 5: key \"a\" already set in map""#;
    assert_eq!(applied.warnings, [told]);
    assert_eq!(applied.expect(201)["data"]["a"], "2");
    apply("&fieldValidation=Strict").await.expect(400);
}

#[tokio::test]
async fn what_is_wrong_between_requirements_of_a_selector_is_told_as_such() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    for (selector, told) in [
        ("x%3Dy%3Dz", "found '=', expected: ',' or 'end of string'"),
        (
            ",,",
            "found ',', expected: !, identifier, or 'end of string'",
        ),
        (
            "a%20in%20b",
            "unable to parse requirement: found 'b' expected: '('",
        ),
    ] {
        let refused = api.get(&format!("{MAPS}?labelSelector={selector}")).await;
        assert_eq!(refused.expect(400)["message"], told);
    }
}

#[tokio::test]
async fn what_does_not_fit_an_object_is_the_clients_fault_in_every_kind_of_write() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let mut body = map("one", "1");
    api.post(MAPS, &body).await.expect(201);
    body["metadata"]["resourceVersion"] = json!("x");
    let update = api.put(&at("one"), &body).await.expect(400);
    assert_eq!(
        update["message"],
        "strconv.ParseUint: parsing \"x\": invalid syntax"
    );
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": 7,
    });
    let path = format!("{}?fieldManager=m", at("one"));
    let apply = api.patch(&path, "apply", &config).await.expect(400);
    assert_eq!(
        apply["message"],
        "failed to create typed patch object (/one; /v1, Kind=ConfigMap): .data: expected map, got number"
    );
    body["metadata"]["resourceVersion"] = json!("7");
    body["metadata"]["name"] = json!("two");
    let create = api.post(MAPS, &body).await.expect(400);
    assert_eq!(
        create["message"],
        "resourceVersion should not be set on objects to be created"
    );
}

#[tokio::test]
async fn a_small_patch_makes_no_huge_object() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    // kube-apiserver's, of patches that can't be applied. A result that doesn't fit is told otherwise.
    let words = "the server rejected our request due to an error in our request";
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let mut wide = vec![json!({"op": "add", "path": "/data/a", "value": {"x": "x".repeat(1000)}})];
    // Each doubles it.
    for key in 0..40 {
        let path = format!("/data/a/{key}");
        wide.push(json!({"op": "copy", "from": "/data/a", "path": path}));
    }
    let refused = api
        .patch(&at("one"), "json", &json!(wide))
        .await
        .expect(422);
    assert_eq!(refused["message"], words);

    let nested = "/a".repeat(90);
    let mut deep = vec![json!({"op": "add", "path": "/data/m", "value": {}})];
    for _ in 0..50 {
        let mut value = json!({});
        for _ in 0..89 {
            value = json!({"a": value});
        }
        deep.push(json!({"op": "add", "path": "/data/n", "value": value}));
        let path = format!("/data/n{nested}");
        deep.push(json!({"op": "move", "from": "/data/m", "path": path}));
        deep.push(json!({"op": "move", "from": "/data/n", "path": "/data/m"}));
    }
    let refused = api
        .patch(&at("one"), "json", &json!(deep))
        .await
        .expect(422);
    assert_eq!(refused["message"], words);
    let replaced = json!([{"op": "replace", "path": "", "value": []}]);
    let refused = api.patch(&at("one"), "json", &replaced).await;
    assert!((400..500).contains(&refused.code), "{:#}", refused.body);
    api.get(&at("one")).await.expect(200);
}

#[tokio::test]
async fn a_watch_for_ever_and_an_object_without_end_are_no_fault_of_the_server() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let path = format!("{MAPS}?watch=true&timeoutSeconds=9223372036854775807");
    let answer = api.request(Method::GET, &path).send().await;
    assert_eq!(answer.expect("the watch starts").status(), 200);
    let mut body = map("deep", "1");
    let mut fields = json!({});
    for _ in 0..120 {
        fields = json!({"f:a": fields});
    }
    body["metadata"]["managedFields"] = json!([{
        "manager": "m", "operation": "Update", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    }]);
    api.post(MAPS, &body).await.expect(400);
}
