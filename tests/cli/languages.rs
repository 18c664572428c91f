//! The two languages of templates, over one object, with what kubectl makes of each line.
//!
//! A line of a scenario is a template; one in double quotes is a JSON string of it, one that begins with
//! `! ` does not allow missing keys.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use super::recorded::{difference, folder, kubectl, recording, told};

/// Replays a scenario of templates for this form of `-o`, or records it when `UPDATE_GOLDENS` is set.
pub(crate) fn scenario(name: &str, form: &str) {
    let listed = fs::read_to_string(folder("scenarios").join(format!("{name}.txt")))
        .expect("the scenario is there");
    let lines: Vec<&str> = listed
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .collect();
    let golden = folder("goldens").join(format!("{name}.json"));
    if recording() {
        let recorded = perform(&kubectl(), form, &lines);
        let text = serde_json::to_string_pretty(&recorded).expect("JSON");
        fs::write(&golden, text + "\n").expect("goldens can be written");
    }
    let recorded: Vec<Value> =
        serde_json::from_slice(&fs::read(&golden).expect("the golden is recorded"))
            .expect("it is JSON");
    let got = perform(&tests::programs::path("ctl"), form, &lines);
    assert!(
        recorded
            .iter()
            .map(|r| &r["line"])
            .eq(got.iter().map(|g| &g["line"])),
        "{name} has changed: record it again"
    );
    let wrong: Vec<String> = recorded
        .iter()
        .zip(&got)
        .filter(|(recorded, got)| recorded != got)
        .map(|(recorded, got)| difference(&got["line"].to_string(), recorded, got, &[]))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        recorded.len(),
        wrong.join("\n")
    );
}

/// What a program says to every line; several at a time.
fn perform(program: &Path, form: &str, lines: &[&str]) -> Vec<Value> {
    let share = lines.len().div_ceil(4);
    thread::scope(|scope| {
        let running: Vec<_> = lines
            .chunks(share)
            .map(|lines| {
                scope.spawn(move || -> Vec<Value> {
                    lines.iter().map(|line| run(program, form, line)).collect()
                })
            })
            .collect();
        let done = running.into_iter().map(|thread| thread.join());
        done.flat_map(|lines| lines.expect("no line panics"))
            .collect()
    })
}

fn run(program: &Path, form: &str, line: &str) -> Value {
    let (template, strict) = match line.strip_prefix("! ") {
        Some(template) => (template, true),
        None => (line, false),
    };
    let template = match template.starts_with('"') {
        true => serde_json::from_str(template).expect("a line in quotes is a JSON string"),
        false => template.to_owned(),
    };
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(program);
    // The only command that prints any object without a server.
    command.args(["label", "--local", "-f", "sample.yaml", "a=b"]);
    command.args(["-o", &format!("{form}={template}")]);
    if strict {
        command.arg("--allow-missing-template-keys=false");
    }
    let output = command
        .current_dir(folder("files"))
        .env("HOME", home.path())
        .env("KUBECONFIG", home.path().join("none"))
        .output()
        .expect("the program starts");
    json!({
        "line": line,
        "code": output.status.code(),
        "stdout": without_object(&output.stdout),
        "stderr": without_object(&output.stderr),
    })
}

/// What is said, without the object itself, which every error of a run ends with.
fn without_object(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // Not told as lines unless it has some: whether there is a newline at the end matters here.
    let text = match text.ends_with('\n') {
        true => told(bytes),
        false => text.into_owned(),
    };
    let mut shown = text.as_str();
    for mark in [
        "\traw data was:\n",
        "\tobject given to jsonpath engine was:\n",
    ] {
        if let Some(at) = shown.find(mark) {
            shown = &shown[..at + mark.len()];
        }
    }
    shown.to_owned()
}

#[test]
fn bytes_that_are_no_text_are_written_as_they_are() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(tests::programs::path("ctl"))
        .args(["label", "--local", "-f", "sample.yaml", "a=b"])
        .args(["-o", "go-template={{base64decode \"/wCA\"}}"])
        .current_dir(folder("files"))
        .env("HOME", home.path())
        .env("KUBECONFIG", home.path().join("none"))
        .output()
        .expect("ctl starts");
    assert_eq!(output.stdout, [0xFF, 0x00, 0x80]);
}
