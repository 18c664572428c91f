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

async fn apply(cluster: &Cluster, query: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/apply-patch+yaml")];
    let url = format!("{CONFIG_MAPS}/a?{query}");
    cluster.ask("PATCH", &url, &headers, body).await
}

const APPLIED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: w}\n";

#[tokio::test]
async fn an_apply_creates_what_is_missing_and_owns_it() {
    let cluster = Cluster::start().await;
    let made = apply(&cluster, "fieldManager=z", APPLIED).await;
    assert_eq!(made.code, 201, "{}", made.message());
    let owner = &made.json()["metadata"]["managedFields"][0];
    assert_eq!(
        (owner["manager"].as_str(), owner["operation"].as_str()),
        (Some("z"), Some("Apply"))
    );
    let again = apply(&cluster, "fieldManager=z", APPLIED).await;
    assert_eq!((again.code, again.json()), (200, made.json()));
}

#[tokio::test]
async fn an_apply_conflicts_with_the_owner_of_a_field_unless_forced() {
    let cluster = Cluster::start().await;
    let headers = [("content-type", "application/json"), ("user-agent", "me/1")];
    let body = r#"{"metadata":{"name":"a"},"data":{"k":"v"}}"#;
    cluster.ask("POST", CONFIG_MAPS, &headers, body).await;
    let refused = apply(&cluster, "fieldManager=z", APPLIED).await;
    assert_eq!(refused.code, 409);
    assert_eq!(
        refused.message(),
        "Apply failed with 1 conflict: conflict with \"me\" using v1: .data.k"
    );
    let cause = &refused.json()["details"]["causes"][0];
    assert_eq!(cause["reason"], "FieldManagerConflict");
    let forced = apply(&cluster, "fieldManager=z&force=true", APPLIED).await;
    assert_eq!(forced.json()["data"]["k"], "w");
    let nobody = apply(&cluster, "", APPLIED).await;
    assert_eq!(
        nobody.message(),
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
}
