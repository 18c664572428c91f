//! Containers: output, exit codes, limits, mounts, removal.

use node::runtime::{Error, Mount, Phase, Resources};

use crate::harness::{Machine, exited, logged, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_writes_its_log_and_ends_with_its_code() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let (log, exit) = machine.run(&pod, machine.spec("both", &["both"])).await;
    assert!(
        log.contains("to stdout\n") && log.contains("to stderr\n"),
        "{log}"
    );
    assert_eq!((exit.code, exit.signal, exit.oom_killed), (0, None, false));
    let (_, exit) = machine
        .run(&pod, machine.spec("seven", &["exit", "7"]))
        .await;
    assert_eq!(exit.code, 7);
    let (log, _) = machine
        .run(&pod, machine.spec("many", &["lines", "20000"]))
        .await;
    assert_eq!(log.lines().count(), 20000);
    assert!(log.ends_with("line 19999\n"));
    pod.remove().await.expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_command_runs_where_the_pod_gives_none() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let mut spec = machine.spec("default", &[]);
    spec.command.clear();
    let (log, _) = machine.run(&pod, spec).await;
    assert_eq!(log, "default\n");
    let state = pod.state().borrow().clone();
    assert_eq!(state.containers[0].stop_signal, libc::SIGQUIT);
    assert!(state.containers[0].image_id.starts_with("sha256:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_container_and_is_its_exit_code() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let spec = machine.spec("wait", &["wait"]);
    let log = spec.log_path.clone();
    let id = pod.start_container(spec).await.expect("starts");
    logged(&log, "waiting").await;
    pod.signal(&id, libc::SIGTERM).await.expect("sent");
    assert_eq!(exited(&pod, &id).await.code, 7, "it handles TERM");
    let mut spec = machine.spec("real-time", &["wait"]);
    spec.stop_signal = Some("SIGRTMIN+3".to_owned());
    let log = spec.log_path.clone();
    let id = pod.start_container(spec).await.expect("starts");
    logged(&log, "waiting").await;
    let signal = pod.state().borrow().get(&id).map(|found| found.stop_signal);
    assert_eq!(signal, Some(37));
    pod.signal(&id, 37).await.expect("sent");
    assert_eq!(exited(&pod, &id).await.code, 7, "it handles the signal");
    let id = pod
        .start_container(machine.spec("kill", &["wait"]))
        .await
        .expect("starts");
    pod.signal(&id, libc::SIGKILL).await.expect("sent");
    let exit = exited(&pod, &id).await;
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
    pod.signal(&id, libc::SIGTERM)
        .await
        .expect("one that ended needs no signal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_can_not_be_executed_is_a_start_error_and_leaves_nothing() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    for (command, reason) in [
        (
            "nothing",
            "exec: \"nothing\": executable file not found in $PATH",
        ),
        (
            "/bin/nothing",
            "exec: \"/bin/nothing\": no such file or directory",
        ),
        (
            "/bin/not-executable",
            "exec: \"/bin/not-executable\": permission denied",
        ),
    ] {
        let mut spec = machine.spec("bad", &[]);
        spec.command = vec![command.to_owned()];
        match pod.start_container(spec).await {
            Err(Error::Start(text)) => assert_eq!(text, reason),
            other => panic!("{other:?}"),
        }
    }
    assert!(pod.state().borrow().containers.is_empty());
    let mut spec = machine.spec("none", &["echo"]);
    spec.image = "absent".to_owned();
    assert!(
        matches!(pod.start_container(spec).await, Err(Error::ImageNotFound(name)) if name == "absent")
    );
    let left = std::fs::read_dir(machine.options.data_dir.join("containers")).expect("readable");
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_host_name_and_folder_are_the_pods() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let mut sandbox = machine.sandbox();
    sandbox.hostname = "web-1".to_owned();
    sandbox.kernel_hostname = "web-1.sub".to_owned();
    let pod = machine.pod_from(sandbox).await;
    let mut spec = machine.spec("env", &["env"]);
    spec.env = vec![("A".to_owned(), "b=c".to_owned())];
    let (log, _) = machine.run(&pod, spec).await;
    for line in [
        "A=b=c",
        "FROM_IMAGE=yes",
        "HOSTNAME=web-1.sub",
        "HOME=/root",
    ] {
        assert!(log.lines().any(|other| other == line), "{line} in {log}");
    }
    let mut spec = machine.spec("cwd", &["cwd"]);
    spec.working_dir = Some("/new/folder".to_owned());
    assert_eq!(machine.run(&pod, spec).await.0, "/new/folder\n");
    let (hosts, _) = machine
        .run(&pod, machine.spec("hosts", &["cat", "/etc/hosts"]))
        .await;
    let address = pod.addresses()[0];
    assert!(hosts.contains(&format!("{address}\tweb-1\n")), "{hosts}");
    let (name, _) = machine
        .run(
            &pod,
            machine.spec("name", &["cat", "/proc/sys/kernel/hostname"]),
        )
        .await;
    assert_eq!(name, "web-1.sub\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_shared_and_read_only_ones_stay_as_they_are() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let volume = machine.folder.path().join("volume");
    std::fs::create_dir(&volume).expect("made");
    let with = |name: &str, words: &[&str], read_only| {
        let mut spec = machine.spec(name, words);
        spec.mounts = vec![Mount {
            source: volume.clone(),
            target: "/data/deep".into(),
            read_only,
            ..Mount::default()
        }];
        spec
    };
    let (_, exit) = machine
        .run(
            &pod,
            with("write", &["write", "/data/deep/file", "text"], false),
        )
        .await;
    assert_eq!(exit.code, 0);
    assert_eq!(
        std::fs::read_to_string(volume.join("file")).expect("written"),
        "text"
    );
    let (log, exit) = machine
        .run(
            &pod,
            with("refused", &["write", "/data/deep/file", "x"], true),
        )
        .await;
    assert_eq!(exit.code, 1);
    assert!(log.contains("Read-only file system"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_memory_is_an_oom_kill() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let mut spec = machine.spec("hungry", &["allocate", "200"]);
    spec.resources = Resources {
        memory_limit: Some(32 << 20),
        cpu_shares: Some(102),
        cpu_quota: Some(50_000),
        pids_limit: Some(20),
        ..Resources::default()
    };
    let (_, exit) = machine.run(&pod, spec).await;
    assert_eq!((exit.code, exit.oom_killed), (137, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_count_what_runs() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let stats = pod.stats().await.expect("stats");
    let [container] = stats.containers.as_slice() else {
        panic!("{stats:?}");
    };
    assert_eq!(
        (container.id.as_str(), container.processes),
        (id.as_str(), 1)
    );
    assert!(container.memory_usage > 0 && container.cpu_nanoseconds > 0);
    assert!(stats.network.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_container_is_gone_with_its_files_and_its_log_stays() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let spec = machine.spec("wait", &["wait"]);
    let log = spec.log_path.clone();
    let id = pod.start_container(spec).await.expect("starts");
    logged(&log, "waiting").await;
    pod.remove_container(&id)
        .await
        .expect("removed while it runs");
    pod.remove_container(&id).await.expect("removed already");
    assert!(pod.state().borrow().containers.is_empty());
    assert!(
        !machine
            .options
            .data_dir
            .join("containers")
            .join(&id)
            .exists()
    );
    assert_eq!(text(&log), "waiting\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_a_pod_may_share_their_processes() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let mut sandbox = machine.sandbox();
    sandbox.share_process_namespace = true;
    let pod = machine.pod_from(sandbox).await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let (count, _) = machine
        .run(&pod, machine.spec("count", &["processes"]))
        .await;
    assert_eq!(
        count, "3\n",
        "the first process, the other container's and its own"
    );
    pod.signal(&id, libc::SIGKILL).await.expect("sent");
    exited(&pod, &id).await;
    let alone = machine.pod().await;
    let (count, _) = machine
        .run(&alone, machine.spec("alone", &["processes"]))
        .await;
    assert_eq!(count, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pods_come_up_and_go_away_at_once() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let start = |_| async {
        let pod = machine.pod().await;
        let id = pod
            .start_container(machine.spec(&pod.sandbox().name, &["wait"]))
            .await
            .expect("starts");
        (pod, id)
    };
    let pods = futures::future::join_all((0..20).map(start)).await;
    for (pod, id) in &pods {
        assert!(matches!(
            pod.state().borrow().get(id).expect("there").phase,
            Phase::Running { .. }
        ));
    }
    let removed = futures::future::join_all(pods.iter().map(|(pod, _)| pod.remove())).await;
    assert!(removed.iter().all(Result::is_ok), "{removed:?}");
    let left = std::fs::read_dir(machine.options.run_dir.join("pods")).expect("readable");
    assert_eq!(left.count(), 0);
}

/// The pod's whole way from nothing to a running program; printed, and held by the benchmark.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_comes_up_quickly() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = std::time::Instant::now();
        let pod = machine.pod().await;
        let made = begun.elapsed();
        pod.start_container(machine.spec("wait", &["wait"]))
            .await
            .expect("starts");
        times.push((begun.elapsed(), made));
        pod.remove().await.expect("removed");
    }
    times.sort();
    println!(
        "pod created and running: p50 {:?}, of it the pod {:?}; slowest {:?}",
        times[10].0, times[10].1, times[19].0
    );
    assert!(times[10].0 < std::time::Duration::from_secs(2));
}
