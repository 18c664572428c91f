//! Get and list: selectors, pages, versions.

use serde_json::json;
use tests::cluster::Cluster;
use tests::http::Api;

use crate::{MAPS, at, map, names};

async fn fill(api: &Api, count: usize) {
    for number in 0..count {
        let mut body = map(&format!("m{number:02}"), "x");
        body["metadata"]["labels"] =
            json!({"parity": if number % 2 == 0 { "even" } else { "odd" }});
        api.post(MAPS, &body).await.expect(201);
    }
}

#[tokio::test]
async fn a_list_is_in_order_and_has_the_version_of_the_store() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    fill(&api, 3).await;
    let list = api
        .get(&format!("{MAPS}?labelSelector=parity"))
        .await
        .expect(200);
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(names(&list), ["m00", "m01", "m02"]);
    let list_version: u64 = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let last: u64 = list["items"][2]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(list_version >= last);
}

#[tokio::test]
async fn labels_and_fields_select() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    fill(&api, 6).await;
    for (query, expected) in [
        ("labelSelector=parity%3Deven", vec!["m00", "m02", "m04"]),
        (
            "labelSelector=parity+notin+(even),parity",
            vec!["m01", "m03", "m05"],
        ),
        (
            "labelSelector=parity&fieldSelector=metadata.name%3Dm03",
            vec!["m03"],
        ),
        (
            "labelSelector=parity%3Deven&fieldSelector=metadata.name!%3Dm02",
            vec!["m00", "m04"],
        ),
    ] {
        let list = api.get(&format!("{MAPS}?{query}")).await.expect(200);
        assert_eq!(names(&list), expected, "{query}");
    }
    let refused = api
        .get(&format!("{MAPS}?fieldSelector=data.key%3Dx"))
        .await
        .expect(400);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("\"data.key\" is not a known field selector"),
        "{message}"
    );
    api.get(&format!("{MAPS}?labelSelector=a%20b%20c"))
        .await
        .expect(400);
}

#[tokio::test]
async fn pages_together_are_the_list_as_it_was_at_the_first() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    fill(&api, 5).await;
    let path = format!("{MAPS}?limit=2&labelSelector=parity");
    let first = api.get(&path).await.expect(200);
    assert_eq!(names(&first), ["m00", "m01"]);
    // What happens in between is not seen.
    api.delete(&at("m03")).await.expect(200);
    let mut seen: Vec<String> = names(&first).iter().map(|&n| n.to_owned()).collect();
    let mut page = first;
    while let Some(token) = page["metadata"]["continue"]
        .as_str()
        .filter(|t| !t.is_empty())
    {
        page = api
            .get(&format!("{path}&continue={token}"))
            .await
            .expect(200);
        seen.extend(names(&page).iter().map(|&n| n.to_owned()));
    }
    assert_eq!(seen, ["m00", "m01", "m02", "m03", "m04"]);
}

#[tokio::test]
async fn a_broken_continue_token_is_a_bad_request() {
    let cluster = Cluster::without_worker();
    let refused = cluster
        .api()
        .get(&format!("{MAPS}?limit=1&continue=%21%21"))
        .await
        .expect(400);
    assert_eq!(refused["reason"], "BadRequest");
}

#[tokio::test]
async fn a_read_at_a_version_shows_what_was_there() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    fill(&api, 2).await;
    let list = api.get(MAPS).await.expect(200);
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    api.delete(&at("m00")).await.expect(200);
    let query =
        format!("resourceVersion={version}&resourceVersionMatch=Exact&labelSelector=parity");
    let old = api.get(&format!("{MAPS}?{query}")).await.expect(200);
    assert_eq!(names(&old), ["m00", "m01"]);
}

#[tokio::test]
async fn a_missing_object_is_not_found_by_name() {
    let cluster = Cluster::without_worker();
    let missing = cluster.api().get(&at("none")).await.expect(404);
    assert_eq!(missing["reason"], "NotFound");
    assert_eq!(missing["message"], "configmaps \"none\" not found");
    assert_eq!(
        missing["details"],
        json!({"name": "none", "kind": "configmaps"})
    );
}

#[tokio::test]
async fn metadata_alone_can_be_asked_for() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let request = api
        .request(reqwest::Method::GET, &at("one"))
        .header("Accept", accept);
    let partial = api.send(request).await.expect(200);
    assert_eq!(partial["kind"], "PartialObjectMetadata");
    assert_eq!(partial["metadata"]["name"], "one");
    assert!(partial.get("data").is_none());
}

#[tokio::test]
async fn the_items_of_a_list_have_no_kind_of_their_own() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let created = api.post(MAPS, &crate::map("one", "1")).await.expect(201);
    let mut expected = created.clone();
    let fields = expected.as_object_mut().expect("an object");
    fields.remove("kind");
    fields.remove("apiVersion");
    let list = api
        .get(&format!("{MAPS}?fieldSelector=metadata.name%3Done"))
        .await
        .expect(200);
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["items"], serde_json::json!([expected]));
    assert_eq!(api.get(&at("one")).await.expect(200), created);
}

#[tokio::test]
async fn a_name_that_is_no_part_of_a_path_is_a_bad_request() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let refused = api.get(&at("a%25b")).await.expect(400);
    assert_eq!(
        refused["message"],
        "Name parameter invalid: \"a%b\": may not contain '%'"
    );
}
