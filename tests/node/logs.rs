//! Logs: what was written, all of it or a part, also of the container before.

use serde_json::json;
use tests::pods::{cluster, create, log, phase, ready, script};

#[tokio::test]
async fn a_log_can_be_cut_in_every_way() {
    let Some(cluster) = cluster("a_log_can_be_cut").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script(
        "lines",
        "for i in 1 2 3 4 5; do echo line $i; done; printf unfinished",
    );
    pod["spec"]["restartPolicy"] = json!("Never");
    create(&api, &pod, "the pod to end", phase("Succeeded")).await;
    let all = log(&api, "lines", "").await;
    assert_eq!(
        all.trim_end(),
        "line 1\nline 2\nline 3\nline 4\nline 5\nunfinished"
    );
    assert_eq!(log(&api, "lines", "limitBytes=6").await, "line 1");
    let last = log(&api, "lines", "tailLines=2").await;
    assert_eq!(last.trim_end(), "line 5\nunfinished");
    let stamped = log(&api, "lines", "timestamps=true&tailLines=7").await;
    let first = stamped.lines().next().expect("a line");
    let time = first.split(' ').next().expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{first}");
    let refused = api
        .get(&format!("{}/lines/log?tailLines=-1", tests::pods::PODS))
        .await;
    assert!(matches!(refused.code, 400 | 422), "{}", refused.code);
}

/// In what order is another matter: they are two pipes.
#[tokio::test]
async fn a_log_has_what_was_written_to_either_output() {
    let Some(cluster) = cluster("a_log_has_either_output").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("both", "echo to stdout; echo to stderr >&2");
    pod["spec"]["restartPolicy"] = json!("Never");
    create(&api, &pod, "the pod to end", phase("Succeeded")).await;
    let all = log(&api, "both", "").await;
    let mut lines: Vec<&str> = all.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["to stderr", "to stdout"]);
}

#[tokio::test]
async fn the_log_before_the_restart_is_kept() {
    let Some(cluster) = cluster("the_log_before_the_restart").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script(
        "twice",
        "if [ -e /data/again ]; then echo second; sleep 1000; fi; echo first; touch /data/again; exit 1",
    );
    pod["spec"]["volumes"] = json!([{"name": "work", "emptyDir": {}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "work", "mountPath": "/data"}]);
    create(&api, &pod, "the second run", |pod| {
        pod["status"]["containerStatuses"][0]["restartCount"] == 1 && ready(pod)
    })
    .await;
    tests::eventually_async("the second line", tests::PATIENCE, || async {
        (log(&api, "twice", "").await == "second\n").then_some(())
    })
    .await;
    assert_eq!(log(&api, "twice", "previous=true").await, "first\n");
}
