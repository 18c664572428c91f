//! The demo's manifests, and what its last words tell users to try.

use std::path::Path;
use std::process::Output;

use tests::cluster::Cluster;
use tests::{PATIENCE, eventually, pods};

const NAMESPACE: &[&str] = &["--namespace", "demo"];

fn ctl(cluster: &Cluster, line: &str) -> Output {
    let words: Vec<&str> = NAMESPACE.iter().copied().chain(line.split(' ')).collect();
    cluster.ctl(&words).output().expect("ctl runs")
}

fn text(cluster: &Cluster, line: &str) -> String {
    let output = ctl(cluster, line);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ctl {line}: {errors}");
    String::from_utf8(output.stdout).expect("the output is text")
}

#[tokio::test]
async fn the_demos_manifests_run_and_do_what_it_says() {
    let Some(cluster) = pods::cluster("the_demos_manifests_run").await else {
        return;
    };
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/demo");
    let manifests = manifests.to_string_lossy();
    let applied = text(&cluster, &format!("apply -f {manifests}"));
    let expected =
        "namespace/demo created\nconfigmap/greeting created\ndeployment.apps/web created\n";
    assert_eq!(applied, expected);
    text(&cluster, "rollout status deployment/web --timeout=60s");
    let again = text(&cluster, &format!("apply -f {manifests}"));
    assert_eq!(again, expected.replace("created", "unchanged"));

    let pods = || text(&cluster, "get pods --output name");
    let first = pods();
    assert_eq!(first.lines().count(), 3, "{first}");
    let log = text(&cluster, "logs deployment/web");
    assert!(log.contains("listening on"), "{log}");
    let words = text(&cluster, "exec deployment/web -- /web whoami");
    assert!(
        words.contains("A state was declared, and here it is."),
        "{words}"
    );

    // A file says itself in which namespace it is.
    let file = cluster.scratch().join("web.yaml");
    let named = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: demo}}";
    std::fs::write(&file, named).expect("a file can be written");
    let file = file.to_string_lossy();
    let exec = ["exec", "-f", &file, "--", "/web", "whoami"];
    let output = cluster.ctl(&exec).output().expect("ctl runs");
    assert!(output.status.success(), "{output:?}");

    text(&cluster, "delete pod --selector app=web --wait=false");
    eventually("other pods in their place", PATIENCE * 2, || {
        let available = "get deployment web --output jsonpath={.status.availableReplicas}";
        let now = pods();
        let replaced = now.lines().count() == 3 && now.lines().all(|pod| !first.contains(pod));
        (replaced && text(&cluster, available) == "3").then_some(())
    });
    text(&cluster, "scale deployment/web --replicas=5");
    text(&cluster, "rollout status deployment/web --timeout=60s");
    assert_eq!(pods().lines().count(), 5);
    text(&cluster, "delete namespace demo");
    let gone = ctl(&cluster, "get deployment web");
    assert_eq!(gone.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&gone.stderr);
    assert!(errors.contains("Error from server (NotFound)"), "{errors}");
}
