//! The scripts in `completions/`.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn completion_prints_the_scripts_that_the_repository_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../completions");
    for (shell, file) in [
        ("bash", "ctl.bash"),
        ("zsh", "_ctl"),
        ("fish", "ctl.fish"),
        ("powershell", "ctl.ps1"),
    ] {
        let output = Command::new(tests::programs::path("ctl"))
            .args(["completion", shell])
            .output()
            .expect("ctl runs");
        let path = root.join(file);
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::write(&path, &output.stdout).expect("the script can be written");
        }
        let kept = fs::read(&path).expect("the script is there");
        assert!(
            output.status.success() && output.stdout == kept,
            "completion {shell} is not completions/{file}: build ctl again"
        );
    }
}

#[test]
fn the_bash_script_completes_commands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../completions/ctl.bash");
    let ctl = tests::programs::path("ctl");
    let script = format!(
        "source {}; COMP_WORDS=({} roll); COMP_CWORD=1; __ctl_complete; echo \"${{COMPREPLY[@]}}\"",
        root.display(),
        ctl.display()
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "rollout\n");
}
