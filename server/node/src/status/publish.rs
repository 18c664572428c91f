//! Brings statuses to the API server: only what has changed, again and again until it is there.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::pod::spec;

/// How long to wait before the second attempt; doubled up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// What became of a report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The API server holds it now.
    Stored,
    /// The pod is gone, or another one has its name.
    Gone,
}

/// Reports `status` of the pod that has this uid in the API, retrying until the server took or refused it.
pub(crate) async fn report(
    pods: &Api<Pod>,
    name: &str,
    uid: &str,
    old: &PodStatus,
    status: &PodStatus,
) -> Outcome {
    let mut wait = FIRST;
    let Some(body) = patch(uid, old, status) else {
        return Outcome::Stored;
    };
    loop {
        let patch = Patch::Strategic(&body);
        match pods
            .patch_status(name, &PatchParams::default(), &patch)
            .await
        {
            Ok(_) => return Outcome::Stored,
            // A uid that differs is a conflict: the pod of that uid is gone.
            Err(kube::Error::Api(refused)) if matches!(refused.code, 404 | 409) => {
                return Outcome::Gone;
            }
            Err(kube::Error::Api(refused)) if matches!(refused.code, 400 | 403 | 422) => {
                tracing::error!(pod = name, error = %refused.message, "pod status refused");
                return Outcome::Stored;
            }
            Err(error) => {
                tracing::warn!(pod = name, %error, "pod status not reported, trying again");
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}

/// The strategic merge patch that makes one status of another; `None` when they are the same.
///
/// Conditions are merged by type and the lists of container statuses are replaced whole,
/// as their schema says.
fn patch(uid: &str, old: &PodStatus, new: &PodStatus) -> Option<Value> {
    let old = serde_json::to_value(old).unwrap_or_default();
    let new = serde_json::to_value(new).unwrap_or_default();
    let mut change = serde_json::Map::new();
    let fields = new.as_object()?;
    for (field, value) in fields {
        if old.get(field) == Some(value) {
            continue;
        }
        if field == "conditions" {
            change.insert(field.clone(), changed_conditions(&old, value));
        } else {
            change.insert(field.clone(), value.clone());
        }
    }
    for field in old.as_object()?.keys() {
        if !fields.contains_key(field) {
            change.insert(field.clone(), Value::Null);
        }
    }
    let body = json!({"metadata": {"uid": uid}, "status": change});
    (!change.is_empty()).then_some(body)
}

/// Conditions that differ; a field that went away is named with `null`, or merging would keep it.
fn changed_conditions(old: &Value, new: &Value) -> Value {
    let before = old["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut changed = Vec::new();
    for condition in new.as_array().into_iter().flatten() {
        let same_type = before.iter().find(|c| c["type"] == condition["type"]);
        if same_type == Some(condition) {
            continue;
        }
        let mut condition = condition.clone();
        for field in same_type.and_then(Value::as_object).into_iter().flatten() {
            if condition.get(field.0).is_none() {
                condition[field.0] = Value::Null;
            }
        }
        changed.push(condition);
    }
    Value::Array(changed)
}

/// The status that the API server holds, as a base for the next one.
pub(crate) fn held(pod: &Pod) -> PodStatus {
    pod.status.clone().unwrap_or_default()
}

/// The pods of a namespace.
pub(crate) fn pods(client: &kube::Client, pod: &Pod) -> Api<Pod> {
    Api::namespaced(client.clone(), spec::namespace(pod))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodCondition;

    use super::*;

    fn ready(status: &str, message: Option<&str>) -> PodStatus {
        PodStatus {
            phase: Some("Running".to_owned()),
            conditions: Some(vec![PodCondition {
                type_: "Ready".to_owned(),
                status: status.to_owned(),
                message: message.map(str::to_owned),
                ..PodCondition::default()
            }]),
            ..PodStatus::default()
        }
    }

    #[test]
    fn a_status_that_has_not_changed_is_not_sent() {
        let status = ready("True", None);
        assert_eq!(patch("u", &status, &status), None);
    }

    #[test]
    fn a_message_that_went_away_is_removed_by_name() {
        let change = patch("u", &ready("False", Some("why")), &ready("True", None));
        let expected = json!({
            "metadata": {"uid": "u"},
            "status": {"conditions": [{"type": "Ready", "status": "True", "message": null}]},
        });
        assert_eq!(change, Some(expected));
    }
}
