//! DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or unreachable. A change
//! that leaves out what this has added is no change of it.

use api::kind::Part;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Plugin, Review};
use crate::error::Result;

const SECONDS: i64 = 300;
const TAINTS: &[&str] = &[
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];

/// The plugin.
pub(super) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        if review.is("", "pods") && review.part == Part::Main {
            tolerate(&mut object["spec"]);
        }
        Ok(())
    }
}

fn tolerate(spec: &mut Value) {
    for taint in TAINTS {
        let tolerated = api::meta::list(&spec["tolerations"])
            .iter()
            .any(|toleration| covers(toleration, taint));
        if tolerated {
            continue;
        }
        let toleration = json!({
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": SECONDS,
        });
        match spec["tolerations"].as_array_mut() {
            Some(tolerations) => tolerations.push(toleration),
            None => spec["tolerations"] = json!([toleration]),
        }
    }
}

/// Whether a toleration says something about a taint already, by its key or for all keys.
fn covers(toleration: &Value, taint: &str) -> bool {
    let text = |field: &str| toleration[field].as_str().unwrap_or_default();
    matches!(text("key"), key if key == taint || key.is_empty())
        && matches!(text("effect"), "NoExecute" | "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_taints_are_tolerated_for_five_minutes() {
        let mut spec = json!({});
        tolerate(&mut spec);
        let tolerations = spec["tolerations"].as_array().unwrap();
        assert_eq!(tolerations.len(), 2);
        assert_eq!(tolerations[1]["key"], "node.kubernetes.io/unreachable");
        assert_eq!(tolerations[1]["tolerationSeconds"], 300);
    }

    #[test]
    fn what_the_pod_says_itself_counts() {
        let own = json!([{"key": TAINTS[0], "operator": "Exists", "tolerationSeconds": 5}]);
        let mut spec = json!({ "tolerations": own });
        tolerate(&mut spec);
        assert_eq!(spec["tolerations"].as_array().unwrap().len(), 2);
        assert_eq!(spec["tolerations"][0]["tolerationSeconds"], 5);
        let mut all = json!({"tolerations": [{"operator": "Exists"}]});
        tolerate(&mut all);
        assert_eq!(all["tolerations"].as_array().unwrap().len(), 1);
    }
}
