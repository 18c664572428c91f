//! The agent with its workers, on a runtime and an API server that live in memory.

use std::fs;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::clock::Clock;
use crate::env::resource::Allocatable;
use crate::events::Events;
use crate::objects::Objects;
use crate::paths::Paths;
use crate::testing::{FakeImages, FakePod, FakeRuntime, FakeServer};
use crate::volume::token::Tokens;

const POD: &str = "/api/v1/namespaces/ns/pods/p";

struct Node {
    server: FakeServer,
    runtime: FakeRuntime,
    dir: tempfile::TempDir,
    stop: tokio::sync::watch::Sender<bool>,
    agent: JoinHandle<()>,
}

/// Starts an agent; one that finds what `before` has left if that is given.
fn start(before: Option<Node>) -> Node {
    let (server, runtime, dir) = match before {
        Some(node) => (node.server, node.runtime, node.dir),
        None => (
            FakeServer::default(),
            FakeRuntime::default(),
            tempfile::tempdir().expect("temp dir"),
        ),
    };
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let client = server.client();
    let clock = Clock::starting_at(jiff::Timestamp::now());
    let statics = dir.path().join("manifests");
    fs::create_dir_all(&statics).expect("made");
    let shared = Arc::new(Shared {
        objects: Objects::new(client.clone()),
        tokens: Tokens::new(client.clone(), clock),
        paths: Paths::new(&dir.path().join("data"), &dir.path().join("run")),
        events: Events::new(client.clone(), "n"),
        client,
        runtime: Arc::new(runtime.clone()),
        images: Arc::new(FakeImages),
        clock,
        address: std::net::IpAddr::from([192, 0, 2, 1]),
        allocatable: Allocatable::default(),
        memory: 1 << 30,
        api_server: None,
    });
    let node = ("n".to_owned(), "node-uid".to_owned());
    let (agent, gone) = Agent::new(shared, node, Some(statics), Directory::default(), shutdown);
    let agent = tokio::spawn(async move { agent.run(gone).await.expect("the runtime recovers") });
    Node {
        server,
        runtime,
        dir,
        stop,
        agent,
    }
}

impl Node {
    async fn stop(mut self) -> Self {
        self.stop.send_replace(true);
        (&mut self.agent).await.expect("no panic");
        self
    }

    fn put(&self, spec: Value) {
        self.server.put(POD, pod(spec));
    }

    async fn until(&self, is: impl Fn(&Value) -> bool) -> Value {
        self.server.until(POD, |pod| pod.is_some_and(&is)).await;
        self.server.get(POD).expect("just seen")
    }

    async fn running(&self) -> Value {
        self.until(|pod| pod["status"]["phase"] == "Running").await
    }

    fn sandbox(&self) -> Arc<FakePod> {
        self.runtime.pod("u").expect("a sandbox")
    }
}

fn pod(mut spec: Value) -> Value {
    spec["nodeName"] = json!("n");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "generation": 1},
        "spec": spec,
    })
}

fn one(container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("c");
    container["image"] = json!("i");
    json!({"containers": [container]})
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let all = pod["status"]["conditions"].as_array().expect("conditions");
    all.iter()
        .find(|c| c["type"] == kind)
        .expect("the condition")
}

#[tokio::test(start_paused = true)]
async fn a_pod_runs_is_reported_and_is_gone_after_its_deletion() {
    let node = start(None);
    node.put(one(json!({})));
    let pod = node.running().await;
    assert_eq!(pod["status"]["containerStatuses"][0]["ready"], false);
    // Without a probe it has to hold out for a moment.
    let ready = |pod: &Value| condition(pod, "Ready")["status"] == "True";
    let pod = node.until(ready).await;
    let status = &pod["status"];
    assert_eq!(status["podIP"], "10.0.0.2");
    assert_eq!(status["hostIP"], "192.0.2.1");
    assert_eq!(status["qosClass"], "BestEffort");
    let container = &status["containerStatuses"][0];
    assert_eq!(container["containerID"], "libcontainer://c-0");
    assert_eq!(container["ready"], true);
    assert_eq!(container["started"], true);
    assert_eq!(container["resources"], json!({}));
    for kind in [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
    ] {
        assert_eq!(condition(&pod, kind)["status"], "True", "{kind}");
        assert_eq!(condition(&pod, kind)["observedGeneration"], 1);
    }
    let mut deleted = pod.clone();
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    deleted["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    let sandbox = node.sandbox();
    node.server.put(POD, deleted);
    node.server.until(POD, |pod| pod.is_none()).await;
    assert_eq!(
        *sandbox.signals.borrow(),
        [("c-0".to_owned(), libc::SIGTERM)]
    );
    assert!(node.runtime.pod("u").is_none());
    assert!(!node.dir.path().join("data/pods/u").exists());
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ignores_the_signal_is_killed_after_the_grace_period() {
    let node = start(None);
    node.put(json!({"containers": [{"name": "stubborn", "image": "i"}]}));
    let mut deleted = node.running().await;
    let sandbox = node.sandbox();
    let before = tokio::time::Instant::now();
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    deleted["metadata"]["deletionGracePeriodSeconds"] = json!(7);
    node.server.put(POD, deleted);
    let mut signals = sandbox.signals.subscribe();
    let killed = signals.wait_for(|all| all.len() == 2).await;
    let all = killed.expect("the pod lives").clone();
    let signals: Vec<i32> = all.iter().map(|(_, signal)| *signal).collect();
    assert_eq!(signals, [libc::SIGTERM, libc::SIGKILL]);
    assert!(before.elapsed() >= Duration::from_secs(7));
    node.server.until(POD, |pod| pod.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_keeps_ending_is_in_a_crash_loop() {
    let node = start(None);
    node.put(one(
        json!({"terminationMessagePath": "/dev/termination-log"}),
    ));
    node.running().await;
    let path = node.dir.path().join("data/pods/u/containers/c/0");
    fs::write(path, "the last words").expect("written");
    node.sandbox().exit("c", 3);
    let restarted = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    let pod = node.until(restarted).await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(last["exitCode"], 3);
    assert_eq!(last["reason"], "Error");
    assert_eq!(last["message"], "the last words");
    node.sandbox().exit("c", 4);
    let waits = |pod: &Value| {
        let state = &pod["status"]["containerStatuses"][0]["state"];
        state["waiting"]["reason"] == "CrashLoopBackOff"
    };
    let pod = node.until(waits).await;
    let container = &pod["status"]["containerStatuses"][0];
    let message = "back-off 10s restarting failed container=c pod=p_ns(u)";
    assert_eq!(container["state"]["waiting"]["message"], message);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(
        condition(&pod, "Ready")["message"],
        "containers with unready status: [c]"
    );
    node.until(|pod| pod["status"]["containerStatuses"][0]["restartCount"] == 2)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_agent_finds_containers_as_they_were_and_learns_what_ended_meanwhile() {
    let node = start(None);
    let spec = json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]});
    node.put(spec);
    node.running().await;
    let node = node.stop().await;
    let sandbox = node.sandbox();
    sandbox.exit("b", 5);
    let node = start(Some(node));
    let restarted = |pod: &Value| pod["status"]["containerStatuses"][1]["restartCount"] == 1;
    let pod = node.until(restarted).await;
    let statuses = &pod["status"]["containerStatuses"];
    assert_eq!(statuses[0]["containerID"], "libcontainer://a-0");
    assert_eq!(statuses[0]["restartCount"], 0);
    assert_eq!(statuses[1]["lastState"]["terminated"]["exitCode"], 5);
    assert_eq!(sandbox.specs.lock().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pods_deleted_while_the_agent_was_away_are_torn_down() {
    let node = start(None);
    node.put(one(json!({})));
    node.running().await;
    let node = node.stop().await;
    let sandbox = node.sandbox();
    node.server.remove(POD);
    let node = start(Some(node));
    let mut signals = sandbox.signals.subscribe();
    let signalled = signals.wait_for(|all| !all.is_empty()).await;
    signalled.expect("the pod lives");
    assert!(node.runtime.pod("u").is_none() || sandbox.signals.borrow().len() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_waits_for_the_config_map_that_its_environment_needs() {
    let node = start(None);
    let from = json!({"configMapKeyRef": {"name": "m", "key": "k"}});
    node.put(one(json!({
        "env": [{"name": "A", "valueFrom": from}, {"name": "B", "value": "$(A)-$(C)"}],
        "args": ["$(B)"],
    })));
    let pod = node
        .until(|pod| {
            let state = &pod["status"]["containerStatuses"][0]["state"];
            state["waiting"]["reason"] == "CreateContainerConfigError"
        })
        .await;
    let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["message"], "configmap \"m\" not found");
    let map = json!({"metadata": {"name": "m", "namespace": "ns"}, "data": {"k": "v"}});
    node.server.put("/api/v1/namespaces/ns/configmaps/m", map);
    node.running().await;
    let spec = node.sandbox().specs.lock()[0].clone();
    assert_eq!(spec.args, ["v-$(C)"]);
    assert!(spec.env.contains(&("A".to_owned(), "v".to_owned())));
    assert!(spec.env.contains(&("HOSTNAME".to_owned(), "p".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn an_absent_image_is_told_of_as_its_pull_policy_says() {
    let node = start(None);
    let spec = |policy: &str| json!({"containers": [{"name": "c", "image": "missing", "imagePullPolicy": policy}]});
    node.put(spec("IfNotPresent"));
    let reason = |reason: &'static str| {
        move |pod: &Value| {
            let state = &pod["status"]["containerStatuses"][0]["state"];
            state["waiting"]["reason"] == reason
        }
    };
    let pod = node.until(reason("ImagePullBackOff")).await;
    assert_eq!(pod["status"]["phase"], "Pending");
    node.put(spec("Never"));
    let pod = node.until(reason("ErrImageNeverPull")).await;
    let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
    let message = "Container image \"missing\" is not present with pull policy of Never";
    assert_eq!(waiting["message"], message);
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_work_is_done_succeeds_or_fails() {
    for (code, phase, reason) in [(0, "Succeeded", "PodCompleted"), (1, "Failed", "PodFailed")] {
        let node = start(None);
        let mut spec = one(json!({}));
        spec["restartPolicy"] = json!("Never");
        node.put(spec);
        node.running().await;
        node.sandbox().exit("c", code);
        let pod = node.until(|pod| pod["status"]["phase"] == phase).await;
        assert_eq!(condition(&pod, "Ready")["reason"], reason);
        let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        assert_eq!(ended["exitCode"], code);
        assert_eq!(pod["status"]["podIP"], "10.0.0.2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_config_map_volume_follows_its_object() {
    let node = start(None);
    let path = "/api/v1/namespaces/ns/configmaps/m";
    let map = |value: &str| json!({"metadata": {"name": "m"}, "data": {"k": value}});
    node.server.put(path, map("one"));
    let mut spec = one(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}));
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "m"}}]);
    node.put(spec);
    node.running().await;
    let source = node.sandbox().specs.lock()[0].mounts[0].source.clone();
    assert_eq!(fs::read_to_string(source.join("k")).expect("k"), "one");
    let mut watch = Watch::new(&source).expect("a watch");
    node.server.put(path, map("two"));
    watch.changed().await.expect("a change");
    while fs::read_to_string(source.join("k")).expect("k") != "two" {
        watch.changed().await.expect("a change");
    }
}

#[tokio::test(start_paused = true)]
async fn a_static_pod_runs_and_its_mirror_shows_its_status() {
    let node = start(None);
    let file = node.dir.path().join("manifests/web.yaml");
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n\
                    spec: {containers: [{name: c, image: i}]}\n";
    fs::write(&file, manifest).expect("written");
    let path = "/api/v1/namespaces/default/pods/web-n";
    let running = |pod: Option<&Value>| pod.is_some_and(|pod| pod["status"]["phase"] == "Running");
    node.server.until(path, running).await;
    let mirror = node.server.get(path).expect("a mirror");
    assert_eq!(mirror["metadata"]["ownerReferences"][0]["name"], "n");
    assert!(mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string());
    let uid = mirror["metadata"]["uid"].clone();
    node.server.remove(path);
    let again =
        |pod: Option<&Value>| running(pod) && pod.is_some_and(|p| p["metadata"]["uid"] != uid);
    node.server.until(path, again).await;
    fs::remove_file(&file).expect("removed");
    node.server.until(path, |pod| pod.is_none()).await;
}
