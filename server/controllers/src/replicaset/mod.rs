//! The ReplicaSet controller: keeps as many pods of a template as `spec.replicas` says.
//!
//! Watches ReplicaSets and pods. A pod's change goes to its controller, or, if it has none, to all
//! ReplicaSets that would adopt it.

pub(crate) mod plan;
mod rank;

use std::sync::Arc;
use std::time::Duration;

use client::events::Type;
use client::informer::Change;
use client::object::{self, Key, controller_of, uid};
use client::{Queue, queue};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use kube::core::{Selector, SelectorExt as _};
use kube::{Api, Resource as _};

use crate::Context;
use crate::expectations::Expectations;
use crate::ownership;
use plan::{Observed, Plan};

/// How many ReplicaSets are worked on at a time.
const WORKERS: usize = 5;

#[derive(Clone)]
struct Controller {
    context: Context,
    queue: Queue<Key>,
    expectations: Arc<Expectations>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let controller = Controller {
        context,
        queue: Queue::default(),
        expectations: Arc::default(),
    };
    controller.watch();
    let shutdown = controller.context.shutdown.clone();
    let queue = controller.queue.clone();
    queue::work(queue, WORKERS, shutdown, |key| controller.sync(key)).await;
}

impl Controller {
    fn watch(&self) {
        let this = self.clone();
        self.context.views.replica_sets.handle(move |change| {
            let key = Key::of(&change.object().metadata);
            if matches!(change, Change::Removed(_)) {
                this.expectations.forget(&key);
            }
            this.queue.add(key);
        });
        let this = self.clone();
        self.context
            .views
            .pods
            .handle(move |change| this.on_pod(change));
    }

    fn on_pod(&self, change: &Change<Pod>) {
        let pod = change.object();
        let owner = owner(pod);
        match change {
            Change::Added(_) => {
                if let Some(owner) = &owner {
                    self.expectations.created(owner);
                }
            }
            Change::Updated(old, _) => {
                let before = self::owner(old);
                if let Some(before) = before.filter(|before| Some(before) != owner.as_ref()) {
                    self.queue.add(before);
                }
            }
            Change::Removed(_) => {}
        }
        let going = pod.metadata.deletion_timestamp.is_some();
        if (going || matches!(change, Change::Removed(_)))
            && let Some(owner) = &owner
        {
            self.expectations.deleted(owner, uid(&pod.metadata));
        }
        match owner {
            Some(owner) => self.queue.add(owner),
            None if controller_of(&pod.metadata).is_none() => self.offer(pod),
            None => {}
        }
    }

    /// Shows a pod without a controller to the ReplicaSets that may adopt it.
    fn offer(&self, pod: &Pod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        for set in self.context.views.replica_sets.in_namespace(namespace) {
            let selector = Selector::try_from(set.spec.selector.clone());
            if selector.is_ok_and(|s| s.matches(&labels)) {
                self.queue.add(Key::of(&set.metadata));
            }
        }
    }

    async fn sync(&self, key: Key) -> kube::Result<Option<Duration>> {
        let views = &self.context.views;
        let Some(set) = views.replica_sets.get(&key.namespace, &key.name) else {
            return Ok(None);
        };
        let observed = self.observe(&key, &set);
        let plan = plan::plan(&observed);
        self.claim(&set, &plan).await?;
        let failure = self.perform(&key, &set, &plan).await;
        let (reason, error) = match failure {
            Some((reason, error)) => (Some((reason, object::message(&error))), Some(error)),
            None => (None, None),
        };
        let status = plan::with_outcome(plan.status, reason, Timestamp::now());
        let sets: Api<ReplicaSet> = self.context.api(&key.namespace);
        crate::status::write(&sets, &set, |set| set.status = Some(status)).await?;
        match error {
            Some(error) => Err(error),
            None => Ok(plan
                .again_in_seconds
                .map(|s| Duration::from_secs(s.unsigned_abs()))),
        }
    }

    fn observe(&self, key: &Key, set: &ReplicaSet) -> Observed {
        let views = &self.context.views;
        let settled = self.expectations.satisfied(key);
        let owned = views.pods.controlled_by(uid(&set.metadata));
        let orphans = views.pods.orphans(&key.namespace);
        let pods: Vec<Pod> = owned
            .iter()
            .chain(&orphans)
            .map(|p| Pod::clone(p))
            .collect();
        let wanted = usize::try_from(set.spec.replicas.unwrap_or(1)).unwrap_or(0);
        let mut related = Vec::new();
        // Only the ranking reads these.
        if owned.len() > wanted {
            let siblings = match controller_of(&set.metadata) {
                Some(owner) => views.replica_sets.controlled_by(&owner.uid),
                None => Vec::new(),
            };
            let of = |uid: &str| views.pods.controlled_by(uid);
            let all = match siblings.is_empty() {
                true => owned,
                false => siblings.iter().flat_map(|s| of(uid(&s.metadata))).collect(),
            };
            related.extend(all.iter().map(|p| Pod::clone(p)));
        }
        Observed {
            replica_set: set.clone(),
            pods,
            related,
            settled,
            now: Timestamp::now(),
        }
    }

    /// Adopts and releases. A pod that is gone or changed hands is of no more interest.
    async fn claim(&self, set: &ReplicaSet, plan: &Plan) -> kube::Result<()> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let pods: Api<Pod> = self.context.api(namespace);
        if !plan.adopt.is_empty() {
            let sets: Api<ReplicaSet> = self.context.api(namespace);
            if !ownership::may_adopt(&sets, &set.metadata).await? {
                return Ok(());
            }
        }
        let view = &self.context.views.pods;
        for name in &plan.adopt {
            if let Some(pod) = view.get(namespace, name) {
                ownership::adopt(&pods, &pod.metadata, reference(set)).await?;
            }
        }
        for name in &plan.release {
            if let Some(pod) = view.get(namespace, name) {
                ownership::release(&pods, &pod.metadata, uid(&set.metadata)).await?;
            }
        }
        Ok(())
    }

    /// Creates and deletes pods, and gives the first failure with its reason.
    async fn perform(
        &self,
        key: &Key,
        set: &ReplicaSet,
        plan: &Plan,
    ) -> Option<(&'static str, kube::Error)> {
        if plan.create > 0 {
            self.expectations.expect(key, plan.create, []);
            let outcome = self.create(key, set, plan.create).await;
            return outcome.err().map(|error| ("FailedCreate", error));
        }
        if plan.delete.is_empty() {
            return None;
        }
        let view = &self.context.views.pods;
        let names = plan.delete.iter();
        let pods: Vec<_> = names.filter_map(|n| view.get(&key.namespace, n)).collect();
        let uids = pods.iter().map(|p| uid(&p.metadata).to_owned());
        self.expectations.expect(key, 0, uids);
        let deletions = pods.iter().map(|pod| self.delete(key, set, pod));
        let outcomes = futures::future::join_all(deletions).await;
        let failure = outcomes.into_iter().find_map(Result::err);
        failure.map(|error| ("FailedDelete", error))
    }

    /// Creates `count` pods in batches that double, so that a failure that hits all of them (a
    /// quota, a webhook) costs few requests.
    async fn create(&self, key: &Key, set: &ReplicaSet, count: usize) -> kube::Result<()> {
        let pods: Api<Pod> = self.context.api(&key.namespace);
        let pod = new_pod(set);
        let mut left = count;
        let mut batch = 1;
        while left > 0 {
            batch = batch.min(left);
            let creations = (0..batch).map(|_| self.create_one(key, set, &pods, &pod));
            let outcomes = futures::future::join_all(creations).await;
            left -= batch;
            if let Some(error) = outcomes.into_iter().find_map(Result::err) {
                // The rest is not tried, so not to be waited for.
                (0..left).for_each(|_| self.expectations.created(key));
                return Err(error);
            }
            batch *= 2;
        }
        Ok(())
    }

    async fn create_one(
        &self,
        key: &Key,
        set: &ReplicaSet,
        pods: &Api<Pod>,
        pod: &Pod,
    ) -> kube::Result<()> {
        match pods.create(&PostParams::default(), pod).await {
            Ok(made) => {
                let name = made.metadata.name.unwrap_or_default();
                let text = format!("Created pod: {name}");
                let recorder = &self.context.recorder;
                recorder.on(set, Type::Normal, "SuccessfulCreate", text);
                Ok(())
            }
            Err(error) => {
                self.expectations.created(key);
                if object::is_namespace_terminating(&error) {
                    // The ReplicaSet goes as well: nothing to report, nothing to try again.
                    return Ok(());
                }
                let text = format!("Error creating: {}", object::message(&error));
                let recorder = &self.context.recorder;
                recorder.on(set, Type::Warning, "FailedCreate", text);
                Err(error)
            }
        }
    }

    async fn delete(&self, key: &Key, set: &ReplicaSet, pod: &Pod) -> kube::Result<()> {
        let pods: Api<Pod> = self.context.api(&key.namespace);
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let recorder = &self.context.recorder;
        match pods.delete(name, &DeleteParams::default()).await {
            Ok(_) => {
                let text = format!("Deleted pod: {name}");
                recorder.on(set, Type::Normal, "SuccessfulDelete", text);
                Ok(())
            }
            Err(error) => {
                self.expectations.deleted(key, uid(&pod.metadata));
                if object::is_not_found(&error) {
                    return Ok(());
                }
                let text = format!("Error deleting: {}", object::message(&error));
                recorder.on(set, Type::Warning, "FailedDelete", text);
                Err(error)
            }
        }
    }
}

/// The ReplicaSet that controls a pod.
fn owner(pod: &Pod) -> Option<Key> {
    let owner = controller_of(&pod.metadata).filter(|o| o.kind == "ReplicaSet")?;
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    Some(Key::new(namespace, owner.name.clone()))
}

fn reference(set: &ReplicaSet) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
    // `None` only for an object without a name or uid, which no server sends.
    let mut reference = set.controller_owner_ref(&()).unwrap_or_default();
    reference.block_owner_deletion = Some(true);
    reference
}

/// The pod that the template describes.
fn new_pod(set: &ReplicaSet) -> Pod {
    let template = set.spec.template.clone().unwrap_or_default();
    let given = template.metadata.unwrap_or_default();
    let name = set.metadata.name.as_deref().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            namespace: set.metadata.namespace.clone(),
            generate_name: Some(format!("{name}-")),
            labels: given.labels,
            annotations: given.annotations,
            finalizers: given.finalizers,
            owner_references: Some(vec![reference(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}
