//! What clients learn before they ask for anything: discovery, OpenAPI, version, health, metrics.

use serde_json::Value;
use tests::cluster::Cluster;

#[tokio::test]
async fn every_kind_is_discovered_both_ways() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let core = api.get("/api/v1").await.expect(200);
    let plain: Vec<&str> = resources(&core);
    for name in [
        "pods",
        "pods/log",
        "pods/exec",
        "pods/binding",
        "pods/eviction",
        "configmaps",
        "nodes/status",
        "serviceaccounts/token",
    ] {
        assert!(plain.contains(&name), "{name} is not in /api/v1");
    }
    let apps = api.get("/apis/apps/v1").await.expect(200);
    for name in [
        "deployments",
        "deployments/scale",
        "deployments/status",
        "replicasets",
    ] {
        assert!(
            resources(&apps).contains(&name),
            "{name} is not in /apis/apps/v1"
        );
    }
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let request = api
        .request(reqwest::Method::GET, "/apis")
        .header("Accept", accept);
    let aggregated = api.send(request).await.expect(200);
    assert_eq!(aggregated["kind"], "APIGroupDiscoveryList");
    let groups: Vec<&str> = aggregated["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|group| group["metadata"]["name"].as_str())
        .collect();
    for group in ["apps", "rbac.authorization.k8s.io", "coordination.k8s.io"] {
        assert!(groups.contains(&group), "{group} is not in {groups:?}");
    }
}

fn resources(list: &Value) -> Vec<&str> {
    let resources = list["resources"].as_array().expect("a list of resources");
    resources
        .iter()
        .filter_map(|resource| resource["name"].as_str())
        .collect()
}

#[tokio::test]
async fn openapi_describes_the_kinds() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let index = api.get("/openapi/v3").await.expect(200);
    let path = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .expect("apps/v1 is indexed");
    let document = api.get(path).await.expect(200);
    let schemas = &document["components"]["schemas"];
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["x-kubernetes-group-version-kind"][0]["kind"],
        "Deployment"
    );
    assert!(
        document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"].is_object()
    );
    let port = &schemas["io.k8s.api.core.v1.TCPSocketAction"]["properties"]["port"];
    let reference = port["allOf"][0]["$ref"].as_str().expect("a reference");
    let name = reference.rsplit('/').next().unwrap_or_default();
    assert_eq!(name, "io.k8s.apimachinery.pkg.util.intstr.IntOrString");
    assert_eq!(schemas[name]["format"], "int-or-string");
}

#[tokio::test]
async fn the_old_openapi_is_there_and_describes_nothing() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let document = api.get("/openapi/v2").await.expect(200);
    assert_eq!(document["swagger"], "2.0");
    let request = api.request(reqwest::Method::GET, "/openapi/v2");
    let wanted = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let response = request.header("Accept", wanted).send().await;
    let response = response.expect("the server answers");
    // Clients can't parse the sign that they ask with.
    let given = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    assert_eq!(response.headers()["content-type"], given);
}

#[tokio::test]
async fn the_version_is_one_that_clients_know() {
    let cluster = Cluster::without_worker();
    let version = cluster.api().get("/version").await.expect(200);
    assert_eq!(version["major"], "1");
    assert_eq!(version["minor"], "37");
}

#[tokio::test]
async fn metrics_have_the_names_of_kubernetes() {
    let cluster = Cluster::without_worker();
    let metrics = cluster.api().get("/metrics").await.expect(200);
    let text = metrics.as_str().expect("metrics are text");
    for name in [
        "apiserver_request_total",
        "apiserver_request_duration_seconds",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(name), "{name} is missing");
    }
}

#[tokio::test]
async fn a_version_that_is_not_served_is_not_found_with_a_status() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    for path in [
        "/api/v2",
        "/api/v2/pods",
        "/apis/apps/v2",
        "/apis/apps/v1beta1/deployments",
    ] {
        let missing = api.get(path).await.expect(404);
        assert_eq!(missing["reason"], "NotFound", "{path}");
    }
    let missing = api.get("/apis/example.com/v1").await.expect(404);
    assert_eq!(missing, "404 page not found\n");
}
