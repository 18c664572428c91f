//! What no recording holds: answers that don't end, and files that are written.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use super::recorded::folder;

/// An answer to a path.
enum Answer {
    /// A text, and the end.
    Whole(String),
    /// A text, and then nothing for as long as the client stays.
    Held(String),
    /// There is no such thing.
    Absent,
}

/// Starts a server of a few paths: its address.
fn serve(answer: fn(&str) -> Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has one");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || exchange(stream, answer));
        }
    });
    format!("http://{address}")
}

fn exchange(mut stream: TcpStream, answer: fn(&str) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, body, held) = match answer(first.split(' ').nth(1).unwrap_or_default()) {
        Answer::Whole(body) => (200, body, false),
        Answer::Held(body) => (200, body, true),
        Answer::Absent => (404, String::new(), false),
    };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{body}"
    )?;
    if held {
        reader.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

fn ctl(server: &str, home: &Path, words: &[&str]) -> Output {
    Command::new(tests::programs::path("ctl"))
        .args(words)
        .args(["--server", server])
        .current_dir(home)
        .env("HOME", home)
        .env("KUBECONFIG", home.join("none"))
        .output()
        .expect("ctl runs")
}

fn of_a_watch(path: &str) -> Answer {
    let recorded = |name| fs::read_to_string(folder("goldens").join(name)).expect("it is recorded");
    let map = r#"{"metadata":{"name":"one"}}"#;
    match path.split('?').next().unwrap_or_default() {
        "/api" => Answer::Whole(recorded("discovery-api.json")),
        "/apis" => Answer::Whole(recorded("discovery-apis.json")),
        "/api/v1/namespaces/default/configmaps" if path.contains("watch=true") => {
            Answer::Held(format!("{{\"type\":\"ADDED\",\"object\":{map}}}\n").replace("one", "two"))
        }
        "/api/v1/namespaces/default/configmaps" => Answer::Whole(format!(
            r#"{{"kind":"ConfigMapList","apiVersion":"v1","metadata":{{"resourceVersion":"5"}},"items":[{map}]}}"#
        )),
        _ => Answer::Absent,
    }
}

#[test]
fn a_watch_whose_time_is_over_has_ended_well() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let words = ["get", "cm", "-w", "-o", "name", "--request-timeout=500ms"];
    let output = ctl(&serve(of_a_watch), home.path(), &words);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "configmap/one\nconfigmap/two\n"
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_list_that_is_not_served_any_more_is_named() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let output = ctl(&serve(of_a_watch), home.path(), &["get", "deploy"]);
    // As kubectl words it, which counts on the discovery of a moment ago too.
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "Error from server (NotFound): Unable to list \"apps/v1, Resource=deployments\": the server could not find the requested resource (get deployments.apps)\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

fn of_a_dump(path: &str) -> Answer {
    let list = |kind: &str, items: &str| {
        Answer::Whole(format!(
            r#"{{"kind":"{kind}","apiVersion":"v1","metadata":{{}},"items":[{items}]}}"#
        ))
    };
    let metadata = r#"{"name":"p","namespace":"n","managedFields":[{}],"labels":{"a":"<b>"}}"#;
    match path {
        "/api/v1/nodes" => list("NodeList", ""),
        "/api/v1/namespaces/n/events" => list("EventList", ""),
        "/api/v1/namespaces/n/pods" => list(
            "PodList",
            &format!(
                r#"{{"metadata":{metadata},"spec":{{"containers":[{{"name":"c"}},{{"name":"d"}}]}}}}"#
            ),
        ),
        "/api/v1/namespaces/n/pods/p/log?container=c" => Answer::Whole("said\n".to_owned()),
        _ => Answer::Absent,
    }
}

/// The files below a folder, and what they hold.
fn files(folder: &Path, found: &mut Vec<(String, String)>, root: &Path) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            files(&path, found, root);
        } else {
            let name = path.strip_prefix(root).expect("it is below").display();
            let text = fs::read_to_string(&path).expect("the files are texts");
            found.push((name.to_string(), text));
        }
    }
    found.sort();
}

#[test]
fn a_dump_fills_a_folder_with_what_the_server_has() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let words = [
        "cluster-info",
        "dump",
        "--namespaces=n",
        "--output-directory=out/there",
    ];
    let output = ctl(&serve(of_a_dump), home.path(), &words);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "Cluster info dumped to out/there\n"
    );
    let mut found = Vec::new();
    let root = home.path().join("out/there");
    files(&root, &mut found, &root);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["n/events.json", "n/p/logs.txt", "n/pods.json", "nodes.json"]
    );
    assert_eq!(
        found[1].1,
        "==== START logs for container c of pod n/p ====\nsaid\n==== END logs for container c of pod n/p ====\n\
         ==== START logs for container d of pod n/p ====\nRequest log error: the server could not find the requested resource (get pods p)\n==== END logs for container d of pod n/p ====\n"
    );
    // In the order of the server, without what only machines read.
    assert!(found[2].1.starts_with("{\n    \"kind\": \"PodList\",\n"));
    assert!(found[2].1.contains("\"a\": \"\\u003cb\\u003e\""));
    assert!(!found[2].1.contains("managedFields"));
}
