//! The quality of service that the resources of a pod ask for.

use serde_json::Value;

use crate::kinds::read::items;
use crate::meta::quantity::Quantity;

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn class(spec: &Value) -> &'static str {
    if spec["resources"].is_object() {
        return of(&spec["resources"]);
    }
    let all = items(spec, "initContainers")
        .iter()
        .chain(items(spec, "containers"));
    combine(all.map(|c| of(&c["resources"])))
}

/// All of one class, or `Burstable`.
fn combine(classes: impl Iterator<Item = &'static str>) -> &'static str {
    let mut result = None;
    for class in classes {
        if *result.get_or_insert(class) != class {
            return "Burstable";
        }
    }
    result.unwrap_or("BestEffort")
}

fn of(resources: &Value) -> &'static str {
    combine(["cpu", "memory"].into_iter().map(|name| {
        let amount = |list: &str| -> Quantity {
            let text = resources[list][name].as_str().unwrap_or("0");
            text.parse().unwrap_or_default()
        };
        let (request, limit) = (amount("requests"), amount("limits"));
        if request != limit {
            "Burstable"
        } else if request.is_zero() {
            "BestEffort"
        } else {
            "Guaranteed"
        }
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class_of(resources: &[Value]) -> &'static str {
        let containers: Vec<Value> = resources
            .iter()
            .map(|r| json!({"name": "c", "resources": r}))
            .collect();
        class(&json!({"containers": containers}))
    }

    #[test]
    fn equal_requests_and_limits_of_both_resources_are_guaranteed() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let full = json!({"requests": both, "limits": both});
        assert_eq!(class_of(std::slice::from_ref(&full)), "Guaranteed");
        assert_eq!(class_of(&[full, json!({})]), "Burstable");
    }

    #[test]
    fn a_request_alone_is_burstable_and_nothing_is_best_effort() {
        assert_eq!(class_of(&[json!({"requests": {"cpu": "1m"}})]), "Burstable");
        assert_eq!(class_of(&[json!({}), json!({})]), "BestEffort");
    }
}
