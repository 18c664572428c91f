//! The architecture, checked: edges between crates, module docs, sizes, words, registrations.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which crates of this workspace each may depend on. A crate without a line may not exist.
const EDGES: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("store", &["api"]),
    ("apiserver", &["api", "store"]),
    ("client", &["api"]),
    ("controllers", &["api", "client"]),
    ("scheduler", &["api", "client"]),
    ("node", &["api", "client"]),
    (
        "ctld",
        &[
            "api",
            "apiserver",
            "client",
            "controllers",
            "node",
            "scheduler",
            "store",
        ],
    ),
    ("ctl", &["api"]),
    ("demo", &[]),
    ("tests", &["api", "demo"]),
];

/// Names at the top of the tree, besides dotfiles.
const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "cli",
    "completions",
    "manifests",
    "server",
    "tests",
    "target",
];

const MOST_LINES: usize = 800;

/// Where adding is local: below the folder, each entry needs its line in the list that the file holds.
/// The last column is how a line names the entry, with `{}` for its name.
const LISTS: &[(&str, &str, &str)] = &[
    (
        "server/api/src/kinds/apps",
        "server/api/src/kinds/mod.rs",
        "&apps::{}::",
    ),
    (
        "server/api/src/kinds/authentication",
        "server/api/src/kinds/mod.rs",
        "&authentication::{}::",
    ),
    (
        "server/api/src/kinds/authorization",
        "server/api/src/kinds/mod.rs",
        "&authorization::{}::",
    ),
    (
        "server/api/src/kinds/coordination",
        "server/api/src/kinds/mod.rs",
        "&coordination::{}::",
    ),
    (
        "server/api/src/kinds/core",
        "server/api/src/kinds/mod.rs",
        "&core::{}::",
    ),
    (
        "server/api/src/kinds/rbac",
        "server/api/src/kinds/mod.rs",
        "&rbac::{}::",
    ),
    (
        "server/controllers/src",
        "server/controllers/src/lib.rs",
        "{}::run(",
    ),
    ("tests/api", "tests/api/main.rs", "mod {};"),
    ("tests/cli", "tests/cli/main.rs", "mod {};"),
    ("tests/cluster", "tests/cluster/main.rs", "mod {};"),
    ("tests/node", "tests/node/main.rs", "mod {};"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the checkout")
        .to_owned()
}

/// Every Rust file of the workspace, relative to the checkout, with its text.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for folder in ["cli", "manifests", "server", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(
        found.len() > 20,
        "the sources are not where they are looked for"
    );
    found
}

fn collect(directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("the checkout can be read") {
        let path = entry.expect("the checkout can be read").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root())
                .expect("it was found below the root");
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            found.insert(name.to_string_lossy().into_owned(), text);
        }
    }
}

fn none(what: &str, problems: Vec<String>) {
    assert!(problems.is_empty(), "{what}:\n  {}", problems.join("\n  "));
}

/// The part of a file before its unit tests, which may unwrap and panic.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/")
        || name.contains("/tests/")
        || name.contains("/tests.rs")
        || name.ends_with("_tests.rs")
        || name.contains("/examples/")
}

#[test]
fn crates_depend_on_each_other_only_along_the_allowed_edges() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let names: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let Some((_, allowed)) = EDGES.iter().find(|(from, _)| *from == name) else {
            problems.push(format!("{name} is not in the table of edges"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            if names.contains(to) && !allowed.contains(&to) {
                problems.push(format!("{name} may not depend on {to}"));
            }
        }
    }
    none("edges that the design does not have", problems);
}

#[test]
fn every_file_says_what_it_is() {
    let silent = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| name);
    none(
        "files without a module doc in their first line",
        silent.collect(),
    );
}

#[test]
fn no_file_is_long() {
    let long = sources().into_iter().filter_map(|(name, text)| {
        let lines = text.lines().count();
        (lines > MOST_LINES).then(|| format!("{name}: {lines} lines"))
    });
    none("files to split by what they are about", long.collect());
}

#[test]
fn nothing_is_left_unfinished() {
    // Spelled in pieces, so that this file passes its own test.
    let words = [
        concat!("todo", "!("),
        concat!("unimpl", "emented!("),
        concat!("FIX", "ME"),
        concat!("place", "holder"),
        concat!("for ", "now"),
        concat!("not yet ", "implemented"),
    ];
    let mut problems = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                problems.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("unfinished work", problems);
}

#[test]
fn a_panic_that_the_code_rules_out_says_why() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if is_test(&name) {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            if line.contains(".unwrap()") && !line.trim_start().starts_with("//") {
                problems.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(
        "unwraps without their reason: use expect(\"why it holds\")",
        problems,
    );
}

#[test]
fn a_silenced_lint_has_its_reason_beside_it() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let silenced = line.trim_start().starts_with("#[allow(")
                || line.trim_start().starts_with("#![allow(")
                || line.trim_start().starts_with("#[ignore");
            let above = number.checked_sub(1).map_or("", |n| lines[n].trim_start());
            let reason = line.contains("reason") || line.contains("//") || above.starts_with("//");
            if silenced && !reason {
                problems.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("lints silenced without a reason", problems);
}

#[test]
fn tests_wait_for_conditions_and_not_for_time() {
    let word = concat!("sle", "ep(");
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if is_test(&name) && text.contains(word) {
            problems.push(name);
        }
    }
    none("tests that wait for time to pass", problems);
}

#[test]
fn the_top_level_is_the_one_of_the_design() {
    let strangers = fs::read_dir(root())
        .expect("the checkout can be read")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()));
    none("names that have no place at the top", strangers.collect());
}

#[test]
fn what_is_added_is_registered() {
    let mut problems = Vec::new();
    for (folder, file, line) in LISTS {
        let list = fs::read_to_string(root().join(file)).expect("the list is there");
        let entries = fs::read_dir(root().join(folder)).expect("the folder is there");
        for path in entries.map(|entry| entry.expect("it can be read").path()) {
            // Kinds and controllers are folders; what lies beside them is shared by them.
            let wants_folder = folder.starts_with("server/");
            let name = match wants_folder {
                true if path.is_dir() => path.file_name(),
                false if path.extension().is_some_and(|e| e == "rs") => path.file_stem(),
                _ => None,
            };
            let Some(name) = name
                .and_then(|name| name.to_str())
                .filter(|&name| name != "main")
            else {
                continue;
            };
            if !list.contains(&line.replace("{}", name)) {
                problems.push(format!("{folder}/{name} has no line in {file}"));
            }
        }
    }
    none("forgotten", problems);
}
