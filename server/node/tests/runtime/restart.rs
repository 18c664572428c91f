//! An agent that goes and comes back; a shim that dies.

use node::runtime::{Local, Phase, Runtime};

use crate::exec::output;
use crate::harness::{Machine, exited, logged, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_agent_finds_pods_and_what_happened_meanwhile() {
    let Some(mut machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let spec = machine.spec("wait", &["wait"]);
    let log = spec.log_path.clone();
    let stays = pod.start_container(spec).await.expect("starts");
    logged(&log, "waiting").await;
    let ends = pod
        .start_container(machine.spec("ends", &["wait"]))
        .await
        .expect("starts");
    let pid = |id: &str| match pod.state().borrow().get(id).expect("there").phase {
        Phase::Running { pid, .. } => pid,
        ref other => panic!("{other:?}"),
    };
    let (stays_pid, ends_pid) = (pid(&stays), pid(&ends));
    drop(pod);
    // The old agent is gone while one container ends.
    let new = Local::open(machine.options.clone()).expect("opens again");
    drop(std::mem::replace(&mut machine.runtime, new));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(ends_pid),
        nix::sys::signal::SIGKILL,
    )
    .expect("sent");
    let pods = machine.runtime.recover().await.expect("recovered");
    let [pod] = pods.as_slice() else {
        panic!("{} pods", pods.len());
    };
    assert_eq!(exited(pod, &ends).await.code, 137);
    let phase = pod
        .state()
        .borrow()
        .get(&stays)
        .expect("there")
        .phase
        .clone();
    assert!(
        matches!(phase, Phase::Running { pid, .. } if pid == stays_pid),
        "the same process"
    );
    assert_eq!(
        output(pod, &stays, &["echo", "still here"]).await,
        "still here\n"
    );
    assert_eq!(
        machine
            .run(pod, machine.spec("new", &["echo", "new"]))
            .await
            .0,
        "new\n"
    );
    pod.remove().await.expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_whose_shim_died_is_lost_and_can_be_removed_and_made_again() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let sandbox = machine.sandbox();
    let pod = machine.pod_from(sandbox.clone()).await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let shim = std::fs::read_to_string(machine.options.run_dir.join("pods/uid-0/shim.pid"))
        .expect("a pid");
    let shim = nix::unistd::Pid::from_raw(shim.parse().expect("a number"));
    nix::sys::signal::kill(shim, nix::sys::signal::SIGKILL).expect("sent");
    let mut state = pod.state();
    state.wait_for(|state| state.lost).await.expect("told");
    assert!(
        pod.state().borrow().get(&id).is_some(),
        "what was known last stays known"
    );
    assert!(
        pod.start_container(machine.spec("more", &["echo"]))
            .await
            .is_err()
    );
    let again = machine.pod_from(sandbox).await;
    assert!(!again.state().borrow().lost);
    let (log, _) = machine
        .run(&again, machine.spec("again", &["echo", "again"]))
        .await;
    assert_eq!(log, "again\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_pod_twice_gives_the_same_one() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let sandbox = machine.sandbox();
    let pod = machine.pod_from(sandbox.clone()).await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let same = machine.pod_from(sandbox).await;
    until(&same, &id, |container| container.map(drop)).await;
    assert_eq!(pod.addresses(), same.addresses());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_closed_leaves_nothing_unless_there_is_a_pod() {
    let Some(mut machine) = Machine::start() else {
        return;
    };
    let run_dir = machine.options.run_dir.clone();
    let bridge = node::network::bridge_name(&run_dir);
    let left = || {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let mounted = mounts.contains(&*run_dir.to_string_lossy());
        (
            mounted,
            std::path::Path::new("/sys/class/net")
                .join(&bridge)
                .exists(),
        )
    };
    let pod = machine.pod().await;
    machine.runtime.close().expect("closes");
    assert_eq!(left(), (true, true), "a pod lives on");
    let refused = machine.runtime.create_pod(machine.sandbox()).await;
    assert!(matches!(
        refused.map(drop),
        Err(node::runtime::Error::Closed)
    ));

    machine.runtime = Local::open(machine.options.clone()).expect("opens again");
    drop(pod);
    for pod in machine.runtime.recover().await.expect("recovered") {
        pod.remove().await.expect("removed");
    }
    machine.runtime.close().expect("closes");
    assert_eq!(left(), (false, false));
    let files = std::fs::read_dir(&run_dir).expect("readable");
    assert_eq!(files.count(), 0);
    machine.runtime.close().expect("closes again");
}
