//! What tests of workers share: a cluster with images, and pods to be waited for.

use std::process::Output;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::http::Api;
use crate::{PATIENCE, eventually_async, image, programs};

/// Where the pods of the default namespace are.
pub const PODS: &str = "/api/v1/namespaces/default/pods";

/// A cluster with a ready worker and the test images, or `None` where none can be had.
pub async fn cluster(test: &str) -> Option<Cluster> {
    if !crate::root_or_skip(test) || !image::box_or_skip(test) {
        return None;
    }
    let cluster = Cluster::with_worker();
    image::import_box(&cluster);
    image::import_web(&cluster);
    let api = cluster.api();
    ready_node(&api).await;
    default_account(&api).await;
    Some(cluster)
}

/// Waits for the service account without which no pod is admitted.
pub async fn default_account(api: &Api) {
    let path = "/api/v1/namespaces/default/serviceaccounts/default";
    eventually_async("the default service account", PATIENCE, || async {
        (api.get(path).await.code == 200).then_some(())
    })
    .await;
}

/// Waits for a node that takes pods; gives it.
pub async fn ready_node(api: &Api) -> Value {
    eventually_async("a ready node", PATIENCE, || async {
        let nodes = api.get("/api/v1/nodes").await.body;
        let node = nodes["items"].as_array()?.first()?.clone();
        let ready = condition(&node, "Ready")? == "True" && node["spec"]["taints"].is_null();
        ready.then_some(node)
    })
    .await
}

/// The status of a condition.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|c| c["type"] == kind)?["status"].as_str()
}

/// A pod with one container that runs a shell script in the box image.
pub fn script(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "containers": [{
                "name": "main", "image": image::BOX, "imagePullPolicy": "Never",
                "command": ["sh", "-c", script],
            }],
        },
    })
}

/// A [`script`] with `ctl` in the pod as /programs/ctl, which takes its configuration from where a program in a cluster finds it.
pub fn with_ctl(name: &str, text: &str) -> Value {
    let mut pod = script(name, text);
    let folder = programs::path("ctl");
    let folder = folder.parent().expect("it lies in a folder");
    // The program is not linked statically.
    let host = |name: &str, path: &str| json!({"name": name, "hostPath": {"path": path}});
    pod["spec"]["volumes"] = json!([
        host("programs", &folder.to_string_lossy()),
        host("lib", "/lib"),
        host("lib64", "/lib64"),
    ]);
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path, "readOnly": true});
    pod["spec"]["containers"][0]["volumeMounts"] = json!([
        mount("programs", "/programs"),
        mount("lib", "/lib"),
        mount("lib64", "/lib64"),
    ]);
    pod
}

/// Creates a pod and waits until `wanted` says yes; gives the pod as it then is.
pub async fn create(api: &Api, pod: &Value, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    api.post(PODS, pod).await.expect(201);
    let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
    reached(api, name, what, wanted).await
}

/// Waits until `wanted` says yes to a pod; gives the pod as it then is.
pub async fn reached(api: &Api, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = format!("{PODS}/{name}");
    let waiting = eventually_async(what, PATIENCE * 2, || async {
        let pod = api.get(&path).await.body;
        wanted(&pod).then_some(pod)
    });
    waiting.await
}

/// Waits until there is no such pod.
pub async fn gone(api: &Api, name: &str) {
    let path = format!("{PODS}/{name}");
    eventually_async("the pod to be gone", PATIENCE * 2, || async {
        (api.get(&path).await.code == 404).then_some(())
    })
    .await;
}

/// Whether a pod is in a phase.
pub fn phase(wanted: &str) -> impl Fn(&Value) -> bool + use<'_> {
    move |pod| pod["status"]["phase"] == wanted
}

/// Whether a pod is ready.
pub fn ready(pod: &Value) -> bool {
    condition(pod, "Ready") == Some("True")
}

/// The log of a pod's first container.
pub async fn log(api: &Api, name: &str, query: &str) -> String {
    let answer = api
        .get(&format!("{PODS}/{name}/log?{query}"))
        .await
        .expect(200);
    match answer {
        Value::Null => String::new(),
        Value::String(text) => text,
        // A log that happens to be JSON.
        other => other.to_string(),
    }
}

/// Runs a command in a pod with `ctl exec`.
pub fn exec(cluster: &Cluster, pod: &str, command: &[&str]) -> Output {
    let arguments: Vec<&str> = ["exec", pod, "--"].iter().chain(command).copied().collect();
    cluster.ctl(&arguments).output().expect("ctl runs")
}

/// What a command in a pod wrote to its standard output. Panics when it fails.
pub fn exec_text(cluster: &Cluster, pod: &str, command: &[&str]) -> String {
    let output = exec(cluster, pod, command);
    assert!(
        output.status.success(),
        "{command:?} in {pod}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the output is text")
}
