//! What a call of `ctl` takes, beside kubectl: time of the whole process, and its memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::cluster::Cluster;
use tests::programs;

use crate::load;
use crate::process;
use crate::report::Report;
use crate::side::Sides;

const RUNS: usize = 20;
/// Pods in the namespaces `few` and `many`.
const FEW: usize = 3;
const MANY: usize = 3_000;

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    // Without a scheduler the pods stay as they are.
    let cluster = Cluster::start(&["--no-worker", "--no-scheduler"]);
    load::run(fill(&cluster));
    let config = cluster.kubeconfig();
    let kubectl = sides.peer.as_ref().map(|binaries| binaries.join("kubectl"));
    let kubectl = kubectl.filter(|path| path.exists());
    let calls: &[(&str, &str, &str)] = &[
        ("version --client", "version --client", "5 ms"),
        ("get pods (3)", "get pods -n few", "10 ms + a round trip"),
        (
            "get pods -o wide (3,000)",
            "get pods -n many -o wide",
            "150 ms",
        ),
    ];
    for (name, line, budget) in calls {
        let words: Vec<&str> = line.split(' ').collect();
        let of = |program: &Path| call(program, &config, cluster.scratch(), &words);
        let ours = of(&programs::path("ctl"));
        let peer = kubectl.as_ref().map(|path| of(path));
        let time = peer.map(|(time, _)| time);
        report.add(format!("CLI: {name}"), "ms", ours.0, time, budget);
        let memory = peer.map(|(_, memory)| memory);
        report.add(
            format!("CLI: {name}: memory"),
            "MB",
            ours.1,
            memory,
            "25 MB",
        );
    }
}

async fn fill(cluster: &Cluster) {
    let api = cluster.api();
    for (namespace, count) in [("few", FEW), ("many", MANY)] {
        let object = json!({"metadata": {"name": namespace}});
        api.post("/api/v1/namespaces", &object).await.expect(201);
        let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
        tests::eventually_async("the service account", tests::PATIENCE, || async {
            (api.get(&account).await.code == 200).then_some(())
        })
        .await;
        for number in 0..count {
            let pod = json!({
                "metadata": {"name": format!("web-{number:04}"), "labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1.0"}]},
            });
            let pods = format!("/api/v1/namespaces/{namespace}/pods");
            api.post(&pods, &pod).await.expect(201);
        }
    }
}

/// The median time of a call in milliseconds, after one that fills the discovery cache, and the
/// most memory that a call had resident, in megabytes.
fn call(program: &Path, config: &Path, home: &Path, words: &[&str]) -> (f64, f64) {
    let command = || {
        let mut command = Command::new(program);
        command
            .args(words)
            .env("KUBECONFIG", config)
            .env("HOME", home);
        command.stdout(Stdio::null());
        command
    };
    let time = || {
        let begin = Instant::now();
        let status = command().status().expect("the program can be run");
        assert!(
            status.success(),
            "{} {words:?}: {status}",
            program.display()
        );
        begin.elapsed()
    };
    time();
    let mut times: Vec<Duration> = (0..RUNS).map(|_| time()).collect();
    let memory = process::peak_resident(command());
    (load::percentile(&mut times, 50), memory as f64 / 1e6)
}
