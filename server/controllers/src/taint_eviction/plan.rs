//! Whether a pod must leave its node, and when. No I/O.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, Taint, Toleration};
use serde::{Deserialize, Serialize};

/// What a plan is made from.
#[derive(Debug, Deserialize)]
pub(crate) struct Observed {
    /// The pod.
    pub(crate) pod: Pod,
    /// The `NoExecute` taints of its node.
    pub(crate) taints: Vec<Taint>,
    /// The time.
    pub(crate) now: Timestamp,
}

/// What is to be done.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    /// Nothing drives the pod away.
    Stay,
    /// The pod's toleration ends later.
    Wait { millis: u64 },
    /// Delete the pod.
    Evict,
}

/// Decides. Of the tolerations that match, the shortest counts, from when the taint was added.
pub(crate) fn plan(observed: &Observed) -> Action {
    let pod = &observed.pod;
    if pod.metadata.deletion_timestamp.is_some() {
        return Action::Stay;
    }
    let spec = pod.spec.as_ref();
    let tolerations = spec
        .and_then(|s| s.tolerations.as_deref())
        .unwrap_or_default();
    let mut end: Option<SignedDuration> = None;
    for taint in &observed.taints {
        let mut matching = tolerations
            .iter()
            .filter(|t| tolerates(t, taint))
            .peekable();
        if matching.peek().is_none() {
            return Action::Evict;
        }
        let Some(seconds) = matching.filter_map(|t| t.toleration_seconds).min() else {
            continue;
        };
        let added = taint.time_added.as_ref().map_or(observed.now, |t| t.0);
        let left = SignedDuration::from_secs(seconds.max(0)) - observed.now.duration_since(added);
        end = Some(end.map_or(left, |end| end.min(left)));
    }
    match end {
        None => Action::Stay,
        Some(left) if left <= SignedDuration::ZERO => Action::Evict,
        Some(left) => Action::Wait {
            millis: u64::try_from(left.as_millis()).unwrap_or(u64::MAX) + 1,
        },
    }
}

/// Whether a toleration matches a `NoExecute` taint. An empty key with `Exists` matches all.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let is_or_empty = |field: &Option<String>, value: &str| {
        field.as_deref().is_none_or(|f| f.is_empty() || f == value)
    };
    if !is_or_empty(&toleration.effect, &taint.effect) || !is_or_empty(&toleration.key, &taint.key)
    {
        return false;
    }
    match toleration.operator.as_deref() {
        Some("Exists") => true,
        None | Some("" | "Equal") => {
            toleration.value.as_deref().unwrap_or_default()
                == taint.value.as_deref().unwrap_or_default()
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("taint_eviction", |observed| super::plan(&observed));
    }
}
