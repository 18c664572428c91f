//! Standard streams of processes without privileges, opened anew through /dev and /proc.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use node::runtime::{ContainerSpec, ExecSession, ExecSpec, Pod};
use tokio::io::AsyncReadExt;

use crate::harness::{Machine, PATIENCE, PROGRAM};

const STREAMS: [&str; 4] = [
    "/dev/stdout",
    "/dev/stderr",
    "/proc/self/fd/1",
    "/proc/self/fd/2",
];

/// A user that has no name in the image, with all or no rights that a container can have.
fn without_privileges(mut spec: ContainerSpec, strict: bool) -> ContainerSpec {
    spec.security.run_as_user = Some(33);
    spec.security.no_new_privileges = strict;
    if strict {
        spec.security.capabilities.drop = vec!["ALL".to_owned()];
    }
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_opens_its_own_output_as_any_user() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let null = || std::fs::metadata("/dev/null").expect("there").uid();
    let owner = null();
    for strict in [false, true] {
        for tty in [false, true] {
            for path in STREAMS {
                let name = format!("open-{}-{strict}-{tty}", path.replace('/', "-"));
                let spec = machine.spec(&name, &["write", path, "opened"]);
                let mut spec = without_privileges(spec, strict);
                spec.tty = tty;
                let (log, exit) = machine.run(&pod, spec).await;
                let what = format!("{path}, strict {strict}, terminal {tty}");
                assert_eq!((log.trim_end(), exit.code), ("opened", 0), "{what}");
            }
        }
    }
    // Standard input is the machine's own /dev/null.
    assert_eq!(null(), owner);
}

async fn output(pod: &Arc<dyn Pod>, id: &str, path: &str, tty: bool) -> (String, i32) {
    let words = [PROGRAM, "write", path, "opened"];
    let spec = ExecSpec {
        command: words.map(str::to_owned).to_vec(),
        tty,
        ..ExecSpec::default()
    };
    let ExecSession {
        mut stdout,
        stderr,
        exit,
        ..
    } = pod.exec(id, spec).await.expect("runs");
    let mut text = String::new();
    let read = async {
        stdout.read_to_string(&mut text).await.expect("read");
        if let Some(mut stderr) = stderr {
            stderr.read_to_string(&mut text).await.expect("read");
        }
        exit.await.expect("an exit code").expect("an exit code")
    };
    let code = tokio::time::timeout(PATIENCE, read).await.expect("in time");
    (text, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_command_opens_its_own_output_as_any_user() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    for strict in [false, true] {
        let spec = without_privileges(machine.spec("wait", &["wait"]), strict);
        let id = pod.start_container(spec).await.expect("starts");
        for tty in [false, true] {
            for path in STREAMS {
                let (text, code) = output(&pod, &id, path, tty).await;
                let what = format!("{path}, strict {strict}, terminal {tty}");
                assert_eq!((text.trim_end(), code), ("opened", 0), "{what}");
            }
        }
    }
}
