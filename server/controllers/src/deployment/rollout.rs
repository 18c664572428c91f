//! Replacing the pods of old ReplicaSets by those of the new one.

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::plan::{Draft, Which};
use super::{numbers, sets, status};
use crate::pods;
use client::object::{controller_of, uid};

/// One step of a rolling update: up or down, never both, as what is up decides how far down to go.
pub(super) fn rolling(draft: &mut Draft<'_>) {
    draft.note_revision(true);
    if scale_new(draft) || scale_old(draft) {
        return;
    }
    if status::is_complete(draft) {
        draft.clean_history();
    }
}

/// One step of a recreation: the new pods come when the old ones are gone.
pub(super) fn recreate(draft: &mut Draft<'_>) {
    draft.note_revision(false);
    let mut scaled = false;
    for index in 0..draft.old.len() {
        if sets::replicas(&draft.old[index]) > 0 {
            scaled |= draft.resize(Which::Old(index), 0);
        }
    }
    if scaled || old_pods_run(draft) {
        return;
    }
    if draft.new.is_none() {
        draft.note_revision(true);
    }
    let wanted = numbers::replicas(draft.deployment);
    if draft
        .new
        .as_ref()
        .is_some_and(|new| sets::replicas(new) != wanted)
    {
        draft.resize(Which::New, wanted);
    }
    if status::is_complete(draft) {
        draft.clean_history();
    }
}

fn old_pods_run(draft: &Draft<'_>) -> bool {
    let status = |set: &ReplicaSet| set.status.as_ref().map_or(0, |s| s.replicas);
    if draft.old.iter().any(|set| status(set) > 0) {
        return true;
    }
    let new = draft.new.as_ref().map_or("", |set| uid(&set.metadata));
    draft.pods.iter().any(|pod| {
        let owner = controller_of(&pod.metadata).map_or("", |o| o.uid.as_str());
        owner != new && !pods::is_terminal(pod)
    })
}

/// How many replicas the new ReplicaSet may have: as many as wanted, within the surge.
pub(super) fn new_replicas(draft: &Draft<'_>, new: &ReplicaSet) -> i32 {
    let deployment = draft.deployment;
    let wanted = numbers::replicas(deployment);
    if !numbers::is_rolling(deployment) {
        return wanted;
    }
    let has = sets::replicas(new);
    let current = sets::total(&draft.old) + has;
    let most = wanted + numbers::max_surge(deployment);
    if current >= most {
        return has;
    }
    has + (most - current).min(wanted - has)
}

fn scale_new(draft: &mut Draft<'_>) -> bool {
    let Some(new) = &draft.new else {
        return false;
    };
    let wanted = numbers::replicas(draft.deployment);
    let has = sets::replicas(new);
    if has == wanted {
        return false;
    }
    let target = if has > wanted {
        wanted
    } else {
        new_replicas(draft, new)
    };
    has != target && draft.resize(Which::New, target)
}

fn scale_old(draft: &mut Draft<'_>) -> bool {
    let old_total = sets::total(&draft.old);
    if old_total == 0 {
        return false;
    }
    let wanted = numbers::replicas(draft.deployment);
    let fewest = wanted - numbers::max_unavailable(draft.deployment);
    let (new_total, new_available) = draft
        .new
        .as_ref()
        .map_or((0, 0), |new| (sets::replicas(new), sets::available(new)));
    // New pods that are not available yet must not be counted on.
    let most = old_total + new_total - fewest - (new_total - new_available);
    if most <= 0 {
        return false;
    }
    let unhealthy = scale_unhealthy(draft, most);
    let healthy = scale_healthy(draft, fewest);
    unhealthy || healthy
}

/// Takes away pods of old ReplicaSets that are not available: nobody misses them.
fn scale_unhealthy(draft: &mut Draft<'_>, most: i32) -> bool {
    let mut left = most;
    let mut scaled = false;
    for index in 0..draft.old.len() {
        let has = sets::replicas(&draft.old[index]);
        let idle = has - sets::available(&draft.old[index]);
        if left <= 0 {
            break;
        }
        if has == 0 || idle <= 0 {
            continue;
        }
        let surplus = left.min(idle);
        scaled |= draft.resize(Which::Old(index), has - surplus);
        left -= surplus;
    }
    scaled
}

/// Takes away pods of old ReplicaSets as long as enough are available.
fn scale_healthy(draft: &mut Draft<'_>, fewest: i32) -> bool {
    let available: i32 = draft.all().map(sets::available).sum();
    let mut left = available - fewest;
    let mut scaled = false;
    for index in 0..draft.old.len() {
        if left <= 0 {
            break;
        }
        let has = sets::replicas(&draft.old[index]);
        if has == 0 {
            continue;
        }
        let surplus = left.min(has);
        scaled |= draft.resize(Which::Old(index), has - surplus);
        left -= surplus;
    }
    scaled
}
