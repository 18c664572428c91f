//! What a Deployment and its ReplicaSets need, from what is there. No I/O.
//!
//! ```text
//! being deleted ──► status
//! paused, or spec.replicas changed ──► scale in proportion ──► status
//! RollingUpdate ──► new set up ──► else old sets down ──► else, when complete, history cleaned
//! Recreate ──► old sets to zero ──► when their pods are gone: new set up
//! ```
//!
//! The plan works on its own copy of the ReplicaSets and notes each change as an [`Action`], so that
//! later steps see what earlier ones decided.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::core::{Selector, SelectorExt as _};
use serde::{Deserialize, Serialize};

use super::{numbers, rollout, scale, sets, status};
use client::object::{controller_of, uid};

/// What a plan is made from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Observed {
    /// The Deployment.
    pub(crate) deployment: Deployment,
    /// The ReplicaSets that it controls, and those of its namespace that nothing controls.
    pub(crate) replica_sets: Vec<ReplicaSet>,
    /// The pods of its ReplicaSets; only `Recreate` asks for them.
    #[serde(default)]
    pub(crate) pods: Vec<Pod>,
    /// The time.
    pub(crate) now: Timestamp,
}

/// One write. They are done in order, and the first failure ends the attempt.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    /// Take a ReplicaSet over.
    Adopt(String),
    /// Let a ReplicaSet go.
    Release(String),
    /// Make a ReplicaSet, with the replicas it starts with.
    Create(Box<ReplicaSet>),
    /// Change a ReplicaSet.
    Update(Update),
    /// Delete a ReplicaSet that only the history needed.
    Delete(String),
    /// Note the newest revision on the Deployment.
    Revision(i64),
}

/// A change of a ReplicaSet.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Update {
    /// Its name.
    pub(crate) name: String,
    /// From how many replicas to how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scale: Option<(i32, i32)>,
    /// Annotations to set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// `spec.minReadySeconds` to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_ready_seconds: Option<i32>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// The writes to ReplicaSets and annotations.
    pub(crate) actions: Vec<Action>,
    /// The status after them.
    pub(crate) status: DeploymentStatus,
    /// When to look again although nothing changes: the progress deadline passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) again_in_seconds: Option<i64>,
}

/// The plan while it is made: the ReplicaSets as they will be, and the actions that make them so.
pub(super) struct Draft<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) pods: &'a [Pod],
    pub(super) now: Timestamp,
    /// The ReplicaSet with the Deployment's template.
    pub(super) new: Option<ReplicaSet>,
    /// The others, the oldest first.
    pub(super) old: Vec<ReplicaSet>,
    pub(super) actions: Vec<Action>,
    /// Conditions that the draft has set.
    pub(super) status: DeploymentStatus,
}

/// Decides. A Deployment whose selector is malformed is left alone.
pub(crate) fn plan(observed: &Observed) -> Plan {
    let deployment = &observed.deployment;
    let current = deployment.status.clone().unwrap_or_default();
    let Ok(selector) = Selector::try_from(deployment.spec.selector.clone()) else {
        return Plan {
            status: current,
            ..Plan::default()
        };
    };
    let (mut mine, actions) = claim(observed, &selector);
    sets::sort_by_age(&mut mine);
    let new = sets::find_new(deployment, &mine).map(|index| mine.remove(index));
    let mut draft = Draft {
        deployment,
        pods: &observed.pods,
        now: observed.now,
        new,
        old: mine,
        actions,
        status: current,
    };
    let rolls_out = draft.advance();
    status::complete(draft, rolls_out)
}

/// Which ReplicaSets are the Deployment's, and what makes them so.
fn claim(observed: &Observed, selector: &Selector) -> (Vec<ReplicaSet>, Vec<Action>) {
    let meta = &observed.deployment.metadata;
    let deleting = meta.deletion_timestamp.is_some();
    let mut mine = Vec::new();
    let mut actions = Vec::new();
    for set in &observed.replica_sets {
        let matches = selector.matches(&set.metadata.labels.clone().unwrap_or_default());
        let name = || sets::name(set).to_owned();
        match controller_of(&set.metadata) {
            Some(owner) if owner.uid != uid(meta) => {}
            Some(_) if matches => mine.push(set.clone()),
            Some(_) if !deleting => actions.push(Action::Release(name())),
            None if matches && !deleting && set.metadata.deletion_timestamp.is_none() => {
                actions.push(Action::Adopt(name()));
                mine.push(set.clone());
            }
            _ => {}
        }
    }
    (mine, actions)
}

impl Draft<'_> {
    /// Does what the state of the Deployment asks for, and says whether it is rolling out.
    fn advance(&mut self) -> bool {
        if self.deployment.metadata.deletion_timestamp.is_some() {
            return false;
        }
        status::note_pause(self);
        if self.deployment.spec.paused == Some(true) || self.was_scaled() {
            self.note_revision(false);
            scale::scale(self);
            if self.deployment.spec.paused == Some(true) {
                self.clean_history();
            }
            return false;
        }
        if numbers::is_rolling(self.deployment) {
            rollout::rolling(self);
        } else {
            rollout::recreate(self);
        }
        true
    }

    /// Whether `spec.replicas` is another than what the ReplicaSets were last scaled for.
    fn was_scaled(&self) -> bool {
        let wanted = i64::from(numbers::replicas(self.deployment));
        let active = self.all().filter(|set| sets::replicas(set) > 0);
        let mut recorded = active.filter_map(|set| sets::number(set, sets::DESIRED));
        recorded.any(|desired| desired != wanted)
    }

    /// All ReplicaSets.
    pub(super) fn all(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.old.iter().chain(&self.new)
    }

    /// Brings the new ReplicaSet's annotations and the revision up to date; with `create`, makes it
    /// if it is not there.
    pub(super) fn note_revision(&mut self, create: bool) {
        let newest_old = self.old.iter().map(sets::revision).max().unwrap_or(0);
        let revision = newest_old + 1;
        match self.new.take() {
            Some(set) => self.update_new(set, revision),
            None if create => self.make_new(revision),
            None => {}
        }
        let Some(new) = &self.new else {
            return;
        };
        let revision = sets::revision(new);
        let annotations = self.deployment.metadata.annotations.as_ref();
        let noted = annotations.and_then(|a| a.get(sets::REVISION));
        if noted != Some(&revision.to_string()) {
            self.actions.push(Action::Revision(revision));
        }
    }

    fn update_new(&mut self, mut set: ReplicaSet, revision: i64) {
        let before = set.metadata.annotations.clone().unwrap_or_default();
        let annotated = sets::annotate_new(self.deployment, &mut set, revision, false);
        let wanted = self.deployment.spec.min_ready_seconds.unwrap_or(0);
        let waits = set.spec.min_ready_seconds.unwrap_or(0) != wanted;
        if annotated || waits {
            let after = set.metadata.annotations.clone().unwrap_or_default();
            let changed = after.into_iter().filter(|(k, v)| before.get(k) != Some(v));
            set.spec.min_ready_seconds = Some(wanted);
            push_update(
                &mut self.actions,
                Update {
                    name: sets::name(&set).to_owned(),
                    annotations: changed.collect(),
                    min_ready_seconds: waits.then_some(wanted),
                    ..Update::default()
                },
            );
        }
        status::note_found(self, sets::name(&set));
        self.new = Some(set);
    }

    fn make_new(&mut self, revision: i64) {
        let mut set = sets::make(self.deployment);
        sets::annotate_new(self.deployment, &mut set, revision, true);
        set.spec.replicas = Some(rollout::new_replicas(self, &set));
        status::note_created(self, sets::name(&set));
        self.actions.push(Action::Create(Box::new(set.clone())));
        self.new = Some(set);
    }

    /// Scales a ReplicaSet and brings its scale annotations up to date. Says whether its size
    /// changes.
    pub(super) fn resize(&mut self, which: Which, replicas: i32) -> bool {
        let wanted = sets::scale_annotations(self.deployment);
        let set = match which {
            Which::New => match &mut self.new {
                Some(set) => set,
                None => return false,
            },
            Which::Old(index) => &mut self.old[index],
        };
        let before = sets::replicas(set);
        let annotations = set.metadata.annotations.get_or_insert_default();
        let mut changed = BTreeMap::new();
        for (key, value) in wanted {
            if annotations.get(key) != Some(&value) {
                annotations.insert(key.to_owned(), value.clone());
                changed.insert(key.to_owned(), value);
            }
        }
        if before == replicas && changed.is_empty() {
            return false;
        }
        set.spec.replicas = Some(replicas);
        push_update(
            &mut self.actions,
            Update {
                name: sets::name(set).to_owned(),
                scale: (before != replicas).then_some((before, replicas)),
                annotations: changed,
                min_ready_seconds: None,
            },
        );
        before != replicas
    }

    /// Deletes the oldest ReplicaSets without pods beyond `spec.revisionHistoryLimit`.
    pub(super) fn clean_history(&mut self) {
        let limit = self.deployment.spec.revision_history_limit.unwrap_or(10);
        // The largest number means "keep all".
        let Some(limit) = usize::try_from(limit).ok().filter(|_| limit != i32::MAX) else {
            return;
        };
        let alive = |set: &&ReplicaSet| set.metadata.deletion_timestamp.is_none();
        let mut candidates: Vec<&ReplicaSet> = self.old.iter().filter(alive).collect();
        if candidates.len() <= limit {
            return;
        }
        candidates.sort_by_key(|set| sets::revision(set));
        let surplus = candidates.len() - limit;
        let mut actions = Vec::new();
        for set in &candidates[..surplus] {
            let status = set.status.clone().unwrap_or_default();
            let observed = status.observed_generation >= set.metadata.generation;
            if status.replicas == 0 && sets::replicas(set) == 0 && observed {
                actions.push(Action::Delete(sets::name(set).to_owned()));
            }
        }
        self.actions.append(&mut actions);
    }
}

/// Notes a change, as part of an earlier one of the same ReplicaSet if there is one: each is written
/// once, under the version that the plan was made from.
fn push_update(actions: &mut Vec<Action>, update: Update) {
    let earlier = actions.iter_mut().find_map(|action| match action {
        Action::Update(earlier) if earlier.name == update.name => Some(earlier),
        _ => None,
    });
    let Some(earlier) = earlier else {
        return actions.push(Action::Update(update));
    };
    earlier.annotations.extend(update.annotations);
    earlier.min_ready_seconds = update.min_ready_seconds.or(earlier.min_ready_seconds);
    earlier.scale = match (earlier.scale, update.scale) {
        (Some((from, _)), Some((_, to))) => Some((from, to)),
        (earlier, later) => later.or(earlier),
    };
}

/// One of the ReplicaSets of a [`Draft`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The new one.
    New,
    /// An old one, by its index.
    Old(usize),
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("deployment", |observed| super::plan(&observed));
    }
}
