//! The status of a Deployment: counts, and the conditions Available, Progressing and
//! ReplicaFailure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetStatus,
};

use super::plan::{Draft, Plan};
use super::{numbers, sets};
use client::object::time;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// A condition that changes now.
fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: impl Into<String>,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(kind.to_owned()),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.into()),
        last_update_time: Some(time(now)),
        last_transition_time: Some(time(now)),
    }
}

fn find<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    let conditions = status.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_.as_deref() == Some(kind))
}

fn remove(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|c| c.type_.as_deref() != Some(kind));
    }
    status.conditions = status.conditions.take().filter(|c| !c.is_empty());
}

/// Sets a condition, unless one with the same status and reason is there. The transition time is
/// that of the last change of its status.
fn set(status: &mut DeploymentStatus, mut new: DeploymentCondition) {
    let kind = new.type_.clone().unwrap_or_default();
    if let Some(old) = find(status, &kind) {
        if old.status == new.status && old.reason == new.reason {
            return;
        }
        if old.status == new.status {
            new.last_transition_time = old.last_transition_time.clone();
        }
    }
    remove(status, &kind);
    status.conditions.get_or_insert_default().push(new);
}

fn progressing_reason(status: &DeploymentStatus) -> Option<&str> {
    find(status, PROGRESSING)?.reason.as_deref()
}

/// The seconds in which a rollout must make progress, if it must.
fn deadline(deployment: &Deployment) -> Option<i32> {
    let seconds = deployment.spec.progress_deadline_seconds;
    seconds.filter(|seconds| *seconds != i32::MAX)
}

/// Notes in the condition Progressing that the Deployment was paused or resumed, so that the time it
/// rests does not count against its deadline.
pub(super) fn note_pause(draft: &mut Draft<'_>) {
    let reason = progressing_reason(&draft.status);
    if deadline(draft.deployment).is_none() || reason == Some(TIMED_OUT) {
        return;
    }
    let paused = draft.deployment.spec.paused == Some(true);
    let noted = reason == Some(PAUSED);
    let new = match (paused, noted) {
        (true, false) => (PAUSED, "Deployment is paused"),
        (false, true) => ("DeploymentResumed", "Deployment is resumed"),
        _ => return,
    };
    let new = condition(PROGRESSING, "Unknown", new.0, new.1, draft.now);
    set(&mut draft.status, new);
}

/// Notes that the ReplicaSet of the template is there already, if nothing else is known.
pub(super) fn note_found(draft: &mut Draft<'_>, name: &str) {
    let known = find(&draft.status, PROGRESSING).is_some();
    if deadline(draft.deployment).is_some() && !known {
        let text = format!("Found new replica set \"{name}\"");
        let new = condition(PROGRESSING, "True", "FoundNewReplicaSet", text, draft.now);
        set(&mut draft.status, new);
    }
}

/// Notes that a ReplicaSet is made for the template.
pub(super) fn note_created(draft: &mut Draft<'_>, name: &str) {
    if deadline(draft.deployment).is_some() {
        let text = format!("Created new replica set \"{name}\"");
        let new = condition(PROGRESSING, "True", "NewReplicaSetCreated", text, draft.now);
        set(&mut draft.status, new);
    }
}

/// The status after a ReplicaSet could not be made.
pub(crate) fn with_creation_failure(
    deployment: &Deployment,
    name: &str,
    message: &str,
    now: Timestamp,
) -> DeploymentStatus {
    let mut status = deployment.status.clone().unwrap_or_default();
    if deadline(deployment).is_some() {
        let text = format!("Failed to create new replica set \"{name}\": {message}");
        let new = condition(PROGRESSING, "False", "ReplicaSetCreateError", text, now);
        set(&mut status, new);
    }
    status
}

/// Whether the status that was last written says that the rollout is complete.
pub(super) fn is_complete(draft: &Draft<'_>) -> bool {
    let status = draft.deployment.status.clone().unwrap_or_default();
    complete_with(draft.deployment, &status)
}

fn complete_with(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = numbers::replicas(deployment);
    status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
        && status.observed_generation >= deployment.metadata.generation
}

/// Turns a draft into a plan: counts the ReplicaSets and sets the conditions. `rolls_out` is whether
/// progress is expected.
pub(super) fn complete(draft: Draft<'_>, rolls_out: bool) -> Plan {
    let mut status = count(&draft);
    if rolls_out {
        note_progress(&draft, &mut status);
    }
    let again_in_seconds = match rolls_out {
        true => deadline_in(draft.deployment, &status, draft.now),
        false => None,
    };
    Plan {
        actions: draft.actions,
        status,
        again_in_seconds,
    }
}

fn count(draft: &Draft<'_>) -> DeploymentStatus {
    let of = |field: fn(&ReplicaSetStatus) -> i32| -> i32 {
        let statuses = draft.all().filter_map(|set| set.status.as_ref());
        statuses.map(field).sum()
    };
    let total: i32 = draft.all().map(sets::replicas).sum();
    let available = of(|s| s.available_replicas.unwrap_or(0));
    let new = draft.new.as_ref().and_then(|set| set.status.as_ref());
    let some = |number: i32| (number != 0).then_some(number);
    let mut status = DeploymentStatus {
        observed_generation: draft.deployment.metadata.generation,
        replicas: some(of(|s| s.replicas)),
        updated_replicas: some(new.map_or(0, |s| s.replicas)),
        ready_replicas: some(of(|s| s.ready_replicas.unwrap_or(0))),
        available_replicas: some(available),
        unavailable_replicas: some((total - available).max(0)),
        terminating_replicas: Some(of(|s| s.terminating_replicas.unwrap_or(0))),
        collision_count: draft.status.collision_count,
        conditions: draft.status.conditions.clone(),
    };
    let wanted = numbers::replicas(draft.deployment);
    let enough = available >= wanted - numbers::max_unavailable(draft.deployment);
    let (value, reason, text) = match enough {
        true => (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        ),
        false => (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ),
    };
    set(
        &mut status,
        condition(AVAILABLE, value, reason, text, draft.now),
    );
    status
}

fn note_progress(draft: &Draft<'_>, status: &mut DeploymentStatus) {
    let deployment = draft.deployment;
    match deadline(deployment) {
        None => remove(status, PROGRESSING),
        Some(_) if rests(status) => {}
        Some(seconds) => judge(draft, status, seconds),
    }
    let all = draft.all().filter_map(failure);
    // The new ReplicaSet's failure says more than those of old ones.
    match draft.new.as_ref().and_then(failure).or_else(|| all.last()) {
        Some(failure) => set(status, failure),
        None => remove(status, FAILURE),
    }
}

/// Whether a rollout was complete already and nothing has happened since.
fn rests(status: &DeploymentStatus) -> bool {
    status.replicas == status.updated_replicas && progressing_reason(status) == Some(COMPLETE)
}

fn judge(draft: &Draft<'_>, status: &mut DeploymentStatus, seconds: i32) {
    let subject = match &draft.new {
        Some(new) => format!("ReplicaSet \"{}\"", sets::name(new)),
        None => {
            let name = draft
                .deployment
                .metadata
                .name
                .as_deref()
                .unwrap_or_default();
            format!("Deployment \"{name}\"")
        }
    };
    let now = draft.now;
    if complete_with(draft.deployment, status) {
        let text = format!("{subject} has successfully progressed.");
        set(status, condition(PROGRESSING, "True", COMPLETE, text, now));
    } else if progressed(draft.deployment, status) {
        let text = format!("{subject} is progressing.");
        let mut new = condition(PROGRESSING, "True", "ReplicaSetUpdated", text, now);
        if let Some(old) = find(status, PROGRESSING) {
            if old.status.as_deref() == Some("True") {
                new.last_transition_time = old.last_transition_time.clone();
            }
            // Progress renews the update time, from which the deadline counts.
            remove(status, PROGRESSING);
        }
        set(status, new);
    } else if timed_out(status, seconds, now) {
        let text = format!("{subject} has timed out progressing.");
        set(
            status,
            condition(PROGRESSING, "False", TIMED_OUT, text, now),
        );
    }
}

/// Whether the counts moved in the right direction since the status was last written.
fn progressed(deployment: &Deployment, new: &DeploymentStatus) -> bool {
    let old = deployment.status.clone().unwrap_or_default();
    let updated = |s: &DeploymentStatus| s.updated_replicas.unwrap_or(0);
    let outdated = |s: &DeploymentStatus| s.replicas.unwrap_or(0) - updated(s);
    updated(new) > updated(&old)
        || outdated(new) < outdated(&old)
        || new.ready_replicas.unwrap_or(0) > old.ready_replicas.unwrap_or(0)
        || new.available_replicas.unwrap_or(0) > old.available_replicas.unwrap_or(0)
}

fn timed_out(status: &DeploymentStatus, seconds: i32, now: Timestamp) -> bool {
    match progressing_reason(status) {
        None | Some(COMPLETE) => false,
        Some(TIMED_OUT) => true,
        Some(_) => left(status, seconds, now).is_some_and(|left| left.is_negative()),
    }
}

fn left(status: &DeploymentStatus, seconds: i32, now: Timestamp) -> Option<SignedDuration> {
    let since = find(status, PROGRESSING)?.last_update_time.as_ref()?.0;
    Some(SignedDuration::from_secs(i64::from(seconds)) - now.duration_since(since))
}

/// The seconds until the deadline will have passed, for a rollout that is neither complete nor late.
fn deadline_in(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<i64> {
    let seconds = deadline(deployment)?;
    let reason = progressing_reason(status)?;
    if complete_with(deployment, status) || reason == TIMED_OUT || reason == COMPLETE {
        return None;
    }
    Some(left(status, seconds, now)?.as_secs().max(0) + 1)
}

/// The failure that a ReplicaSet reports, as a condition of the Deployment.
fn failure(set: &ReplicaSet) -> Option<DeploymentCondition> {
    let conditions = set.status.as_ref()?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|c| c.type_.as_deref() == Some(FAILURE))?;
    Some(DeploymentCondition {
        type_: found.type_.clone(),
        status: found.status.clone(),
        reason: found.reason.clone(),
        message: found.message.clone(),
        last_update_time: found.last_transition_time.clone(),
        last_transition_time: found.last_transition_time.clone(),
    })
}
