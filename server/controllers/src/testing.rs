//! Runs a plan over its test data: each `testdata/NAME.in.yaml` holds what is observed,
//! `NAME.out.yaml` the plan. With `UPDATE=1` in the environment the plans are written.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Checks every case of a controller's folder.
pub(crate) fn check_plans<O: DeserializeOwned, P: Serialize>(
    controller: &str,
    plan: impl Fn(O) -> P,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(controller)
        .join("testdata");
    let mut cases = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder exists") {
        let path = entry.expect("readable").path();
        let name = path.to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".in.yaml") else {
            continue;
        };
        cases += 1;
        let observed =
            serde_json::from_value(read(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let actual = serde_json::to_value(plan(observed)).expect("serializable");
        let out = format!("{stem}.out.yaml");
        if std::env::var_os("UPDATE").is_some() {
            let text = serde_yaml::to_string(&actual).expect("serializable");
            std::fs::write(&out, text).expect("writable");
        }
        let expected = read(Path::new(&out));
        assert!(
            actual == expected,
            "{name}: the plan is\n{}",
            serde_yaml::to_string(&actual).expect("serializable")
        );
    }
    assert!(cases > 0, "no test data in {}", folder.display());
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("{}: {error}", path.display());
    });
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
