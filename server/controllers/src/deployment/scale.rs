//! Scaling a Deployment that is not rolling out: paused, or caught by a change of `spec.replicas`
//! in the middle of a rollout. The difference is shared out in proportion to the sizes.

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::plan::{Draft, Which};
use super::{numbers, sets};

/// Brings the ReplicaSets to the size that the Deployment asks for, in proportion.
pub(super) fn scale(draft: &mut Draft<'_>) {
    let wanted = numbers::replicas(draft.deployment);
    if let Some(only) = active_or_latest(draft) {
        if sets::replicas(get(draft, only)) != wanted {
            draft.resize(only, wanted);
        }
        return;
    }
    if draft
        .new
        .as_ref()
        .is_some_and(|new| is_saturated(draft, new))
    {
        for index in 0..draft.old.len() {
            if sets::replicas(&draft.old[index]) > 0 {
                draft.resize(Which::Old(index), 0);
            }
        }
        return;
    }
    if numbers::is_rolling(draft.deployment) {
        share(draft);
    }
}

fn get<'a>(draft: &'a Draft<'_>, which: Which) -> &'a ReplicaSet {
    match (which, &draft.new) {
        (Which::Old(index), _) => &draft.old[index],
        (Which::New, Some(new)) => new,
        (Which::New, None) => unreachable!("only an existing ReplicaSet is named `New`"),
    }
}

/// The active ReplicaSets.
fn active(draft: &Draft<'_>) -> Vec<Which> {
    let old = (0..draft.old.len()).map(Which::Old);
    let all = old.chain(draft.new.as_ref().map(|_| Which::New));
    all.filter(|which| sets::replicas(get(draft, *which)) > 0)
        .collect()
}

/// The only active ReplicaSet, or if none is active the latest; `None` if several are.
fn active_or_latest(draft: &Draft<'_>) -> Option<Which> {
    match active(draft)[..] {
        [] if draft.new.is_some() => Some(Which::New),
        [] => draft.old.len().checked_sub(1).map(Which::Old),
        [only] => Some(only),
        _ => None,
    }
}

/// Whether the new ReplicaSet has all the replicas, and they are available.
fn is_saturated(draft: &Draft<'_>, new: &ReplicaSet) -> bool {
    let wanted = numbers::replicas(draft.deployment);
    let recorded = sets::number(new, sets::DESIRED);
    sets::replicas(new) == wanted
        && recorded == Some(i64::from(wanted))
        && sets::available(new) == wanted
}

fn share(draft: &mut Draft<'_>) {
    let wanted = numbers::replicas(draft.deployment);
    let mut active = active(draft);
    let has: i32 = active
        .iter()
        .map(|which| sets::replicas(get(draft, *which)))
        .sum();
    let allowed = match wanted {
        0 => 0,
        _ => wanted + numbers::max_surge(draft.deployment),
    };
    let difference = allowed - has;
    sort(draft, &mut active, difference > 0);
    let mut shared = 0;
    let mut targets = Vec::with_capacity(active.len());
    for which in active {
        let set = get(draft, which);
        let part = proportion(draft, set, difference, shared);
        shared += part;
        targets.push((which, sets::replicas(set) + part));
    }
    if let Some((_, first)) = targets.first_mut() {
        // What rounding has left over goes to the largest.
        *first = (*first + difference - shared).max(0);
    }
    for (which, target) in targets {
        draft.resize(which, target);
    }
}

/// Sorts by size, the largest first; among equals the newest first when scaling up, the oldest first
/// when scaling down.
fn sort(draft: &Draft<'_>, sets: &mut [Which], up: bool) {
    let age = |which: Which| {
        let set = get(draft, which);
        set.metadata.creation_timestamp.as_ref().map(|t| t.0)
    };
    let size = |which: Which| sets::replicas(get(draft, which));
    sets.sort_by(|&a, &b| {
        let older = age(a).cmp(&age(b));
        let by_age = if up { older.reverse() } else { older };
        size(b).cmp(&size(a)).then(by_age)
    });
}

/// The part of `difference` that a ReplicaSet gets, when `shared` of it is given away already.
fn proportion(draft: &Draft<'_>, set: &ReplicaSet, difference: i32, shared: i32) -> i32 {
    let has = sets::replicas(set);
    if has == 0 || difference == 0 || difference == shared {
        return 0;
    }
    let fraction = fraction(draft, set);
    let allowed = difference - shared;
    if difference > 0 {
        fraction.min(allowed)
    } else {
        fraction.max(allowed)
    }
}

/// How much a ReplicaSet would grow if its share of the Deployment stayed the same.
fn fraction(draft: &Draft<'_>, set: &ReplicaSet) -> i32 {
    let has = sets::replicas(set);
    let wanted = numbers::replicas(draft.deployment);
    if wanted == 0 {
        return -has;
    }
    let most = f64::from(wanted + numbers::max_surge(draft.deployment));
    let status = draft.deployment.status.as_ref();
    let current = status.and_then(|s| s.replicas).unwrap_or(0);
    let recorded = sets::number(set, sets::MAX).and_then(|n| i32::try_from(n).ok());
    let before = recorded.unwrap_or(current);
    if before == 0 {
        return 0;
    }
    let size = (f64::from(has) * most / f64::from(before)).round();
    // A share of an i32, rounded.
    #[expect(clippy::cast_possible_truncation, reason = "within the range of i32")]
    let size = size as i32;
    size - has
}
