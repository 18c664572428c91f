//! What containers may not do, each hole of other runtimes with a test of its own.

use node::runtime::{Capabilities, ContainerSpec, Seccomp, Security};

use crate::exec::output;
use crate::harness::{Machine, text};

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status
        .lines()
        .find(|line| line.split(':').next() == Some(name));
    line.and_then(|line| line.split_once(':'))
        .map_or("", |(_, value)| value.trim())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_default_capabilities_are_given_and_exec_has_the_same() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let (first, _) = machine.run(&pod, machine.spec("status", &["status"])).await;
    let second = output(&pod, &id, &["status"]).await;
    for name in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(field(&first, name), "00000000a80425fb", "{name}");
    }
    for name in ["CapInh", "CapAmb", "SigBlk"] {
        assert_eq!(field(&first, name), "0000000000000000", "{name}");
    }
    for name in [
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "SigBlk",
    ] {
        assert_eq!(field(&first, name), field(&second, name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_no_capabilities_and_its_groups() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let with = |name: &str, words: &[&str]| ContainerSpec {
        security: Security {
            run_as_user: Some(101),
            supplemental_groups: vec![7],
            no_new_privileges: true,
            seccomp: Seccomp::RuntimeDefault,
            ..Security::default()
        },
        ..machine.spec(name, words)
    };
    let id = pod
        .start_container(with("wait", &["wait"]))
        .await
        .expect("starts");
    let (first, _) = machine.run(&pod, with("status", &["status"])).await;
    for status in [first, output(&pod, &id, &["status"]).await] {
        assert_eq!(field(&status, "Uid"), "101\t101\t101\t101");
        assert_eq!(field(&status, "Gid"), "102\t102\t102\t102");
        assert_eq!(field(&status, "Groups"), "7 102 200");
        assert_eq!(field(&status, "CapEff"), "0000000000000000");
        assert_eq!(
            (field(&status, "NoNewPrivs"), field(&status, "Seccomp")),
            ("1", "2")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn added_and_dropped_capabilities_count() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let mut spec = machine.spec("status", &["status"]);
    spec.security.capabilities = Capabilities {
        add: vec!["NET_BIND_SERVICE".to_owned()],
        drop: vec!["ALL".to_owned()],
    };
    let (status, _) = machine.run(&pod, spec).await;
    assert_eq!(field(&status, "CapEff"), "0000000000000400");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_filter_refuses_user_namespaces_in_container_and_exec() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    // With and without no-new-privileges the filter is installed at different moments.
    for (name, no_new_privileges) in [("plain", false), ("nnp", true)] {
        let with = |words: &[&str]| {
            let mut spec = machine.spec(name, words);
            spec.security.seccomp = Seccomp::RuntimeDefault;
            spec.security.no_new_privileges = no_new_privileges;
            spec
        };
        let id = pod.start_container(with(&["wait"])).await.expect("starts");
        let log = machine.folder.path().join("logs").join(name).join("0.log");
        std::fs::remove_file(&log).expect("a log");
        let (answer, _) = machine.run(&pod, with(&["unshare"])).await;
        assert_eq!(answer, "Operation not permitted (os error 1)\n");
        assert_eq!(output(&pod, &id, &["unshare"]).await, answer);
        std::fs::remove_file(&log).expect("a log");
    }
    let (answer, _) = machine.run(&pod, machine.spec("free", &["unshare"])).await;
    assert_eq!(answer, "allowed\n", "without a filter nothing refuses it");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_descriptor_of_ours_is_open_inside() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let (first, _) = machine.run(&pod, machine.spec("fds", &["fds"])).await;
    assert_eq!(first, "0 1 2\n");
    assert_eq!(output(&pod, &id, &["fds"]).await, "0 1 2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_can_not_raise_its_own_limits_or_write_to_the_kernel() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    for (name, path) in [
        ("memory", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        ("sysrq", "/proc/sysrq-trigger"),
        ("kernel", "/proc/sys/kernel/hostname"),
        ("sys", "/sys/kernel/profiling"),
    ] {
        let (log, exit) = machine
            .run(&pod, machine.spec(name, &["write", path, "1"]))
            .await;
        assert_eq!(exit.code, 1, "{path}: {log}");
        assert!(
            log.contains("Read-only file system") || log.contains("No such file"),
            "{path}: {log}"
        );
    }
    let (log, _) = machine
        .run(&pod, machine.spec("masked", &["cat", "/proc/keys"]))
        .await;
    assert_eq!(log, "", "a masked file is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_root_can_not_be_written() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let mut spec = machine.spec("write", &["write", "/file", "x"]);
    spec.security.read_only_root = true;
    let (log, exit) = machine.run(&pod, spec).await;
    assert_eq!(exit.code, 1);
    assert!(log.contains("Read-only file system"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_that_runs_shims_can_not_be_written_from_inside() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let mut sandbox = machine.sandbox();
    sandbox.host_pid = true;
    let pod = machine.pod_from(sandbox).await;
    let shim = std::fs::read_to_string(machine.options.run_dir.join("pods/uid-0/shim.pid"))
        .expect("a pid");
    let mut spec = machine.spec("attack", &["write", &format!("/proc/{shim}/exe"), "x"]);
    spec.security.privileged = true;
    let (log, exit) = machine.run(&pod, spec).await;
    assert_eq!(exit.code, 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_privileged_container_has_everything() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let mut spec = machine.spec("status", &["status"]);
    spec.security.privileged = true;
    let log = spec.log_path.clone();
    machine.run(&pod, spec).await;
    let ours = std::fs::read_to_string("/proc/self/status").expect("status");
    assert_eq!(field(&text(&log), "CapEff"), field(&ours, "CapBnd"));
}
