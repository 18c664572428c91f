//! Networks: pods reach each other, the host reaches pods, and a pod may live on the host's network.

use serde_json::json;
use tests::image;
use tests::pods::{cluster, create, exec, ready, script};

#[tokio::test]
async fn pods_and_host_reach_each_other() {
    let Some(cluster) = cluster("pods_reach_each_other").await else {
        return;
    };
    let api = cluster.api();
    let mut names = Vec::new();
    for name in ["web-a", "web-b"] {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 2, "containers": [{
                "name": "web", "image": image::WEB, "imagePullPolicy": "Never",
                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
            }]},
        });
        names.push(create(&api, &pod, "the pod to be ready", ready).await);
    }
    let address = names[1]["status"]["podIP"].as_str().expect("an address");
    assert_ne!(names[0]["status"]["podIP"], names[1]["status"]["podIP"]);
    let url = format!("http://{address}:8080/");
    let output = exec(&cluster, "web-a", &["/web", "get", &url]);
    let page = String::from_utf8_lossy(&output.stdout);
    assert!(page.starts_with("Hello from pod web-b"), "{page}");
    let page = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tests::http::no_tls())
        .build()
        .expect("a client")
        .get(&url)
        .send()
        .await
        .expect("the host reaches the pod")
        .text()
        .await
        .expect("a page");
    assert!(page.starts_with("Hello from pod web-b"), "{page}");
}

#[tokio::test]
async fn a_pod_on_the_hosts_network_has_the_nodes_address() {
    let Some(cluster) = cluster("a_pod_on_the_hosts_network").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("host", "sleep 1000");
    pod["spec"]["hostNetwork"] = json!(true);
    let pod = create(&api, &pod, "the pod to be ready", ready).await;
    assert_eq!(pod["status"]["podIP"], pod["status"]["hostIP"]);
}
