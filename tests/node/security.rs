//! What a container may not do, and who it is.

use serde_json::json;
use tests::pods::{cluster, create, exec, exec_text, ready, script};

#[tokio::test]
async fn a_container_is_who_its_security_context_says() {
    let Some(cluster) = cluster("a_container_is_who").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("user", "sleep 1000");
    pod["spec"]["securityContext"] = json!({"runAsUser": 1000, "runAsGroup": 2000, "supplementalGroups": [3000], "fsGroup": 4000});
    pod["spec"]["volumes"] = json!([{"name": "work", "emptyDir": {}}]);
    let container = &mut pod["spec"]["containers"][0];
    container["volumeMounts"] = json!([{"name": "work", "mountPath": "/data"}]);
    container["securityContext"] = json!({
        "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    });
    create(&api, &pod, "the pod to be ready", ready).await;
    assert_eq!(exec_text(&cluster, "user", &["id", "-u"]).trim(), "1000");
    assert_eq!(exec_text(&cluster, "user", &["id", "-g"]).trim(), "2000");
    let groups = exec_text(&cluster, "user", &["id", "-G"]);
    assert!(
        groups.contains("3000") && groups.contains("4000"),
        "{groups}"
    );
    assert!(!exec(&cluster, "user", &["touch", "/file"]).status.success());
    exec_text(&cluster, "user", &["touch", "/data/file"]);
    // The first process and an exec are held by the same rules.
    for process in ["/proc/1/status", "/proc/self/status"] {
        let status = exec_text(&cluster, "user", &["cat", process]);
        let field = |name: &str| {
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .expect("a field");
            line.split_whitespace().nth(1).expect("a value").to_owned()
        };
        assert_eq!(field("CapEff:"), "0000000000000000", "{process}");
        assert_eq!(field("NoNewPrivs:"), "1", "{process}");
        assert_eq!(field("Seccomp:"), "2", "{process}");
    }
}

#[tokio::test]
async fn a_container_sees_no_more_of_the_host_than_it_should() {
    let Some(cluster) = cluster("a_container_sees_no_more").await else {
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
    // Only standard input, output and error are open in the first process.
    let fds = exec_text(&cluster, "box", &["ls", "/proc/1/fd"]);
    assert_eq!(fds.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2"]);
    assert_eq!(exec_text(&cluster, "box", &["hostname"]).trim(), "box");
    // Not every kernel has it; where it is, it is masked.
    let memory = "[ ! -e /proc/kcore ] || cat /proc/kcore";
    assert!(exec_text(&cluster, "box", &["sh", "-c", memory]).is_empty());
    for file in ["/proc/sys/kernel/panic", "/proc/sysrq-trigger"] {
        let script = format!("echo 1 > {file}");
        assert!(
            !exec(&cluster, "box", &["sh", "-c", &script])
                .status
                .success(),
            "{file}"
        );
    }
    let raise = "for f in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do \
                 [ -e $f ] && echo 99999999999 > $f && echo raised; done; true";
    assert_eq!(exec_text(&cluster, "box", &["sh", "-c", raise]), "");
    let processes = exec_text(&cluster, "box", &["ps"]);
    assert!(processes.lines().count() <= 4, "{processes}");
}
