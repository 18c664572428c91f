//! The ReplicaSets of a Deployment: which is the new one, what they are annotated with.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;

use super::hash::template_hash;
use super::numbers;

/// The label and selector key that tells the ReplicaSets of a Deployment apart.
pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// Which revision of the Deployment a ReplicaSet is; also on the Deployment: the newest.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The revisions that a ReplicaSet was before a rollback made it the newest again.
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// `spec.replicas` of the Deployment when the ReplicaSet was last scaled.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// The same plus `maxSurge`.
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// How long the history annotation may become.
const HISTORY_BYTES: usize = 2000;
/// Annotations of a Deployment that are its own business.
const NOT_COPIED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// The name of a ReplicaSet.
pub(super) fn name(set: &ReplicaSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}

/// `spec.replicas` of a ReplicaSet.
pub(super) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// `spec.replicas` of all of them.
pub(super) fn total(sets: &[ReplicaSet]) -> i32 {
    sets.iter().map(replicas).sum()
}

/// How many pods of a ReplicaSet are available.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    let status = set.status.as_ref();
    status.and_then(|s| s.available_replicas).unwrap_or(0)
}

/// An annotation that holds a number.
pub(super) fn number(set: &ReplicaSet, annotation: &str) -> Option<i64> {
    let annotations = set.metadata.annotations.as_ref()?;
    annotations.get(annotation)?.parse().ok()
}

/// The revision of a ReplicaSet, 0 if it has none.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    number(set, REVISION).unwrap_or(0)
}

/// Sorts by age, the oldest first.
pub(super) fn sort_by_age(sets: &mut [ReplicaSet]) {
    let age = |set: &ReplicaSet| set.metadata.creation_timestamp.as_ref().map(|t| t.0);
    sets.sort_by(|a, b| age(a).cmp(&age(b)).then_with(|| name(a).cmp(name(b))));
}

/// The index of the ReplicaSet that has the Deployment's template: the oldest, if there are several.
pub(super) fn find_new(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<usize> {
    let wanted = &deployment.spec.template;
    sets.iter().position(|set| {
        let template = set.spec.template.as_ref();
        template.is_some_and(|t| same_but_hash(t, wanted))
    })
}

/// Whether two templates are the same but for the hash label.
fn same_but_hash(a: &PodTemplateSpec, b: &PodTemplateSpec) -> bool {
    a.spec == b.spec && without_hash(a.metadata.as_ref()) == without_hash(b.metadata.as_ref())
}

fn without_hash(meta: Option<&ObjectMeta>) -> ObjectMeta {
    let mut meta = meta.cloned().unwrap_or_default();
    if let Some(labels) = &mut meta.labels {
        labels.remove(HASH_LABEL);
    }
    meta.labels = meta.labels.filter(|l| !l.is_empty());
    meta.annotations = meta.annotations.filter(|a| !a.is_empty());
    meta.creation_timestamp = None;
    meta
}

/// A ReplicaSet for the Deployment's template, without replicas or annotations.
pub(super) fn make(deployment: &Deployment) -> ReplicaSet {
    let collisions = deployment.status.as_ref().and_then(|s| s.collision_count);
    let hash = template_hash(&deployment.spec.template, collisions);
    let mut template = deployment.spec.template.clone();
    let labels = template
        .metadata
        .get_or_insert_default()
        .labels
        .get_or_insert_default();
    labels.insert(HASH_LABEL.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector = deployment.spec.selector.clone();
    let match_labels = selector.match_labels.get_or_insert_default();
    match_labels.insert(HASH_LABEL.to_owned(), hash.clone());
    let deployment_name = deployment.metadata.name.as_deref().unwrap_or_default();
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{deployment_name}-{hash}")),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: deployment.spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    }
}

/// The owner reference that a Deployment's ReplicaSets carry.
pub(super) fn reference(
    deployment: &Deployment,
) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
    // `None` only for an object without a name or uid, which no server sends.
    let mut reference = deployment.controller_owner_ref(&()).unwrap_or_default();
    reference.block_owner_deletion = Some(true);
    reference
}

/// Gives the new ReplicaSet the Deployment's annotations and its revision, and says whether that
/// changed anything. `made` is whether it has just been made and gets its scale annotations too.
pub(super) fn annotate_new(
    deployment: &Deployment,
    set: &mut ReplicaSet,
    new_revision: i64,
    made: bool,
) -> bool {
    let before = set.metadata.annotations.clone();
    let annotations = set.metadata.annotations.get_or_insert_default();
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    set_revision(annotations, new_revision);
    if made {
        let wanted = scale_annotations(deployment);
        annotations.extend(wanted.into_iter().map(|(k, v)| (k.to_owned(), v)));
    }
    set.metadata.annotations != before
}

fn set_revision(annotations: &mut BTreeMap<String, String>, new: i64) {
    let old = annotations.get(REVISION).cloned();
    let number = old.as_deref().and_then(|text| text.parse::<i64>().ok());
    if number.unwrap_or(0) >= new {
        return;
    }
    annotations.insert(REVISION.to_owned(), new.to_string());
    let Some(old) = old else {
        return;
    };
    let history = annotations.entry(REVISION_HISTORY.to_owned()).or_default();
    let mut past: Vec<&str> = history.split(',').filter(|r| !r.is_empty()).collect();
    past.push(&old);
    let length = |past: &[&str]| past.iter().map(|r| r.len() + 1).sum::<usize>();
    while length(&past) > HISTORY_BYTES {
        past.remove(0);
    }
    *history = past.join(",");
}

/// The annotations that record what a ReplicaSet was scaled for.
pub(super) fn scale_annotations(deployment: &Deployment) -> [(&'static str, String); 2] {
    let wanted = numbers::replicas(deployment);
    let most = wanted + numbers::max_surge(deployment);
    [(DESIRED, wanted.to_string()), (MAX, most.to_string())]
}
