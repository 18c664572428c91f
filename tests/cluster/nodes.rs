//! Nodes: workers that join by themselves, and workers that vanish.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::pods::{self, PODS, condition, phase, reached};
use tests::{PATIENCE, eventually, eventually_async, image, programs};

/// A worker in a process of its own, with directories of its own; it and its pods end with the scope.
struct Worker<'a> {
    cluster: &'a Cluster,
    process: Child,
}

impl<'a> Worker<'a> {
    fn join(cluster: &'a Cluster, token: &str) -> Self {
        let home = cluster.scratch().join("worker");
        let mut command = programs::ctld();
        command
            .args(["worker", "--server", &cluster.url, "--token", token])
            .args(["--hostname-override", "far", "--node-ip", "127.0.0.1"])
            .args(["--eviction-hard", "nodefs.available<0%"])
            .arg("--certificate-authority")
            .arg(cluster.data_dir().join("pki/ca.crt"));
        for (flag, folder) in [("--data-dir", "data"), ("--run-dir", "run")] {
            command.arg(flag).arg(home.join(folder));
        }
        let process = command.stdin(Stdio::null()).spawn();
        Self {
            cluster,
            process: process.expect("ctld can be started"),
        }
    }

    fn ctld(&self, words: &[&str]) -> Command {
        let home = self.cluster.scratch().join("worker");
        let mut command = programs::ctld();
        command.args(words).arg("--data-dir").arg(home.join("data"));
        command.arg("--run-dir").arg(home.join("run"));
        command
    }

    fn kill(&mut self) {
        self.process.kill().expect("the worker can be killed");
        self.process.wait().expect("the worker can be waited for");
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.ctld(&["stop"]).status();
    }
}

#[tokio::test]
async fn a_worker_joins_with_a_token_runs_pods_and_is_given_up_when_it_is_silent() {
    let test = "a_worker_joins_with_a_token";
    if !tests::root_or_skip(test) || !image::box_or_skip(test) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let tokens = folder.path().join("tokens.csv");
    let line = "far-secret,system:node:far,1,\"system:nodes\"\n";
    fs::write(&tokens, line).expect("a file can be written");
    let tokens = tokens.to_string_lossy();
    let flags = ["--no-worker", "--token-auth-file", &tokens];
    let patience = ["--node-monitor-grace-period", "15s"];
    let cluster = Cluster::start(&[flags.as_slice(), &patience].concat());
    let api = cluster.api();
    let mut worker = Worker::join(&cluster, "far-secret");
    pods::ready_node(&api).await;
    let layout = image::pack_box(&cluster);
    let import = worker.ctld(&["images", "import", &layout]).status();
    assert!(import.expect("ctld runs").success());

    let mut pod = pods::with_ctl("far", "echo here; sleep 1000");
    let gone = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1});
    pod["spec"]["tolerations"] = json!([
        gone("node.kubernetes.io/not-ready"),
        gone("node.kubernetes.io/unreachable"),
    ]);
    let running = pods::create(&api, &pod, "the pod to run", phase("Running")).await;
    assert_eq!(running["spec"]["nodeName"], "far");
    eventually("the log to come through", PATIENCE, || {
        let output = cluster.ctl(&["logs", "far"]).output().expect("ctl runs");
        (output.stdout == b"here\n").then_some(())
    });
    assert_eq!(pods::exec_text(&cluster, "far", &["echo", "hi"]), "hi\n");

    // Its pods find the API server too.
    let whoami = pods::exec_text(&cluster, "far", &["/programs/ctl", "auth", "whoami"]);
    let account = "system:serviceaccount:default:default";
    assert!(whoami.contains(account), "{whoami}");

    worker.kill();
    eventually_async("the node to be given up", PATIENCE * 2, || async {
        let node = api.get("/api/v1/nodes/far").await.body;
        (condition(&node, "Ready")? == "Unknown").then_some(())
    })
    .await;
    let evicted = |pod: &Value| pod["metadata"]["deletionTimestamp"].is_string();
    reached(&api, "far", "the pod to be evicted", evicted).await;
}

#[tokio::test]
async fn a_worker_with_a_wrong_token_does_not_join() {
    let test = "a_worker_with_a_wrong_token";
    if !tests::root_or_skip(test) {
        return;
    }
    let cluster = Cluster::without_worker();
    let worker = Worker::join(&cluster, "no-secret");
    let api = cluster.api();
    eventually_async("the worker to be refused", PATIENCE, || async {
        let metrics = api.get("/metrics").await.body;
        let metrics = metrics.as_str()?;
        let refused = metrics.lines().any(|line| {
            line.starts_with("apiserver_request_total") && line.contains("code=\"401\"")
        });
        refused.then_some(())
    })
    .await;
    let nodes = api.get("/api/v1/nodes").await.expect(200);
    assert_eq!(nodes["items"], json!([]));
    drop(worker);
}

#[tokio::test]
async fn a_static_pod_runs_and_is_shown_by_a_mirror_that_cannot_be_deleted_for_long() {
    let test = "a_static_pod_runs";
    if !tests::root_or_skip(test) || !image::box_or_skip(test) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let manifests = folder.path().to_string_lossy();
    let disk = ["--eviction-hard", "nodefs.available<0%"];
    let node = [
        "--hostname-override",
        "here",
        "--pod-manifest-path",
        &manifests,
    ];
    let cluster = Cluster::start(&[disk.as_slice(), &node].concat());
    image::import_box(&cluster);
    let mut pod = pods::script("static", "sleep 1000");
    pod["metadata"]["namespace"] = json!("default");
    let file = folder.path().join("static.yaml");
    fs::write(&file, pod.to_string()).expect("a file can be written");
    let api = cluster.api();
    let running = |pod: &Value| pod["status"]["phase"] == "Running";
    let first = reached(&api, "static-here", "the mirror to run", running).await;
    api.delete(&format!("{PODS}/static-here?gracePeriodSeconds=0"))
        .await
        .expect(200);
    let again = reached(&api, "static-here", "another mirror", |pod| {
        running(pod) && pod["metadata"]["uid"] != first["metadata"]["uid"]
    })
    .await;
    let id = |pod: &Value| pod["status"]["containerStatuses"][0]["containerID"].clone();
    assert_eq!(id(&first), id(&again), "its container was restarted");
    fs::remove_file(&file).expect("a file can be removed");
    pods::gone(&api, "static-here").await;
}
