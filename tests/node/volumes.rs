//! Volumes: what pods find where, with which mode, and what follows a change.

use serde_json::json;
use tests::pods::{cluster, create, exec, exec_text, ready, script};
use tests::{PATIENCE, eventually};

#[tokio::test]
async fn volumes_of_every_kind_are_where_they_should_be() {
    let Some(cluster) = cluster("volumes_of_every_kind").await else {
        return;
    };
    let api = cluster.api();
    let map = json!({"metadata": {"name": "files"}, "data": {"a.txt": "A", "b.txt": "B"}});
    api.post("/api/v1/namespaces/default/configmaps", &map)
        .await
        .expect(201);
    let secret = json!({"metadata": {"name": "keys"}, "stringData": {"key": "hush"}});
    api.post("/api/v1/namespaces/default/secrets", &secret)
        .await
        .expect(201);
    let host = cluster.scratch().join("hosted");
    std::fs::create_dir(&host).expect("a directory");
    std::fs::write(host.join("file"), "from the host").expect("a file");
    let mut pod = script("vols", "sleep 1000");
    pod["spec"]["volumes"] = json!([
        {"name": "map", "configMap": {"name": "files", "defaultMode": 0o440, "items": [{"key": "a.txt", "path": "sub/x"}]}},
        {"name": "live", "configMap": {"name": "files"}},
        {"name": "secret", "secret": {"secretName": "keys"}},
        {"name": "host", "hostPath": {"path": host, "type": "Directory"}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "down", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([
        {"name": "map", "mountPath": "/map"},
        {"name": "live", "mountPath": "/live"},
        {"name": "secret", "mountPath": "/secret", "readOnly": true},
        {"name": "host", "mountPath": "/host", "readOnly": true},
        {"name": "memory", "mountPath": "/memory"},
        {"name": "down", "mountPath": "/down"},
        {"name": "live", "mountPath": "/one", "subPath": "b.txt"},
    ]);
    create(&api, &pod, "the pod to be ready", ready).await;
    let read = |path: &str| exec_text(&cluster, "vols", &["cat", path]);
    assert_eq!(read("/map/sub/x"), "A");
    assert_eq!(read("/secret/key"), "hush");
    assert_eq!(read("/host/file"), "from the host");
    assert_eq!(read("/one"), "B");
    assert_eq!(read("/down/labels"), "app=\"vols\"");
    assert!(
        !exec(&cluster, "vols", &["touch", "/host/new"])
            .status
            .success()
    );
    assert!(
        !exec(
            &cluster,
            "vols",
            &["sh", "-c", "head -c 3000000 /dev/zero > /memory/x"]
        )
        .status
        .success()
    );
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    assert_eq!(read(token).split('.').count(), 3, "a token is a JWT");
    let patch = json!({"data": {"a.txt": "A2"}});
    api.patch(
        "/api/v1/namespaces/default/configmaps/files",
        "merge",
        &patch,
    )
    .await
    .expect(200);
    eventually("the file to follow its ConfigMap", PATIENCE * 4, || {
        (read("/live/a.txt") == "A2").then_some(())
    });
}

#[tokio::test]
async fn a_sub_path_does_not_leave_its_volume() {
    let Some(cluster) = cluster("a_sub_path_does_not_leave").await else {
        return;
    };
    let api = cluster.api();
    let host = cluster.scratch().join("hosted");
    std::fs::create_dir(&host).expect("a directory");
    std::os::unix::fs::symlink("/etc", host.join("escape")).expect("a link");
    let mut pod = script("escape", "sleep 1000");
    pod["spec"]["volumes"] = json!([{"name": "host", "hostPath": {"path": host}}]);
    pod["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "host", "mountPath": "/x", "subPath": "escape"}]);
    create(&api, &pod, "the refusal", |pod| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        waiting["reason"] == "CreateContainerConfigError"
    })
    .await;
}

#[tokio::test]
async fn a_pod_waits_for_the_config_map_it_mounts() {
    let Some(cluster) = cluster("a_pod_waits_for_the_config_map").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("late", "cat /map/key; sleep 1000");
    pod["spec"]["volumes"] = json!([{"name": "map", "configMap": {"name": "later"}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "map", "mountPath": "/map"}]);
    create(&api, &pod, "the pod to wait", |pod| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    })
    .await;
    let map = json!({"metadata": {"name": "later"}, "data": {"key": "x"}});
    api.post("/api/v1/namespaces/default/configmaps", &map)
        .await
        .expect(201);
    tests::pods::reached(&api, "late", "the pod to be ready", ready).await;
}

#[tokio::test]
async fn a_part_of_a_volume_can_be_written_by_whoever_can_write_to_the_volume() {
    let Some(cluster) = cluster("a_part_of_a_volume_can_be_written").await else {
        return;
    };
    let api = cluster.api();
    for (name, context, mode) in [
        ("plain", json!({"runAsUser": 1000}), "777"),
        ("group", json!({"runAsUser": 1000, "fsGroup": 2000}), "2777"),
    ] {
        let mut pod = script(name, "touch /part/file && sleep 1000");
        pod["spec"]["securityContext"] = context;
        pod["spec"]["volumes"] = json!([{"name": "work", "emptyDir": {}}]);
        pod["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "work", "mountPath": "/part", "subPath": "logs"}]);
        create(&api, &pod, "the pod to be ready", ready).await;
        let found = exec_text(&cluster, name, &["stat", "-c", "%a", "/part"]);
        assert_eq!(found.trim(), mode, "{name}");
    }
}

#[tokio::test]
async fn a_token_is_for_the_user_of_the_pod_if_there_is_one() {
    let Some(cluster) = cluster("a_token_is_for_the_user").await else {
        return;
    };
    let api = cluster.api();
    for (name, users, group, expected) in [
        ("one", &[Some(1234)][..], None, "600 1234 0"),
        ("same", &[Some(1234), Some(1234)], None, "600 1234 0"),
        ("several", &[Some(1234), Some(1)], None, "644 0 0"),
        ("untold", &[Some(1234), None], None, "644 0 0"),
        ("group", &[Some(1234), Some(1)], Some(2000), "640 0 2000"),
        ("both", &[Some(1234)], Some(2000), "640 1234 2000"),
    ] {
        let mut pod = script(name, "sleep 1000");
        let one = pod["spec"]["containers"][0].clone();
        let all = users.iter().enumerate().map(|(number, user)| {
            let mut container = one.clone();
            container["name"] = json!(format!("c{number}"));
            container["securityContext"] = json!({"runAsUser": user});
            container
        });
        pod["spec"]["containers"] = all.collect();
        pod["spec"]["securityContext"] = json!({"fsGroup": group});
        create(&api, &pod, "the pod to be ready", ready).await;
        let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
        let found = exec_text(&cluster, name, &["stat", "-L", "-c", "%a %u %g", token]);
        assert_eq!(found.trim(), expected, "{name}");
    }
}
