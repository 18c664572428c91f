//! The table form: what `get` prints is made by the server.

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::http::Api;

use crate::{MAPS, map};

async fn table(api: &Api, path: &str) -> Value {
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let request = api
        .request(reqwest::Method::GET, path)
        .header("Accept", accept);
    api.send(request).await.expect(200)
}

#[tokio::test]
async fn a_list_as_a_table_has_the_columns_of_its_kind() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let table = table(&api, &format!("{MAPS}?fieldSelector=metadata.name%3Done")).await;
    assert_eq!(table["kind"], "Table");
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert_eq!(columns, ["Name", "Data", "Age"]);
    assert_eq!(table["rows"][0]["cells"][0], "one");
    assert_eq!(table["rows"][0]["cells"][1], 1);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn one_object_as_a_table_is_one_row() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let table = table(&api, "/api/v1/namespaces/kube-system").await;
    assert_eq!(table["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(table["rows"][0]["cells"][1], json!("Active"));
}
