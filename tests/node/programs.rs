//! What ordinary programs count on in a container, as they have it under other kubelets.

use serde_json::{Value, json};
use tests::image;
use tests::pods::{cluster, create, exec, exec_text, log, phase, ready, script};
use tests::{PATIENCE, eventually_async};

/// A pod whose process is that of a web server: a user without any rights.
fn without_privileges(name: &str, text: &str) -> Value {
    let mut pod = script(name, text);
    pod["spec"]["containers"][0]["securityContext"] = json!({
        "runAsUser": 33, "runAsGroup": 33, "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    });
    pod
}

#[tokio::test]
async fn a_server_without_privileges_logs_to_dev_stdout_and_listens_on_port_80() {
    let Some(cluster) = cluster("a_server_without_privileges").await else {
        return;
    };
    let api = cluster.api();
    let text = "echo access > /dev/stdout; echo error > /dev/stderr; echo own >> /proc/self/fd/1; \
                httpd -p 80 -h /tmp && sleep 1000";
    let mut pod = without_privileges("server", text);
    pod["spec"]["volumes"] = json!([{"name": "tmp", "emptyDir": {}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "tmp", "mountPath": "/tmp"}]);
    pod["spec"]["containers"][0]["readinessProbe"] =
        json!({"tcpSocket": {"port": 80}, "periodSeconds": 1});
    create(&api, &pod, "the server to be ready", ready).await;
    let mut lines: Vec<String> = log(&api, "server", "")
        .await
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["access", "error", "own"]);
    let own = exec_text(
        &cluster,
        "server",
        &["sh", "-c", "echo again > /dev/stdout"],
    );
    assert_eq!(own, "again\n");
}

#[tokio::test]
async fn names_of_hosts_can_be_added_on_a_read_only_root() {
    let Some(cluster) = cluster("names_of_hosts_can_be_added").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("hosts", "echo 10.1.1.1 added >> /etc/hosts; sleep 1000");
    pod["spec"]["containers"][0]["securityContext"] = json!({"readOnlyRootFilesystem": true});
    create(&api, &pod, "the pod to be ready", ready).await;
    let hosts = exec_text(&cluster, "hosts", &["cat", "/etc/hosts"]);
    assert!(hosts.ends_with("10.1.1.1 added\n"), "{hosts}");
}

#[tokio::test]
async fn a_hosts_name_is_the_full_one_where_a_pod_asks_for_it() {
    let Some(cluster) = cluster("a_hosts_name_is_the_full_one").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("full", "sleep 1000");
    pod["spec"]["hostname"] = json!("h1");
    pod["spec"]["subdomain"] = json!("sub");
    pod["spec"]["setHostnameAsFQDN"] = json!(true);
    create(&api, &pod, "the pod to be ready", ready).await;
    let full = "h1.sub.default.svc.cluster.local\n";
    assert_eq!(exec_text(&cluster, "full", &["hostname"]), full);
    assert_eq!(
        exec_text(&cluster, "full", &["sh", "-c", "echo $HOSTNAME"]),
        full
    );
    let hosts = exec_text(&cluster, "full", &["cat", "/etc/hosts"]);
    assert!(
        hosts.contains("\th1.sub.default.svc.cluster.local\th1\n"),
        "{hosts}"
    );
    assert_eq!(exec_text(&cluster, "full", &["cat", "/etc/hostname"]), full);

    pod["metadata"]["name"] = json!("long");
    pod["spec"]["subdomain"] = json!("s".repeat(60));
    let waits = |pod: &Value| pod["status"]["phase"] == "Pending";
    create(&api, &pod, "the pod to wait", waits).await;
    let why = eventually_async("the event", PATIENCE, || async {
        let query = "fieldSelector=involvedObject.name%3Dlong,reason%3DFailedCreatePodSandBox";
        let path = format!("/api/v1/namespaces/default/events?{query}");
        let events = api.get(&path).await.body;
        Some(
            events["items"].as_array()?.first()?["message"]
                .as_str()?
                .to_owned(),
        )
    });
    let why = why.await;
    assert!(
        why.contains("is too long (64 characters is the max, 89 characters requested)"),
        "{why}"
    );
}

#[tokio::test]
async fn the_last_words_of_all_containers_share_their_room() {
    let Some(cluster) = cluster("the_last_words_of_all").await else {
        return;
    };
    let api = cluster.api();
    let text = "head -c 4096 /dev/zero | tr '\\0' a > /dev/termination-log";
    let mut pod = script("words", text);
    pod["spec"]["restartPolicy"] = json!("Never");
    let one = pod["spec"]["containers"][0].clone();
    let named = |name: &str| {
        let mut container = one.clone();
        container["name"] = json!(name);
        container
    };
    pod["spec"]["containers"] = json!([named("a"), named("b"), named("c"), named("d")]);
    let done = create(&api, &pod, "the pod to succeed", phase("Succeeded")).await;
    for status in done["status"]["containerStatuses"]
        .as_array()
        .expect("statuses")
    {
        let message = status["state"]["terminated"]["message"].as_str();
        assert_eq!(message.map(str::len), Some(3072), "{}", status["name"]);
    }
}

#[tokio::test]
async fn who_must_not_be_root_is_not_started_unless_it_is_known_not_to_be() {
    let Some(cluster) = cluster("who_must_not_be_root").await else {
        return;
    };
    image::import_box_of(&cluster, "named:1.0", "nobody");
    image::import_box_of(&cluster, "numbered:1.0", "65534:0");
    let api = cluster.api();
    for (name, image, why) in [
        (
            "root",
            image::BOX,
            "container has runAsNonRoot and image will run as root",
        ),
        (
            "named",
            "named:1.0",
            "container has runAsNonRoot and image has non-numeric user (nobody), \
             cannot verify user is non-root",
        ),
    ] {
        let mut pod = script(name, "sleep 1000");
        pod["spec"]["containers"][0]["image"] = json!(image);
        pod["spec"]["securityContext"] = json!({"runAsNonRoot": true});
        let refused = create(&api, &pod, "the refusal", |pod| {
            let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            waiting["reason"] == "CreateContainerConfigError"
        })
        .await;
        let uid = refused["metadata"]["uid"].as_str().expect("a uid");
        let expected = format!("{why} (pod: \"{name}_default({uid})\", container: main)");
        let waiting = &refused["status"]["containerStatuses"][0]["state"]["waiting"];
        assert_eq!(waiting["message"], expected);
    }
    let mut pod = script("numbered", "sleep 1000");
    pod["spec"]["containers"][0]["image"] = json!("numbered:1.0");
    pod["spec"]["securityContext"] = json!({"runAsNonRoot": true});
    create(&api, &pod, "the pod to be ready", ready).await;
}

#[tokio::test]
async fn a_user_is_in_the_groups_that_its_image_says_unless_the_pod_wants_only_its_own() {
    let Some(cluster) = cluster("a_user_is_in_the_groups").await else {
        return;
    };
    let api = cluster.api();
    for (name, policy, groups) in [
        ("merge", json!(null), "65534 7 200"),
        ("strict", json!("Strict"), "65534 7"),
    ] {
        let mut pod = script(name, "sleep 1000");
        pod["spec"]["securityContext"] = json!({
            "runAsUser": 65534, "supplementalGroups": [7], "supplementalGroupsPolicy": policy,
        });
        let pod = create(&api, &pod, "the pod to be ready", ready).await;
        let found = exec_text(&cluster, name, &["id", "-G"]);
        assert_eq!(found.trim(), groups, "{name}");
        let mut groups: Vec<u32> = groups.split(' ').flat_map(str::parse).collect();
        groups.sort_unstable();
        let told = &pod["status"]["containerStatuses"][0]["user"]["linux"];
        let expected = json!({"uid": 65534, "gid": 65534, "supplementalGroups": groups});
        assert_eq!(*told, expected, "{name}");
    }
}

#[tokio::test]
async fn a_container_that_ends_at_once_is_never_seen_ready() {
    let Some(cluster) = cluster("a_container_that_ends_at_once").await else {
        return;
    };
    let api = cluster.api();
    let watch = cluster
        .ctl(&["get", "pod", "--watch", "--output-watch-events", "--output"])
        .arg(
            "jsonpath={.object.metadata.name} {.object.status.containerStatuses[0].ready}{\"\\n\"}",
        )
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut watch = watch.expect("ctl runs");
    let waits = |pod: &Value| {
        let status = &pod["status"]["containerStatuses"][0];
        status["restartCount"] == 2 && status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    create(&api, &script("crash", "exit 1"), "two restarts", waits).await;
    create(
        &api,
        &script("stays", "sleep 1000"),
        "the pod to be ready",
        ready,
    )
    .await;
    watch.kill().expect("it can be ended");
    let seen = watch.wait_with_output().expect("it ends").stdout;
    let seen = String::from_utf8_lossy(&seen);
    assert!(
        seen.contains("crash false") && !seen.contains("crash true"),
        "{seen}"
    );
    assert!(!exec(&cluster, "crash", &["true"]).status.success());
}
