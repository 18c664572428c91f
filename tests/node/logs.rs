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
        "for i in 1 2 3 4 5; do echo line $i; done; echo to stderr >&2; printf unfinished",
    );
    pod["spec"]["restartPolicy"] = json!("Never");
    create(&api, &pod, "the pod to end", phase("Succeeded")).await;
    let all = log(&api, "lines", "").await;
    assert!(all.starts_with("line 1\nline 2\n"), "{all}");
    assert!(
        all.contains("to stderr\n") && all.contains("unfinished"),
        "{all}"
    );
    assert_eq!(log(&api, "lines", "limitBytes=6").await, "line 1");
    let last = log(&api, "lines", "tailLines=2").await;
    assert!(
        !last.contains("line 5") || !last.contains("line 4"),
        "{last}"
    );
    let stamped = log(&api, "lines", "timestamps=true&tailLines=7").await;
    let first = stamped.lines().next().expect("a line");
    let time = first.split(' ').next().expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{first}");
    let refused = api
        .get(&format!("{}/lines/log?tailLines=-1", tests::pods::PODS))
        .await;
    assert!(matches!(refused.code, 400 | 422), "{}", refused.code);
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
