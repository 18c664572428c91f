//! The REST API, driven over HTTP: each test has a server of its own.

mod access;
mod bad_input;
mod deletes;
mod discovery;
mod durability;
mod mutations;
mod patches;
mod reads;
mod tables;
mod watches;
mod writes;

use serde_json::{Value, json};

/// Where the ConfigMaps of the default namespace are.
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A ConfigMap with one key.
fn map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"key": value},
    })
}

/// The path of a ConfigMap in the default namespace.
fn at(name: &str) -> String {
    format!("{MAPS}/{name}")
}

/// The names of a list's items, in its order.
fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("a list has items");
    items
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect()
}
