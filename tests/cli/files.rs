//! Files with mistakes: where they are, and that nothing of them is applied.

use std::process::Output;

use super::recorded::folder;

/// A server that nobody runs: what fails before a request fails without one.
fn ctl(words: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a temporary folder");
    std::process::Command::new(tests::programs::path("ctl"))
        .args(words)
        .args(["--server", "http://127.0.0.1:1"])
        .current_dir(folder("files"))
        .env("HOME", home.path())
        .env("KUBECONFIG", home.path().join("none"))
        .output()
        .expect("ctl runs")
}

#[test]
fn a_file_that_does_not_parse_is_refused_with_line_and_column_before_anything_is_sent() {
    let output = ctl(&["apply", "-f", "broken.yaml"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.starts_with("error: error parsing broken.yaml: "),
        "{text}"
    );
    assert!(text.contains("line 10"), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let output = ctl(&["get", "pods"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n"
    );
}
