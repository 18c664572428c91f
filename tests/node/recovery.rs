//! A worker that is killed and started again finds what ran, and what ended meanwhile.

use serde_json::json;
use tests::pods::{cluster, create, exec_text, log, phase, reached, ready, script};
use tests::{PATIENCE, eventually};

#[tokio::test]
async fn containers_outlive_the_server_and_are_found_again() {
    let Some(mut cluster) = cluster("containers_outlive_the_server").await else {
        return;
    };
    let api = cluster.api();
    let flag = cluster.scratch().join("flag");
    std::fs::create_dir(&flag).expect("a directory");
    let before = create(
        &api,
        &script("long", "echo up; sleep 1000"),
        "the pod to be ready",
        ready,
    )
    .await;
    let mut pod = script(
        "ends",
        "while [ ! -e /flag/go ]; do sleep 0.1; done; echo meanwhile; touch /flag/done; exit 5",
    );
    pod["spec"]["restartPolicy"] = json!("Never");
    pod["spec"]["volumes"] = json!([{"name": "flag", "hostPath": {"path": flag}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "flag", "mountPath": "/flag"}]);
    create(&api, &pod, "the pod to be ready", ready).await;
    for orderly in [true, false] {
        match orderly {
            true => cluster.terminate(),
            false => cluster.kill(),
        }
        if orderly {
            std::fs::write(flag.join("go"), "").expect("a file");
            eventually("the container to end", PATIENCE, || {
                flag.join("done").exists().then_some(())
            });
        }
        cluster.boot();
        let api = cluster.api();
        let after = reached(&api, "long", "the pod to be ready", ready).await;
        for field in ["containerID", "restartCount"] {
            let of = |pod: &serde_json::Value| pod["status"]["containerStatuses"][0][field].clone();
            assert_eq!(of(&before), of(&after), "{field}");
        }
        assert_eq!(
            exec_text(&cluster, "long", &["echo", "still here"]),
            "still here\n"
        );
        let ended = reached(&api, "ends", "the pod to have failed", phase("Failed")).await;
        let state = &ended["status"]["containerStatuses"][0]["state"]["terminated"];
        assert_eq!(state["exitCode"], 5);
        assert_eq!(log(&api, "ends", "").await, "meanwhile\n");
    }
}

#[tokio::test]
async fn stop_leaves_nothing_behind() {
    let Some(mut cluster) = cluster("stop_leaves_nothing_behind").await else {
        return;
    };
    let api = cluster.api();
    create(
        &api,
        &script("long", "sleep 1000"),
        "the pod to be ready",
        ready,
    )
    .await;
    let run_dir = cluster.run_dir().to_string_lossy().into_owned();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").expect("mounts can be read");
    assert!(mounts().contains(&run_dir));
    cluster.terminate();
    let status = cluster.ctld("stop").status().expect("ctld runs");
    assert!(status.success());
    assert!(
        !mounts().contains(&run_dir),
        "mounts are left below {run_dir}"
    );
    let shims = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(&run_dir))
        .count();
    assert_eq!(shims, 0, "processes are left");
    // The same directories serve again.
    cluster.boot();
    let api = cluster.api();
    reached(&api, "long", "the pod to run again", ready).await;
}

#[tokio::test]
async fn a_server_without_containers_leaves_nothing_when_it_is_stopped() {
    let Some(mut cluster) = cluster("a_server_without_containers").await else {
        return;
    };
    let run_dir = cluster.run_dir();
    let mounted = || {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        mounts.contains(&*run_dir.to_string_lossy())
    };
    let api = cluster.api();
    let node = tests::pods::ready_node(&api).await;
    let cidr = node["spec"]["podCIDR"].as_str().expect("a range");
    let gateway = format!("{}.1", cidr.rsplit_once('.').expect("an address").0);
    let linked = || {
        let trie = std::fs::read_to_string("/proc/net/fib_trie").expect("addresses");
        trie.lines()
            .any(|line| line.ends_with(&format!(" {gateway}")))
    };
    assert!(mounted() && linked(), "{cidr}");
    // One that ran and is gone is as good as none.
    let mut pod = script("short", "true");
    pod["spec"]["restartPolicy"] = json!("Never");
    create(&api, &pod, "the pod to succeed", phase("Succeeded")).await;
    api.delete("/api/v1/namespaces/default/pods/short")
        .await
        .expect(200);
    let pods = run_dir.join("pods");
    eventually("the pod to be taken down", PATIENCE, || {
        let left = std::fs::read_dir(&pods).expect("readable").count();
        (left == 0).then_some(())
    });
    cluster.terminate();
    assert_eq!((mounted(), linked()), (false, false));
    cluster.boot();
    let api = cluster.api();
    create(
        &api,
        &script("again", "sleep 1000"),
        "the pod to be ready",
        ready,
    )
    .await;
}

#[test]
fn a_run_directory_is_refused_to_a_second_cluster_and_its_containers_go_on() {
    if !tests::root_or_skip("a_run_directory_is_refused_to_a_second_cluster") {
        return;
    }
    let mut cluster = tests::cluster::Cluster::with_worker();
    let other = cluster.scratch().join("other");
    let second = |subcommand: &str, run_dir: &std::path::Path| {
        let mut command = tests::programs::ctld();
        command.arg(subcommand).arg("--data-dir").arg(&other);
        command.arg("--run-dir").arg(run_dir);
        command
    };
    let mut server = second("server", &cluster.run_dir());
    let refused = server.args(["--secure-port", "0"]).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{words}");
    let expected = format!(
        "error: another ctld uses {}; give this one a --run-dir of its own\n",
        cluster.run_dir().display()
    );
    assert_eq!(words, expected);

    // Also while its own server is down: its pods outlive it.
    let pods = cluster.run_dir().join("pods/of-the-first");
    cluster.kill();
    std::fs::create_dir_all(&pods).unwrap();
    for subcommand in ["server", "stop"] {
        let refused = second(subcommand, &cluster.run_dir()).output().unwrap();
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{words}");
        assert!(
            words.contains("has the containers of the cluster in"),
            "{words}"
        );
        assert!(
            pods.exists(),
            "{subcommand} has touched a pod of another cluster"
        );
    }
    std::fs::remove_dir(&pods).unwrap();
}
