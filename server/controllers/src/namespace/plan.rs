//! The conditions of a namespace that is being emptied, and whether it may go. No I/O.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition, NamespaceStatus};
use serde::{Deserialize, Serialize};

use client::object::time;

/// The finalizer that this controller takes away.
const KUBERNETES: &str = "kubernetes";
/// The delay before the first second look; it grows with the age of the deletion.
const SHORTEST_MILLIS: u64 = 100;
/// The longest delay between two looks.
const LONGEST_MILLIS: u64 = 10_000;

/// What is left of a kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Content {
    /// The kind: `pods`, `deployments.apps`.
    pub(crate) resource: String,
    /// How many objects remain.
    pub(crate) remaining: usize,
    /// How many of them wait for which finalizer.
    pub(crate) finalizers: BTreeMap<String, usize>,
    /// Why they could not be deleted.
    pub(crate) error: Option<String>,
}

/// What a plan is made from.
#[derive(Debug, Deserialize)]
pub(crate) struct Observed {
    /// The namespace.
    pub(crate) namespace: Namespace,
    /// What is left of each kind, or why the kinds are not known.
    pub(crate) contents: Result<Vec<Content>, String>,
    /// The time.
    pub(crate) now: Timestamp,
}

/// What is to be done.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// The status, with its conditions.
    pub(crate) status: NamespaceStatus,
    /// The finalizers that are left when nothing else is.
    pub(crate) finalize: Option<Vec<String>>,
    /// When to look again.
    pub(crate) again_in_millis: Option<u64>,
}

/// Whether there is work: the namespace is being deleted and our finalizer holds it.
pub(crate) fn is_to_be_emptied(namespace: &Namespace) -> bool {
    let spec = namespace.spec.as_ref();
    let mut finalizers = spec
        .and_then(|s| s.finalizers.as_ref())
        .into_iter()
        .flatten();
    namespace.metadata.deletion_timestamp.is_some() && finalizers.any(|f| f == KUBERNETES)
}

/// Decides.
pub(crate) fn plan(observed: &Observed) -> Plan {
    let mut status = observed.namespace.status.clone().unwrap_or_default();
    status.phase = Some("Terminating".to_owned());
    let none = Vec::new();
    let contents = observed.contents.as_ref().unwrap_or(&none);
    let failures: Vec<&str> = contents.iter().filter_map(|c| c.error.as_deref()).collect();
    let left: Vec<&Content> = contents.iter().filter(|c| c.remaining > 0).collect();
    let mut set = |kind: &str, bad: bool, reason: &str, message: String| {
        set_condition(&mut status, kind, bad, reason, message, observed.now);
    };
    match &observed.contents {
        Ok(_) => set(
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        Err(error) => set(
            "NamespaceDeletionDiscoveryFailure",
            true,
            "DiscoveryFailed",
            format!("Discovery failed for some groups, 1 failing: {error}"),
        ),
    }
    set(
        "NamespaceDeletionGroupVersionParsingFailure",
        false,
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed".to_owned(),
    );
    match failures.first() {
        None => set(
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        Some(first) => set(
            "NamespaceDeletionContentFailure",
            true,
            "ContentDeletionFailed",
            format!(
                "Failed to delete all resource types, {} remaining: {first}",
                failures.len()
            ),
        ),
    }
    match left.is_empty() {
        true => set(
            "NamespaceContentRemaining",
            false,
            "ContentRemoved",
            "All content successfully removed".to_owned(),
        ),
        false => set(
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", remaining(&left)),
        ),
    }
    let waiting = finalizers(&left);
    match waiting.is_empty() {
        true => set(
            "NamespaceFinalizersRemaining",
            false,
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        ),
        false => set(
            "NamespaceFinalizersRemaining",
            true,
            "SomeFinalizersRemain",
            format!("Some content in the namespace has finalizers remaining: {waiting}"),
        ),
    }
    let empty = observed.contents.is_ok() && failures.is_empty() && left.is_empty();
    Plan {
        status,
        finalize: empty.then(|| other_finalizers(&observed.namespace)),
        again_in_millis: (!empty).then(|| delay(observed)),
    }
}

/// A tenth of the time that the deletion has taken so far: quick at first, patient later.
fn delay(observed: &Observed) -> u64 {
    let since = observed.namespace.metadata.deletion_timestamp.as_ref();
    let age = since.map_or(0, |t| observed.now.duration_since(t.0).as_millis());
    let tenth = u64::try_from(age / 10).unwrap_or(0);
    tenth.clamp(SHORTEST_MILLIS, LONGEST_MILLIS)
}

fn remaining(left: &[&Content]) -> String {
    let texts = left.iter().map(|c| {
        let Content {
            resource,
            remaining,
            ..
        } = c;
        format!("{resource} has {remaining} resource instances")
    });
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts.join(", ")
}

fn finalizers(left: &[&Content]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (finalizer, count) in left.iter().flat_map(|c| &c.finalizers) {
        *counts.entry(finalizer).or_default() += count;
    }
    let texts = counts
        .iter()
        .map(|(f, n)| format!("{f} in {n} resource instances"));
    texts.collect::<Vec<_>>().join(", ")
}

fn other_finalizers(namespace: &Namespace) -> Vec<String> {
    let spec = namespace.spec.as_ref();
    let all = spec
        .and_then(|s| s.finalizers.as_ref())
        .into_iter()
        .flatten();
    all.filter(|f| *f != KUBERNETES).cloned().collect()
}

fn set_condition(
    status: &mut NamespaceStatus,
    kind: &str,
    bad: bool,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let value = if bad { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let mut new = NamespaceCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(time(now)),
    };
    match conditions.iter_mut().find(|c| c.type_ == kind) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.take();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("namespace", |observed| super::plan(&observed));
    }
}
