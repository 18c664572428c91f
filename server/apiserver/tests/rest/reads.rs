//! Lists, tables and discovery.

use serde_json::{Value, json};

use crate::harness::{CONFIG_MAPS, Cluster};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_show_one_state_whatever_happens_meanwhile() {
    let cluster = Cluster::start().await;
    for name in ["a", "b", "c", "d"] {
        cluster.config_map(name, "x").await;
    }
    let first = cluster.get(&format!("{CONFIG_MAPS}?limit=2")).await.json();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    cluster.delete(&format!("{CONFIG_MAPS}/d"), "").await;
    cluster.config_map("bb", "x").await;
    let second = cluster
        .get(&format!("{CONFIG_MAPS}?limit=2&continue={token}"))
        .await
        .json();
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert!(second["metadata"].get("continue").is_none());
}

#[tokio::test]
async fn selectors_choose_by_labels_and_fields() {
    let cluster = Cluster::start().await;
    for (name, app) in [("a", "x"), ("b", "y"), ("c", "x")] {
        cluster.config_map(name, app).await;
    }
    let list = cluster
        .get(&format!("{CONFIG_MAPS}?labelSelector=app+in+(x)"))
        .await
        .json();
    assert_eq!(names(&list), ["a", "c"]);
    let list = cluster
        .get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Db"))
        .await
        .json();
    assert_eq!(names(&list), ["b"]);
    let wrong = cluster
        .get(&format!("{CONFIG_MAPS}?fieldSelector=foo%3Dx"))
        .await;
    assert_eq!(wrong.code, 400);
    assert_eq!(
        wrong.message(),
        "\"foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
}

#[tokio::test]
async fn a_list_of_the_past_shows_the_past() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("a", "x").await;
    let then = made["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.config_map("b", "x").await;
    let url = format!("{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=Exact");
    let list = cluster.get(&url).await.json();
    assert_eq!(names(&list), ["a"]);
    assert_eq!(list["metadata"]["resourceVersion"], then.as_str());
}

#[tokio::test]
async fn a_table_has_rows_with_metadata() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", "x").await;
    let table = cluster
        .ask("GET", CONFIG_MAPS, &[("accept", TABLE)], "")
        .await
        .json();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(table["rows"][0]["object"].get("data").is_none());
}

#[tokio::test]
async fn a_large_list_is_complete_and_compressed_for_those_who_want_it() {
    let cluster = Cluster::start().await;
    let data = "z".repeat(20_000);
    for i in 0..20 {
        let body = json!({"metadata": {"name": format!("c{i:02}")}, "data": {"k": data}});
        assert_eq!(cluster.post(CONFIG_MAPS, &body.to_string()).await.code, 201);
    }
    let plain = cluster.get(CONFIG_MAPS).await;
    assert_eq!(names(&plain.json()).len(), 20);
    let headers = [("accept-encoding", "gzip")];
    let packed = cluster.ask("GET", CONFIG_MAPS, &headers, "").await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    let mut text = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(packed.body.as_slice());
    std::io::Read::read_to_end(&mut decoder, &mut text).unwrap();
    assert_eq!(text, plain.body);
}

#[tokio::test]
async fn discovery_tells_the_kinds_in_both_forms() {
    let cluster = Cluster::start().await;
    let plain = cluster.get("/api/v1").await.json();
    let resources = plain["resources"].as_array().unwrap();
    assert!(
        resources
            .iter()
            .any(|r| r["name"] == "configmaps" && r["shortNames"][0] == "cm")
    );
    let accept =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let answer = cluster.ask("GET", "/apis", &[("accept", accept)], "").await;
    assert_eq!(answer.json()["kind"], "APIGroupDiscoveryList");
    let etag = answer.headers["etag"].to_str().unwrap();
    let again = [("accept", accept), ("if-none-match", etag)];
    assert_eq!(cluster.ask("GET", "/apis", &again, "").await.code, 304);
}

#[tokio::test]
async fn openapi_says_that_fields_are_checked() {
    let cluster = Cluster::start().await;
    let index = cluster.get("/openapi/v3").await.json();
    let url = index["paths"]["api/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap()
        .to_owned();
    let document = cluster.get(&url).await.json();
    let patch = &document["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"];
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|p| p["name"] == "fieldValidation"));
    let schema = &document["components"]["schemas"]["io.k8s.api.core.v1.ConfigMap"];
    assert_eq!(
        schema["x-kubernetes-group-version-kind"][0]["kind"],
        "ConfigMap"
    );
}

#[tokio::test]
async fn health_metrics_and_version_answer() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.get("/readyz").await.body, b"ok");
    let verbose = cluster.get("/livez?verbose").await;
    assert!(String::from_utf8_lossy(&verbose.body).contains("[+]ping ok\n"));
    let metrics = cluster.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(
        text.contains("apiserver_request_total{code=\"200\""),
        "{text}"
    );
    assert_eq!(cluster.get("/version").await.json()["minor"], "37");
}
