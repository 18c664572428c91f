//! Advice about ServiceAccounts; beyond its metadata there is nothing that can be wrong with one.

use serde_json::Value;

use crate::kinds::read::has;

const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";

pub(super) fn warnings(object: &Value) -> Vec<String> {
    if !has(&object["metadata"]["annotations"], ENFORCE) {
        return Vec::new();
    }
    vec![format!(
        "metadata.annotations[{ENFORCE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
    )]
}
