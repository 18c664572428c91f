//! Files with mistakes: where they are, and that nothing of them is applied.
//!
//! Of these kubectl says the same, but with its help or with what its parser makes of them added.

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

/// What `ctl` complains of with a kubeconfig that holds this text.
fn complaint(text: &str, words: &[&str]) -> String {
    let home = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(home.path().join("config"), text).expect("a temporary folder can be written");
    let output = std::process::Command::new(tests::programs::path("ctl"))
        .args(words)
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("KUBECONFIG", "config")
        .output()
        .expect("ctl runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let kept = std::fs::read_to_string(home.path().join("config")).expect("it is still there");
    assert_eq!(kept, text, "the file is as it was");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_kubeconfig_that_is_none_is_named_with_what_is_wrong() {
    for (text, words) in [
        ("clusters: [\n", "yaml: line 1"),
        (
            "apiVersion: v1\nkind: Pod\n",
            "no kind \"Pod\" is registered for version \"v1\"",
        ),
        (
            "apiVersion: v2\nkind: Config\n",
            "no kind \"Config\" is registered for version \"v2\"",
        ),
        ("- a\n", "couldn't get version/kind; "),
        ("words\n", "couldn't get version/kind; "),
    ] {
        for command in [&["get", "pods"][..], &["config", "view"]] {
            let expected = format!("error: error loading config file \"config\": {words}");
            let told = complaint(text, command);
            assert!(told.starts_with(&expected), "{told}");
        }
    }
}

#[test]
fn a_change_of_a_user_that_means_nothing_is_refused_before_the_file_is_touched() {
    for (words, expected) in [
        (["a", "--exec-env=odd"], "invalid exec-env format: odd"),
        (
            ["a", "--exec-env==value"],
            "invalid exec-env format: =value",
        ),
        (["a", "b"], "unexpected args: [a b]"),
    ] {
        let command = [&["config", "set-credentials"][..], &words].concat();
        assert_eq!(complaint("{}\n", &command), format!("error: {expected}\n"));
    }
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_make_no_secret() {
    let home = tempfile::tempdir().expect("a temporary folder");
    for name in ["one", "other"] {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a pair");
        for (part, text) in [
            ("crt", made.cert.pem()),
            ("key", made.signing_key.serialize_pem()),
        ] {
            std::fs::write(home.path().join(format!("{name}.{part}")), text)
                .expect("a temporary folder can be written");
        }
    }
    std::fs::write(
        home.path().join("junk"),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )
    .expect("a temporary folder can be written");
    // What kubectl says of the same.
    for (certificate, key, told) in [
        ("one.crt", "one.key", ""),
        (
            "one.crt",
            "other.key",
            "private key does not match public key",
        ),
        (
            "one.crt",
            "one.crt",
            "found a certificate rather than a key in the PEM for the private key",
        ),
        (
            "one.key",
            "one.key",
            "failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
        ),
        ("one.crt", "junk", "failed to parse private key"),
    ] {
        let path = |name: &str| home.path().join(name).display().to_string();
        let output = ctl(&[
            "create",
            "secret",
            "tls",
            "t",
            "--dry-run=client",
            "--cert",
            &path(certificate),
            "--key",
            &path(key),
        ]);
        let (out, error) = if told.is_empty() {
            ("secret/t created (dry run)\n", String::new())
        } else {
            ("", format!("error: tls: {told}\n"))
        };
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            error,
            "{certificate}, {key}"
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            out,
            "{certificate}, {key}"
        );
    }
}
