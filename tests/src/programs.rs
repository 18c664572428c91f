//! Where the programs under test are: beside the test's own executable.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of a program of this workspace, built with the same profile as the test.
///
/// `tests/run` builds the programs before the tests; with a bare `cargo test --package tests`, run
/// `cargo build` first.
pub fn path(name: &str) -> PathBuf {
    let own = env::current_exe().expect("a program knows its own path");
    // Tests lie in target/PROFILE/deps, the benchmark in target/PROFILE.
    own.ancestors()
        .skip(1)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built: run `cargo build` first, or tests/run"))
}

/// The web server of the images: linked statically, in a target directory of its own.
pub fn web() -> PathBuf {
    path("static/debug/demo-web")
}

/// A command that runs `ctld`.
pub fn ctld() -> Command {
    Command::new(path("ctld"))
}

/// A command that runs `ctl` with that kubeconfig and no other.
pub fn ctl(kubeconfig: &Path) -> Command {
    let mut command = Command::new(path("ctl"));
    command.env("KUBECONFIG", kubeconfig);
    command
}
