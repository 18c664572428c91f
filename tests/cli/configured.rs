//! Scenarios of kubeconfig files, and of servers that can't be spoken with.
//!
//! Each part of a scenario, parts being separated by empty lines, begins with a new folder that has
//! the files of `files/kube`. Its commands run there one after the other; words such as
//! `KUBECONFIG=a:b` in front of one are its environment. A golden holds what kubectl printed, and
//! every file that it changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::recorded::{difference, folder, kubectl, recording, told};

/// What the files and the goldens name in place of what differs each time: `@name@` and its value.
pub(crate) type Names<'a> = &'a [(&'a str, String)];

/// Replays a scenario, or records it when `UPDATE_GOLDENS` is set.
pub(crate) fn scenario(name: &str, names: Names) {
    let listed = fs::read_to_string(folder("scenarios").join(format!("{name}.txt")))
        .expect("the scenario is there");
    let golden = folder("goldens").join(format!("{name}.json"));
    if recording() {
        let recorded = perform(&kubectl(), &listed, names);
        let text = serde_json::to_string_pretty(&recorded).expect("JSON");
        fs::write(&golden, text + "\n").expect("goldens can be written");
    }
    let recorded: Vec<Value> =
        serde_json::from_slice(&fs::read(&golden).expect("the golden is recorded"))
            .expect("it is JSON");
    let got = perform(&tests::programs::path("ctl"), &listed, names);
    assert!(
        recorded
            .iter()
            .map(|r| &r["command"])
            .eq(got.iter().map(|g| &g["command"])),
        "{name} has changed: record it again"
    );
    let wrong: Vec<String> = recorded
        .iter()
        .zip(&got)
        .filter(|(recorded, got)| recorded != got)
        .map(|(recorded, got)| {
            let command = got["command"].as_str().unwrap_or_default();
            difference(command, &recorded["output"], &got["output"], &[])
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        recorded.len(),
        wrong.join("\n")
    );
}

/// What a program does with every command of a scenario.
fn perform(program: &Path, listed: &str, names: Names) -> Vec<Value> {
    let mut done = Vec::new();
    for part in listed.split("\n\n") {
        let home = tempfile::tempdir().expect("a temporary folder");
        furnish(home.path(), names);
        for command in part.lines().filter(|l| !l.starts_with('#')) {
            let output = run(program, command, home.path(), names);
            done.push(json!({"command": command, "output": output}));
        }
    }
    done
}

/// Puts the files of `files/kube` into a new folder.
fn furnish(home: &Path, names: Names) {
    for entry in fs::read_dir(folder("files/kube")).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        let mut text = fs::read_to_string(&path).expect("the files are texts");
        for (name, value) in names {
            text = text.replace(&format!("@{name}@"), value);
        }
        let to = home.join(path.file_name().expect("a listed file has a name"));
        fs::write(to, text).expect("a temporary folder can be written");
    }
}

fn run(program: &Path, command: &str, home: &Path, names: Names) -> Value {
    let before = files(home);
    let words: Vec<&str> = command.split(' ').collect();
    let is_variable = |word: &&str| {
        word.split_once('=')
            .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase()))
    };
    let variables = words.iter().take_while(|w| is_variable(w)).count();
    let output = Command::new(program)
        .args(&words[variables..])
        .current_dir(home)
        .env("HOME", home)
        .env("KUBECONFIG", "config")
        // The server of those who name none.
        .env("KUBERNETES_MASTER", "http://127.0.0.1:2")
        .envs(words[..variables].iter().filter_map(|w| w.split_once('=')))
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .expect("the program starts");
    let clean = |text: &str| {
        let mut text = text.replace(&home.display().to_string(), "HOME");
        for (name, value) in names {
            text = text.replace(value, &format!("@{name}@"));
        }
        without_time(&text)
    };
    let after = files(home);
    let changed: BTreeMap<&String, Value> = after
        .iter()
        .filter(|(name, text)| before.get(*name) != Some(text))
        .map(|(name, text)| (name, clean(text).into()))
        .chain(
            before
                .keys()
                .filter(|name| !after.contains_key(*name))
                .map(|name| (name, Value::Null)),
        )
        .collect();
    json!({
        "code": output.status.code(),
        "stdout": clean(&told(&output.stdout)),
        "stderr": clean(&told(&output.stderr)),
        "files": changed,
    })
}

/// A text without the time that it was.
fn without_time(text: &str) -> String {
    const MARK: &str = "current time ";
    let mut parts = text.split(MARK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once(' ').map_or("", |(_, rest)| rest);
        out.push_str(&format!("{MARK}NOW {rest}"));
    }
    out
}

/// The files of a folder and of those below it, but for what clients keep of discovery.
fn files(at: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(at).expect("a temporary folder can be read") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().expect("a listed file has a name");
        let name = name.to_string_lossy().into_owned();
        if name == ".kube" {
            continue;
        }
        if path.is_dir() {
            let inner = files(&path).into_iter();
            found.extend(inner.map(|(inner, text)| (format!("{name}/{inner}"), text)));
        } else {
            let text = fs::read_to_string(&path).expect("the files are texts");
            found.insert(name, text);
        }
    }
    found
}
