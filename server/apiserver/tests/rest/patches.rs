//! Patches.

use crate::harness::{Answer, CONFIG_MAPS, Cluster};

async fn patch(cluster: &Cluster, kind: &str, body: &str) -> Answer {
    let headers = [("content-type", kind)];
    cluster
        .ask("PATCH", &format!("{CONFIG_MAPS}/a"), &headers, body)
        .await
}

#[tokio::test]
async fn each_form_of_patch_changes_the_object() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", "x").await;
    let merged = patch(
        &cluster,
        "application/merge-patch+json",
        r#"{"data":{"m":"1"}}"#,
    )
    .await;
    assert_eq!(merged.code, 200, "{}", merged.message());
    let strategic = "application/strategic-merge-patch+json";
    patch(&cluster, strategic, r#"{"data":{"s":"2","k":null}}"#).await;
    let operations = r#"[{"op":"add","path":"/data/j","value":"3"}]"#;
    let last = patch(&cluster, "application/json-patch+json", operations)
        .await
        .json();
    assert_eq!(
        last["data"],
        serde_json::json!({"j": "3", "m": "1", "s": "2"})
    );
}

#[tokio::test]
async fn a_patch_that_cannot_be_is_refused_with_the_reason() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", "x").await;
    let merge = "application/merge-patch+json";
    assert_eq!(patch(&cluster, "application/json", "{}").await.code, 415);
    assert_eq!(
        patch(&cluster, merge, "{").await.message(),
        "invalid JSON patch"
    );
    let renamed = patch(&cluster, merge, r#"{"metadata":{"name":"q"}}"#).await;
    assert_eq!(
        renamed.message(),
        "the name of the object (q) does not match the name on the URL (a)"
    );
    let stale = patch(&cluster, merge, r#"{"metadata":{"resourceVersion":"1"}}"#).await;
    assert_eq!(stale.code, 409);
    let missing = r#"[{"op":"remove","path":"/data/nn"}]"#;
    assert_eq!(
        patch(&cluster, "application/json-patch+json", missing)
            .await
            .code,
        422
    );
}
