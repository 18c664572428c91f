//! The life of containers: start, end, restart, probes, resources, environment.

use std::io::{BufRead, BufReader};

use serde_json::json;
use tests::pods::{
    PODS, cluster, create, exec, exec_text, gone, log, phase, reached, ready, script,
};

#[tokio::test]
async fn a_pod_runs_to_its_end_and_tells_how_it_went() {
    let Some(cluster) = cluster("a_pod_runs_to_its_end").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("job", "echo done; echo why > /dev/termination-log; exit 3");
    pod["spec"]["restartPolicy"] = json!("Never");
    let failed = create(&api, &pod, "the pod to fail", phase("Failed")).await;
    let status = &failed["status"]["containerStatuses"][0];
    let ended = &status["state"]["terminated"];
    assert_eq!(ended["exitCode"], 3);
    assert_eq!(ended["reason"], "Error");
    assert_eq!(ended["message"], "why\n");
    assert_eq!(status["restartCount"], 0);
    assert_eq!(log(&api, "job", "").await, "done\n");
    let mut pod = script("good", "true");
    pod["spec"]["restartPolicy"] = json!("OnFailure");
    let done = create(&api, &pod, "the pod to succeed", phase("Succeeded")).await;
    let ended = &done["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["reason"], "Completed");
}

#[tokio::test]
async fn a_container_that_ends_is_restarted_and_backed_off() {
    let Some(cluster) = cluster("a_container_that_ends_is_restarted").await else {
        return;
    };
    let api = cluster.api();
    let pod = script("crash", "echo once; exit 1");
    let waiting = |reason: &'static str| {
        move |pod: &serde_json::Value| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
        }
    };
    let crashed = create(&api, &pod, "the back-off", waiting("CrashLoopBackOff")).await;
    let status = &crashed["status"]["containerStatuses"][0];
    assert!(status["restartCount"].as_u64() >= Some(1), "{status:#}");
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 1);
    let message = status["state"]["waiting"]["message"]
        .as_str()
        .expect("a message");
    assert!(
        message.contains("restarting failed container=main pod=crash_default("),
        "{message}"
    );
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told_so() {
    let Some(cluster) = cluster("an_image_that_is_not_there").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("none", "true");
    pod["spec"]["containers"][0]["image"] = json!("missing:1.0");
    let told = create(&api, &pod, "ErrImageNeverPull", |pod| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImageNeverPull"
    })
    .await;
    let waiting = &told["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(
        waiting["message"],
        "Container image \"missing:1.0\" is not present with pull policy of Never"
    );
}

#[tokio::test]
async fn init_containers_run_one_after_the_other_before_the_rest() {
    let Some(cluster) = cluster("init_containers_run_first").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("init", "cat /data/order; sleep 1000");
    pod["spec"]["volumes"] = json!([{"name": "work", "emptyDir": {}}]);
    let mount = json!([{"name": "work", "mountPath": "/data"}]);
    pod["spec"]["containers"][0]["volumeMounts"] = mount.clone();
    let image = pod["spec"]["containers"][0]["image"].clone();
    let init = |name: &str| {
        json!({
            "name": name, "image": image, "imagePullPolicy": "Never", "volumeMounts": mount,
            "command": ["sh", "-c", format!("echo {name} >> /data/order")],
        })
    };
    pod["spec"]["initContainers"] = json!([init("first"), init("second")]);
    create(&api, &pod, "the pod to be ready", ready).await;
    assert_eq!(log(&api, "init", "").await, "first\nsecond\n");
}

#[tokio::test]
async fn the_environment_is_put_together_from_everywhere() {
    let Some(cluster) = cluster("the_environment_is_put_together").await else {
        return;
    };
    let api = cluster.api();
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = json!({"metadata": {"name": "settings"}, "data": {"COLOR": "red", "SIZE": "big"}});
    api.post(maps, &map).await.expect(201);
    let secret = json!({"metadata": {"name": "keys"}, "stringData": {"password": "hush"}});
    api.post("/api/v1/namespaces/default/secrets", &secret)
        .await
        .expect(201);
    let mut pod = script("env", "env; sleep 1000");
    let container = &mut pod["spec"]["containers"][0];
    container["resources"] = json!({"limits": {"cpu": "500m", "memory": "64Mi"}});
    container["envFrom"] = json!([{"prefix": "CFG_", "configMapRef": {"name": "settings"}}]);
    container["env"] = json!([
        {"name": "PLAIN", "value": "x"},
        {"name": "NESTED", "value": "$(PLAIN)-$(MISSING)-$$(PLAIN)"},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOR"}}},
        {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
    ]);
    let pod = create(&api, &pod, "the pod to be ready", ready).await;
    let text = exec_text(&cluster, "env", &["env"]);
    let ip = format!(
        "IP={}",
        pod["status"]["podIP"].as_str().expect("an address")
    );
    for line in [
        "PLAIN=x",
        "NESTED=x-$(MISSING)-$(PLAIN)",
        "KEY=red",
        "PASS=hush",
        "POD=env",
        "CFG_COLOR=red",
        "CFG_SIZE=big",
        "MEM=67108864",
        "HOSTNAME=env",
        &ip,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_container_over_its_memory_limit_is_oom_killed() {
    let Some(cluster) = cluster("a_container_over_its_memory_limit").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script(
        "oom",
        "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}",
    );
    pod["spec"]["restartPolicy"] = json!("Never");
    pod["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "32Mi"}});
    let failed = create(&api, &pod, "the pod to fail", phase("Failed")).await;
    let ended = &failed["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["reason"], "OOMKilled", "{ended:#}");
    assert_eq!(ended["exitCode"], 137);
}

#[tokio::test]
async fn a_pod_is_asked_to_stop_before_it_is_killed() {
    let Some(cluster) = cluster("a_pod_is_asked_to_stop").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script(
        "stop",
        "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done",
    );
    pod["spec"]["terminationGracePeriodSeconds"] = json!(20);
    create(&api, &pod, "the pod to be ready", ready).await;
    let begin = std::time::Instant::now();
    let mut follow = cluster
        .ctl(&["logs", "--follow", "stop"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("ctl runs");
    let mut lines = BufReader::new(follow.stdout.take().expect("stdout is a pipe")).lines();
    let mut line = || lines.next().map(|line| line.expect("the log is text"));
    // From here on the trap is set and the log is followed.
    assert_eq!(line().as_deref(), Some("up"));
    api.delete(&format!("{PODS}/stop")).await.expect(200);
    gone(&api, "stop").await;
    assert!(
        begin.elapsed().as_secs() < 15,
        "it took {:?}",
        begin.elapsed()
    );
    assert_eq!(line().as_deref(), Some("bye"));
    assert_eq!(line(), None);
    assert!(follow.wait().expect("ctl ends").success());
}

#[tokio::test]
async fn probes_decide_on_ready_and_restart() {
    let Some(cluster) = cluster("probes_decide").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("probed", "touch /tmp/live; sleep 1000");
    let container = &mut pod["spec"]["containers"][0];
    container["readinessProbe"] =
        json!({"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1});
    container["livenessProbe"] = json!({"exec": {"command": ["test", "-e", "/tmp/live"]}, "periodSeconds": 1, "failureThreshold": 1});
    let pod = create(&api, &pod, "the pod to run", phase("Running")).await;
    assert!(!ready(&pod));
    exec_text(&cluster, "probed", &["touch", "/tmp/ready"]);
    reached(&api, "probed", "the pod to be ready", ready).await;
    exec_text(&cluster, "probed", &["rm", "/tmp/live"]);
    reached(&api, "probed", "a restart", |pod| {
        pod["status"]["containerStatuses"][0]["restartCount"] == 1
    })
    .await;
}

#[tokio::test]
async fn exec_has_streams_and_an_exit_code() {
    let Some(cluster) = cluster("exec_has_streams").await else {
        return;
    };
    let api = cluster.api();
    create(
        &api,
        &script("box", "sleep 1000"),
        "the pod to be ready",
        ready,
    )
    .await;
    let output = exec(
        &cluster,
        "box",
        &["sh", "-c", "echo out; echo err >&2; exit 7"],
    );
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.starts_with("err\n"), "{errors}");
    let mut child = cluster
        .ctl(&["exec", "-i", "box", "--", "cat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("ctl runs");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    std::io::Write::write_all(&mut stdin, b"through and back").expect("ctl reads");
    drop(stdin);
    let output = child.wait_with_output().expect("ctl ends");
    assert_eq!(output.stdout, b"through and back");
}
