//! Further commands in containers.

use std::sync::Arc;

use node::runtime::{Error, ExecSession, ExecSpec, Pod};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Machine, PATIENCE, PROGRAM};

fn command(words: &[&str]) -> ExecSpec {
    ExecSpec {
        command: [&[PROGRAM], words]
            .concat()
            .iter()
            .map(|&word| word.to_owned())
            .collect(),
        ..ExecSpec::default()
    }
}

/// Standard output, standard error and exit code of a command.
async fn finish(mut session: ExecSession) -> (String, String, i32) {
    let (mut out, mut err) = (String::new(), String::new());
    let read = async {
        session.stdout.read_to_string(&mut out).await.expect("read");
        if let Some(stderr) = &mut session.stderr {
            stderr.read_to_string(&mut err).await.expect("read");
        }
        session
            .exit
            .await
            .expect("an exit code")
            .expect("an exit code")
    };
    let code = tokio::time::timeout(PATIENCE, read).await.expect("in time");
    (out, err, code)
}

pub(crate) async fn output(pod: &Arc<dyn Pod>, id: &str, words: &[&str]) -> String {
    let session = pod.exec(id, command(words)).await.expect("runs");
    finish(session).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_its_own_streams_and_exit_code() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let session = pod.exec(&id, command(&["both"])).await.expect("runs");
    assert_eq!(
        finish(session).await,
        ("to stdout\n".to_owned(), "to stderr\n".to_owned(), 0)
    );
    let session = pod.exec(&id, command(&["exit", "42"])).await.expect("runs");
    assert_eq!(finish(session).await.2, 42);
    let session = pod.exec(&id, command(&["die", "9"])).await.expect("runs");
    assert_eq!(finish(session).await.2, 137);
    let session = pod.exec(&id, command(&["die", "37"])).await.expect("runs");
    assert_eq!(finish(session).await.2, 165, "a real-time signal");
    assert_eq!(
        output(&pod, &id, &["processes"]).await,
        "2\n",
        "it is in the container's process namespace"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_goes_through_and_its_end_too() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let mut spec = command(&["cat"]);
    spec.stdin = true;
    let mut session = pod.exec(&id, spec).await.expect("runs");
    let mut stdin = session.stdin.take().expect("asked for");
    let data = "0123456789".repeat(50_000);
    let sent = data.clone();
    tokio::spawn(async move {
        stdin.write_all(sent.as_bytes()).await.expect("written");
    });
    let (out, _, code) = finish(session).await;
    assert_eq!((out == data, code), (true, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_one_and_can_be_resized() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let mut spec = command(&["tty"]);
    (spec.tty, spec.stdin) = (true, true);
    let mut session = pod.exec(&id, spec).await.expect("runs");
    (session.resize)(100, 40);
    let mut stdin = session.stdin.take().expect("asked for");
    stdin.write_all(b"hello\n").await.expect("written");
    let (out, _, code) = finish(session).await;
    assert!(
        out.contains("tty true") && out.contains("got hello"),
        "{out}"
    );
    assert_eq!(code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_may_have_a_terminal_itself() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let mut spec = machine.spec("terminal", &["echo", "on a terminal"]);
    spec.tty = true;
    let (log, exit) = machine.run(&pod, spec).await;
    assert_eq!((log.trim_end(), exit.code), ("on a terminal", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_run_says_why() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let id = pod
        .start_container(machine.spec("wait", &["wait"]))
        .await
        .expect("starts");
    let mut spec = command(&[]);
    spec.command = vec!["nothing".to_owned()];
    match pod.exec(&id, spec).await.map(drop) {
        Err(Error::Exec(text)) => assert_eq!(
            text,
            "exec: \"nothing\": executable file not found in $PATH"
        ),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        pod.exec("none", command(&["env"])).await.map(drop),
        Err(Error::NoSuchContainer(_))
    ));
    pod.signal(&id, libc::SIGKILL).await.expect("sent");
    crate::harness::exited(&pod, &id).await;
    assert!(matches!(
        pod.exec(&id, command(&["env"])).await.map(drop),
        Err(Error::NotRunning(_))
    ));
}
