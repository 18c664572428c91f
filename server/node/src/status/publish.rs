//! Brings statuses to the API server: only what has changed, again and again until it is there.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::pod::spec;

/// How long to wait before the second attempt; doubled up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// The object that a status is reported to: for a static pod its mirror.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    uid: String,
    /// What the API server holds.
    held: PodStatus,
}

impl Target {
    /// The object itself.
    pub(crate) fn of(pod: &Pod) -> Self {
        Self {
            uid: spec::uid(pod).to_owned(),
            held: held(pod),
        }
    }
}

/// What to report, where.
#[derive(Clone, Default)]
struct Wanted {
    /// Raised with every status.
    version: u64,
    status: Option<PodStatus>,
    target: Option<Target>,
}

/// Reports the statuses of one pod one after the other; only the newest counts.
pub(crate) struct Publisher {
    wanted: watch::Sender<Wanted>,
    /// The version that the API server holds, or would not take.
    stored: watch::Receiver<u64>,
}

impl Publisher {
    /// Reports to `target`, or to nobody until there is one.
    pub(crate) fn new(client: kube::Client, pod: &Pod, target: Option<Target>) -> Self {
        let wanted = watch::Sender::new(Wanted {
            target,
            ..Wanted::default()
        });
        let (sender, stored) = watch::channel(0);
        let pods = pods(&client, pod);
        let name = spec::name(pod).to_owned();
        tokio::spawn(report_all(pods, name, wanted.subscribe(), sender));
        Self { wanted, stored }
    }

    /// Reports a status as soon as possible.
    pub(crate) fn publish(&self, status: PodStatus) {
        self.wanted.send_modify(|wanted| {
            wanted.version += 1;
            wanted.status = Some(status);
        });
    }

    /// Reports to another object from now on: the same status again.
    pub(crate) fn aim(&self, target: Option<Target>) {
        self.wanted.send_if_modified(|wanted| {
            let uid = |target: &Option<Target>| target.as_ref().map(|t| t.uid.clone());
            let other = uid(&wanted.target) != uid(&target);
            if other {
                wanted.target = target;
            }
            other
        });
    }

    /// Resolves when everything published so far has arrived, or has nobody to arrive at.
    pub(crate) fn stored(&self) -> impl Future<Output = ()> + use<> {
        let (version, aimed) = {
            let wanted = self.wanted.borrow();
            (wanted.version, wanted.target.is_some())
        };
        let mut stored = self.stored.clone();
        async move {
            if aimed {
                // A closed channel has nobody left to report.
                let _ = stored.wait_for(|&stored| stored >= version).await;
            }
        }
    }
}

async fn report_all(
    pods: Api<Pod>,
    name: String,
    mut wanted: watch::Receiver<Wanted>,
    stored: watch::Sender<u64>,
) {
    let mut target: Option<Target> = None;
    loop {
        let now = wanted.borrow_and_update().clone();
        let same = match (&target, &now.target) {
            (Some(old), Some(new)) => old.uid == new.uid,
            _ => false,
        };
        if !same {
            target.clone_from(&now.target);
        }
        if let (Some(target), Some(status)) = (&mut target, now.status) {
            report(&pods, &name, target, &status, &wanted).await;
            target.held = status;
        }
        stored.send_replace(now.version);
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// Reports one status until the server has taken or refused it, or a newer one takes its place.
async fn report(
    pods: &Api<Pod>,
    name: &str,
    target: &Target,
    status: &PodStatus,
    wanted: &watch::Receiver<Wanted>,
) {
    let Some(body) = patch(&target.uid, &target.held, status) else {
        return;
    };
    let mut wait = FIRST;
    loop {
        let patch = Patch::Strategic(&body);
        let params = PatchParams::default();
        match pods.patch_status(name, &params, &patch).await {
            Ok(_) => return,
            Err(kube::Error::Api(refused)) if (400..500).contains(&refused.code) => {
                // 404 and 409: the pod of this uid is gone, which the agent learns by its watch.
                if !matches!(refused.code, 404 | 409) {
                    tracing::error!(pod = name, error = %refused.message, "pod status refused");
                }
                if refused.code != 429 {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(pod = name, %error, "pod status not reported, trying again");
            }
        }
        if wanted.has_changed().is_err() {
            return;
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
