//! The Deployment controller: rolls a template out through ReplicaSets, one for each revision.
//!
//! Watches Deployments, their ReplicaSets, and pods for the moment when a `Recreate` has lost its
//! last old one.

mod hash;
mod numbers;
pub(crate) mod plan;
mod rollout;
mod scale;
mod sets;
mod status;

use std::time::Duration;

use client::events::Type;
use client::informer::Change;
use client::object::{self, Key, controller_of, uid};
use client::{Queue, queue};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{Selector, SelectorExt as _};
use serde_json::json;

use crate::Context;
use crate::ownership;
use plan::{Action, Observed, Update};

/// How many Deployments are worked on at a time.
const WORKERS: usize = 5;
/// The reason of the events that tell of a ReplicaSet's new size.
const SCALING: &str = "ScalingReplicaSet";

#[derive(Clone)]
struct Controller {
    context: Context,
    queue: Queue<Key>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let controller = Controller {
        context,
        queue: Queue::default(),
    };
    controller.watch();
    let shutdown = controller.context.shutdown.clone();
    let queue = controller.queue.clone();
    queue::work(queue, WORKERS, shutdown, |key| controller.sync(key)).await;
}

impl Controller {
    fn watch(&self) {
        let views = &self.context.views;
        let queue = self.queue.clone();
        views
            .deployments
            .handle(move |change| queue.add(Key::of(&change.object().metadata)));
        let this = self.clone();
        views
            .replica_sets
            .handle(move |change| this.on_replica_set(change));
        let this = self.clone();
        views.pods.handle(move |change| {
            if let Change::Removed(pod) = change {
                this.on_pod_gone(pod);
            }
        });
    }

    fn on_replica_set(&self, change: &Change<ReplicaSet>) {
        let set = change.object();
        let current = owner(set);
        if let Change::Updated(old, _) = change
            && let Some(before) = owner(old).filter(|before| Some(before) != current.as_ref())
        {
            self.queue.add(before);
        }
        if let Some(owner) = current {
            return self.queue.add(owner);
        }
        if controller_of(&set.metadata).is_some() {
            return;
        }
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let labels = set.metadata.labels.clone().unwrap_or_default();
        for deployment in self.context.views.deployments.in_namespace(namespace) {
            let selector = Selector::try_from(deployment.spec.selector.clone());
            if selector.is_ok_and(|s| s.matches(&labels)) {
                self.queue.add(Key::of(&deployment.metadata));
            }
        }
    }

    fn on_pod_gone(&self, pod: &Pod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let views = &self.context.views;
        let set = controller_of(&pod.metadata).filter(|o| o.kind == "ReplicaSet");
        let set = set.and_then(|o| views.replica_sets.get(namespace, &o.name));
        let Some(key) = set.and_then(|set| owner(&set)) else {
            return;
        };
        let deployment = views.deployments.get(namespace, &key.name);
        if deployment.is_some_and(|d| !numbers::is_rolling(&d)) {
            self.queue.add(key);
        }
    }

    async fn sync(&self, key: Key) -> kube::Result<Option<Duration>> {
        let views = &self.context.views;
        let Some(deployment) = views.deployments.get(&key.namespace, &key.name) else {
            return Ok(None);
        };
        let observed = self.observe(&key, &deployment);
        let plan = plan::plan(&observed);
        let deployments: Api<Deployment> = self.context.api(&key.namespace);
        let mut current = (*deployment).clone();
        for action in &plan.actions {
            if let Err(error) = self.perform(&key, &mut current, action).await {
                let gone = object::is_namespace_terminating(&error);
                if let (Action::Create(set), false) = (action, gone) {
                    let (name, text) = (sets::name(set), object::message(&error));
                    let failed =
                        status::with_creation_failure(&current, name, &text, Timestamp::now());
                    crate::status::write(&deployments, &current, |d| d.status = Some(failed))
                        .await?;
                }
                return settle(error);
            }
        }
        crate::status::write(&deployments, &current, |d| d.status = Some(plan.status)).await?;
        Ok(plan
            .again_in_seconds
            .map(|s| Duration::from_secs(s.unsigned_abs())))
    }

    fn observe(&self, key: &Key, deployment: &Deployment) -> Observed {
        let views = &self.context.views;
        let owned = views.replica_sets.controlled_by(uid(&deployment.metadata));
        let orphans = views.replica_sets.orphans(&key.namespace);
        let mut pods = Vec::new();
        if !numbers::is_rolling(deployment) {
            let all = owned
                .iter()
                .flat_map(|s| views.pods.controlled_by(uid(&s.metadata)));
            pods.extend(all.map(|pod| Pod::clone(&pod)));
        }
        let sets = owned.iter().chain(&orphans);
        Observed {
            deployment: deployment.clone(),
            replica_sets: sets.map(|set| ReplicaSet::clone(set)).collect(),
            pods,
            now: Timestamp::now(),
        }
    }

    async fn perform(
        &self,
        key: &Key,
        deployment: &mut Deployment,
        action: &Action,
    ) -> kube::Result<()> {
        let sets: Api<ReplicaSet> = self.context.api(&key.namespace);
        let view = &self.context.views.replica_sets;
        match action {
            Action::Adopt(name) => {
                let Some(set) = view.get(&key.namespace, name) else {
                    return Ok(());
                };
                let deployments: Api<Deployment> = self.context.api(&key.namespace);
                if !ownership::may_adopt(&deployments, &deployment.metadata).await? {
                    return Ok(());
                }
                ownership::adopt(&sets, &set.metadata, sets::reference(deployment)).await
            }
            Action::Release(name) => {
                let Some(set) = view.get(&key.namespace, name) else {
                    return Ok(());
                };
                ownership::release(&sets, &set.metadata, uid(&deployment.metadata)).await
            }
            Action::Create(set) => self.create(key, deployment, set).await,
            Action::Update(update) => self.update(key, deployment, update).await,
            Action::Delete(name) => {
                let Some(set) = view.get(&key.namespace, name) else {
                    return Ok(());
                };
                let same = Preconditions {
                    uid: set.metadata.uid.clone(),
                    resource_version: None,
                };
                let params = DeleteParams::default().preconditions(same);
                match sets.delete(name, &params).await {
                    Err(error) if object::is_not_found(&error) => Ok(()),
                    other => other.map(drop),
                }
            }
            Action::Revision(revision) => {
                let deployments: Api<Deployment> = self.context.api(&key.namespace);
                let annotations = deployment.metadata.annotations.get_or_insert_default();
                annotations.insert(sets::REVISION.to_owned(), revision.to_string());
                let params = PostParams::default();
                // Later writes of this attempt go on from the version that this one makes.
                *deployment = deployments.replace(&key.name, &params, deployment).await?;
                Ok(())
            }
        }
    }

    async fn create(
        &self,
        key: &Key,
        deployment: &Deployment,
        set: &ReplicaSet,
    ) -> kube::Result<()> {
        let sets: Api<ReplicaSet> = self.context.api(&key.namespace);
        let name = sets::name(set);
        match sets.create(&PostParams::default(), set).await {
            Ok(_) => {
                let replicas = sets::replicas(set);
                if replicas > 0 {
                    let text = format!("Scaled up replica set {name} from 0 to {replicas}");
                    self.context
                        .recorder
                        .on(deployment, Type::Normal, SCALING, text);
                }
                Ok(())
            }
            Err(error) if object::is_already_exists(&error) => {
                let there = sets.get(name).await?;
                let mine = controller_of(&there.metadata)
                    .is_some_and(|owner| owner.uid == uid(&deployment.metadata));
                if mine && sets::find_new(deployment, std::slice::from_ref(&there)).is_some() {
                    // Made by an earlier attempt that the view does not show yet.
                    return Ok(());
                }
                let deployments: Api<Deployment> = self.context.api(&key.namespace);
                let count_up = |d: &mut Deployment| {
                    let status = d.status.get_or_insert_default();
                    *status.collision_count.get_or_insert(0) += 1;
                };
                crate::status::write(&deployments, deployment, count_up).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn update(
        &self,
        key: &Key,
        deployment: &Deployment,
        update: &Update,
    ) -> kube::Result<()> {
        let sets: Api<ReplicaSet> = self.context.api(&key.namespace);
        // Under the version that the plan was made from: a plan from an old view must not be written.
        let known = self
            .context
            .views
            .replica_sets
            .get(&key.namespace, &update.name);
        let mut patch = json!({"metadata": {
            "annotations": update.annotations,
            "resourceVersion": known.and_then(|set| set.metadata.resource_version.clone()),
        }});
        if let Some((_, to)) = update.scale {
            patch["spec"]["replicas"] = to.into();
        }
        if let Some(seconds) = update.min_ready_seconds {
            patch["spec"]["minReadySeconds"] = seconds.into();
        }
        sets.patch(&update.name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        if let Some((from, to)) = update.scale {
            let direction = if to > from { "up" } else { "down" };
            let name = &update.name;
            let text = format!("Scaled {direction} replica set {name} from {from} to {to}");
            self.context
                .recorder
                .on(deployment, Type::Normal, SCALING, text);
        }
        Ok(())
    }
}

/// What a failed write means for the queue: in a namespace that goes away nothing is tried again.
fn settle(error: kube::Error) -> kube::Result<Option<Duration>> {
    match object::is_namespace_terminating(&error) {
        true => Ok(None),
        false => Err(error),
    }
}

/// The Deployment that controls a ReplicaSet.
fn owner(set: &ReplicaSet) -> Option<Key> {
    let owner = controller_of(&set.metadata).filter(|o| o.kind == "Deployment")?;
    let namespace = set.metadata.namespace.clone().unwrap_or_default();
    Some(Key::new(namespace, owner.name.clone()))
}
