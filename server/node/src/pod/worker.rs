//! The worker of one pod: asks the machine what to do, does it, and tells the machine what came of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use client::Shutdown;
use client::events::Type;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, DeleteParams, Preconditions};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::effects::{Context, Shared, log_file};
use super::machine::{Action, Input, Machine};
use super::termination::Translator;
use super::{sandbox, spec, start, stop};
use crate::objects::Lease;
use crate::probe::{self, Kind};
use crate::runtime::{self, PodState};
use crate::status::publish::{Publisher, Target};
use crate::status::{self, View};
use crate::volume;

/// What the agent tells a worker.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// The pod has changed.
    Changed(Arc<Pod>),
    /// The pod is to be gone: its object is.
    Deleted,
    /// Where a static pod is shown has changed.
    Mirror(Option<Arc<Pod>>),
}

/// A running worker.
pub(crate) struct Handle {
    pub(crate) messages: mpsc::UnboundedSender<Message>,
    /// What was reported last.
    pub(crate) status: watch::Receiver<PodStatus>,
    pub(crate) context: Arc<Context>,
}

/// Starts the worker of a pod. `sandbox` is what an earlier agent has made of it; `gone` hears of its end.
pub(crate) fn spawn(
    shared: Arc<Shared>,
    pod: Arc<Pod>,
    sandbox: Option<Arc<dyn runtime::Pod>>,
    gone: mpsc::UnboundedSender<String>,
    shutdown: Shutdown,
) -> Handle {
    let (messages, receiver) = mpsc::unbounded_channel();
    let context = Arc::new(Context {
        shared,
        pod: parking_lot::Mutex::new(pod.clone()),
        sandbox: parking_lot::Mutex::new(sandbox),
        volumes: parking_lot::Mutex::default(),
    });
    let worker = Worker::new(context.clone(), pod.clone(), receiver);
    let status = worker.status.subscribe();
    let uid = spec::uid(&pod).to_owned();
    tokio::spawn(async move {
        worker.run(shutdown).await;
        // Nobody listens any more when the agent itself is going.
        let _ = gone.send(uid);
    });
    Handle {
        messages,
        status,
        context,
    }
}

struct Worker {
    context: Arc<Context>,
    machine: Machine,
    messages: mpsc::UnboundedReceiver<Message>,
    inputs: mpsc::UnboundedReceiver<Input>,
    sender: mpsc::UnboundedSender<Input>,
    tasks: JoinSet<()>,
    /// The stops under way, by container.
    stops: HashMap<String, AbortHandle>,
    /// The probes under way, with the run they are about.
    probes: BTreeMap<(String, Kind), (String, AbortHandle)>,
    state: Option<watch::Receiver<Arc<PodState>>>,
    translator: Translator,
    lease: Lease,
    /// Nothing is reported of a pod that was over before this agent saw it.
    silent: bool,
    status: watch::Sender<PodStatus>,
    publisher: Publisher,
}

impl Worker {
    fn new(
        context: Arc<Context>,
        pod: Arc<Pod>,
        messages: mpsc::UnboundedReceiver<Message>,
    ) -> Self {
        let found = context.sandbox();
        let (sender, inputs) = mpsc::unbounded_channel();
        let machine = Machine::new(pod.clone(), found.is_some());
        let target = (!spec::is_static(&pod)).then(|| Target::of(&pod));
        Self {
            lease: context.shared.objects.lease(volume::objects(&pod)),
            silent: spec::is_over(&pod) && found.is_none() && !spec::is_static(&pod),
            status: watch::Sender::new(status::publish::held(&pod)),
            publisher: Publisher::new(context.shared.client.clone(), &pod, target),
            state: found.map(|sandbox| sandbox.state()),
            context,
            machine,
            messages,
            inputs,
            sender,
            tasks: JoinSet::new(),
            stops: HashMap::new(),
            probes: BTreeMap::new(),
            translator: Translator::default(),
        }
    }

    async fn run(mut self, shutdown: Shutdown) {
        let clock = self.context.shared.clock;
        let mut stopped = std::pin::pin!(client::stopped(&shutdown));
        self.see_containers();
        loop {
            let decision = self.machine.decide(clock.now());
            for action in decision.actions {
                self.perform(action);
            }
            self.sync_probes();
            self.report();
            if self.machine.is_gone() {
                break;
            }
            let renewal = self.context.volumes.lock().renew_at;
            let renewal = renewal.filter(|_| self.machine.has_volumes());
            let wake = decision.wake;
            tokio::select! {
                () = &mut stopped => return,
                Some(message) = self.messages.recv() => self.hear(message),
                Some(input) = self.inputs.recv() => self.take(input),
                () = changed(&mut self.state) => self.see_containers(),
                () = self.lease.changed() => self.objects_changed(),
                () = until(clock, wake) => {}
                () = until(clock, renewal) => self.refresh_volumes(),
                Some(_) = self.tasks.join_next() => {}
            }
            while let Ok(input) = self.inputs.try_recv() {
                self.take(input);
            }
        }
        self.forget_files();
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Changed(pod) => {
                let old = std::mem::replace(&mut *self.context.pod.lock(), pod.clone());
                let labels = |pod: &Pod| {
                    let meta = &pod.metadata;
                    (meta.labels.clone(), meta.annotations.clone())
                };
                if labels(&old) != labels(&pod) {
                    self.refresh_volumes();
                }
                self.take(Input::Changed(pod));
            }
            Message::Deleted => self.take(Input::Deleted),
            Message::Mirror(mirror) => {
                self.publisher.aim(mirror.as_deref().map(Target::of));
            }
        }
    }

    /// What the runtime knows comes first, so that a result never runs ahead of the run it is about.
    fn take(&mut self, input: Input) {
        self.see_containers();
        let now = self.context.shared.clock.now();
        if let Input::SandboxReady = input {
            self.state = self.context.sandbox().map(|sandbox| sandbox.state());
        }
        self.machine.take(input, now);
        self.see_containers();
    }

    fn see_containers(&mut self) {
        let Some(state) = &mut self.state else { return };
        let state = state.borrow_and_update().clone();
        let now = self.context.shared.clock.now();
        let pod = self.machine.pod.clone();
        let paths = &self.context.shared.paths;
        let list = self.translator.translate(&pod, paths, &state);
        self.machine.take(Input::Containers(list), now);
        if !state.lost {
            return;
        }
        self.state = None;
        // The removal of a pod ends its shim as well.
        if self.machine.is_over() {
            return;
        }
        self.machine.take(Input::Lost, now);
        if !self.machine.is_ending() {
            let events = &self.context.shared.events;
            let message = "Pod sandbox changed, it will be killed and re-created.";
            events.pod(&pod, None, Type::Normal, "SandboxChanged", message);
        }
    }

    fn objects_changed(&mut self) {
        self.refresh_volumes();
        self.take(Input::Retry);
    }

    /// Brings volumes up to date that follow objects, labels or tokens.
    fn refresh_volumes(&mut self) {
        if !self.machine.has_volumes() {
            return;
        }
        let context = self.context.clone();
        self.tasks.spawn(async move {
            let pod = context.pod();
            match volume::set_up(&context.maker(&pod), &pod).await {
                Ok(made) => *context.volumes.lock() = made,
                Err(error) => {
                    tracing::warn!(pod = spec::full_name(&pod), %error, "volumes not refreshed");
                    let retry = crate::clock::after(context.shared.clock.now(), 60);
                    let mut volumes = context.volumes.lock();
                    volumes.renew_at = volumes.renew_at.map(|_| retry);
                }
            }
        });
    }

    fn perform(&mut self, action: Action) {
        let context = self.context.clone();
        match action {
            Action::MakeVolumes => self.spawn(make_volumes(context)),
            Action::MakeSandbox { again } => self.spawn(make_sandbox(context, again)),
            Action::Start { container, attempt } => {
                self.spawn(start::start(context, container, attempt));
            }
            Action::Stop {
                container,
                id,
                grace,
                message,
            } => self.stop(container, id, grace, message),
            Action::Forget {
                container,
                id,
                attempt,
            } => {
                self.tasks.spawn(forget(context, container, id, attempt));
            }
            Action::Report => {
                self.report();
                let stored = self.publisher.stored();
                self.spawn(async move {
                    stored.await;
                    Input::Reported
                });
            }
            Action::Remove => self.spawn(remove(context)),
            Action::DeleteObject => self.spawn(delete_object(context)),
            Action::Warn {
                container,
                normal,
                reason,
                message,
            } => {
                let kind = if normal { Type::Normal } else { Type::Warning };
                let events = &self.context.shared.events;
                events.pod(
                    &self.machine.pod,
                    container.as_deref(),
                    kind,
                    reason,
                    message,
                );
            }
        }
    }

    fn spawn(&mut self, effect: impl Future<Output = Input> + Send + 'static) {
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            // The receiver lives as long as the set this task is in.
            let _ = sender.send(effect.await);
        });
    }

    /// A more urgent stop takes the place of the one under way.
    fn stop(&mut self, container: String, id: String, grace: i64, message: Option<String>) {
        let context = self.context.clone();
        let sender = self.sender.clone();
        let name = container.clone();
        let task = self.tasks.spawn(async move {
            stop::stop(context, &name, &id, grace, message).await;
            let _ = sender.send(Input::Stopped(name));
        });
        if let Some(before) = self.stops.insert(container, task) {
            before.abort();
        }
    }

    /// Probes of the runs that there are, and no others.
    fn sync_probes(&mut self) {
        let pod = self.machine.pod.clone();
        let mut wanted = BTreeMap::new();
        for container in spec::all_containers(&pod) {
            let run = self.machine.observed.newest(&container.name);
            let Some((run, since)) = run.and_then(|run| Some((run, run.running()?))) else {
                continue;
            };
            let facts = self.machine.facts.get(&container.name);
            let started = facts.is_some_and(|facts| facts.started);
            for kind in [Kind::Startup, Kind::Liveness, Kind::Readiness] {
                let due = started != (kind == Kind::Startup);
                let ending = self.machine.is_ending() && kind != Kind::Readiness;
                if due && !ending && kind.of(container).is_some() {
                    let key = (container.name.clone(), kind);
                    wanted.insert(key, (container, run.id.clone(), since));
                }
            }
        }
        self.probes.retain(|key, (id, task)| {
            let keep = wanted.get(key).is_some_and(|(_, wanted, _)| wanted == id);
            if !keep {
                task.abort();
            }
            keep
        });
        for ((name, kind), (container, id, started_at)) in wanted {
            if self.probes.contains_key(&(name.clone(), kind)) {
                continue;
            }
            let Some(sandbox) = self.context.sandbox() else {
                continue;
            };
            let target = probe::Target {
                pod: sandbox,
                address: self.context.addresses().first().copied(),
                container: container.clone(),
                id: id.clone(),
                started_at,
            };
            let task = self.tasks.spawn(watch_probe(
                self.context.clone(),
                self.sender.clone(),
                kind,
                target,
            ));
            self.probes.insert((name, kind), (id, task));
        }
    }

    /// Computes the status and hands it on if it has changed.
    fn report(&mut self) {
        if self.silent {
            return;
        }
        let old = self.status.borrow().clone();
        let addresses = self.context.addresses();
        let mut status = status::compute(&View {
            pod: &self.machine.pod,
            old: &old,
            observed: &self.machine.observed,
            facts: &self.machine.facts,
            addresses: &addresses,
            node: self.context.shared.address,
            sandbox: self.machine.has_sandbox(),
            terminal: self.machine.is_ending(),
            failure: self.machine.failure.as_ref(),
            now: self.context.shared.clock.now(),
        });
        if self.machine.is_over() {
            status::finish(&self.machine.pod, &mut status);
        }
        if status != old {
            self.publisher.publish(status.clone());
            self.status.send_replace(status);
        }
    }

    /// Logs and tokens go with the pod's object, not with its containers.
    fn forget_files(&self) {
        let pod = &self.machine.pod;
        let shared = &self.context.shared;
        shared.tokens.forget(spec::uid(pod));
        let logs = shared
            .paths
            .pod_logs(spec::namespace(pod), spec::name(pod), spec::uid(pod));
        if let Err(error) = std::fs::remove_dir_all(&logs)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %logs.display(), %error, "logs not removed");
        }
    }
}

/// Waits for a change of the runtime's state; for ever without one.
async fn changed(state: &mut Option<watch::Receiver<Arc<PodState>>>) {
    match state {
        Some(receiver) => {
            if receiver.changed().await.is_err() {
                *state = None;
            }
        }
        None => std::future::pending().await,
    }
}

async fn until(clock: crate::clock::Clock, time: Option<jiff::Timestamp>) {
    match time {
        Some(time) => tokio::time::sleep(clock.until(time)).await,
        None => std::future::pending().await,
    }
}

async fn make_volumes(context: Arc<Context>) -> Input {
    let pod = context.pod();
    match volume::set_up(&context.maker(&pod), &pod).await {
        Ok(made) => {
            *context.volumes.lock() = made;
            Input::VolumesReady
        }
        Err(error) => {
            let message = error.to_string();
            let events = &context.shared.events;
            events.pod(&pod, None, Type::Warning, "FailedMount", message);
            Input::VolumesFailed
        }
    }
}

async fn make_sandbox(context: Arc<Context>, again: bool) -> Input {
    let pod = context.pod();
    let lost = context.sandbox.lock().take();
    if again
        && let Some(lost) = lost
        && let Err(error) = lost.remove().await
    {
        tracing::warn!(pod = spec::full_name(&pod), %error, "lost sandbox not removed");
    }
    let made = match sandbox::of(&pod) {
        Ok(sandbox) => {
            let made = context.shared.runtime.create_pod(sandbox).await;
            made.map_err(|error| error.to_string())
        }
        Err(why) => Err(why),
    };
    match made {
        Ok(sandbox) => {
            *context.sandbox.lock() = Some(sandbox);
            Input::SandboxReady
        }
        Err(why) => {
            let message = format!("Failed to create pod sandbox: {why}");
            let events = &context.shared.events;
            events.pod(&pod, None, Type::Warning, "FailedCreatePodSandBox", message);
            Input::SandboxFailed
        }
    }
}

/// Removes a run and its log.
async fn forget(context: Arc<Context>, container: String, id: String, attempt: u32) {
    let pod = context.pod();
    if let Some(sandbox) = context.sandbox()
        && let Err(error) = sandbox.remove_container(&id).await
    {
        tracing::debug!(pod = spec::full_name(&pod), id, %error, "old container not removed");
    }
    let paths = &context.shared.paths;
    let logs = paths.pod_logs(spec::namespace(&pod), spec::name(&pod), spec::uid(&pod));
    crate::logs::remove(&log_file(&logs, &container, attempt));
    let message = paths.termination_message(spec::uid(&pod), &container, attempt);
    // Absent if the container has no path for it.
    let _ = std::fs::remove_file(message);
}

async fn remove(context: Arc<Context>) -> Input {
    let pod = context.pod();
    let sandbox = context.sandbox();
    if let Some(sandbox) = sandbox
        && let Err(error) = sandbox.remove().await
    {
        tracing::warn!(pod = spec::full_name(&pod), %error, "sandbox not removed");
        let events = &context.shared.events;
        let message = format!("error killing pod: {error}");
        events.pod(&pod, None, Type::Warning, "FailedKillPod", message);
        return Input::RemoveFailed;
    }
    *context.sandbox.lock() = None;
    if let Err(error) = volume::tear_down(&context.shared.paths, spec::uid(&pod)) {
        tracing::warn!(pod = spec::full_name(&pod), %error, "volumes not removed");
        return Input::RemoveFailed;
    }
    Input::Removed
}

/// Ends the object's graceful deletion, unless another pod has its name by now.
async fn delete_object(context: Arc<Context>) -> Input {
    let pod = context.pod();
    let pods: Api<Pod> = status::publish::pods(&context.shared.client, &pod);
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions {
            uid: pod.metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match pods.delete(spec::name(&pod), &params).await {
        Ok(_) => Input::ObjectDeleted,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Input::ObjectDeleted,
        Err(error) => {
            tracing::warn!(pod = spec::full_name(&pod), %error, "pod object not deleted");
            Input::ObjectNotDeleted
        }
    }
}

/// Turns the reports of a probe into inputs and events.
async fn watch_probe(
    context: Arc<Context>,
    sender: mpsc::UnboundedSender<Input>,
    kind: Kind,
    target: probe::Target,
) {
    let (reports, mut receiver) = mpsc::unbounded_channel();
    let name = target.container.name.clone();
    let id = target.id.clone();
    let probing = probe::run(kind, target, context.shared.clock, reports);
    let telling = async {
        while let Some(report) = receiver.recv().await {
            match report {
                probe::Report::Verdict(success) => {
                    let _ = sender.send(Input::Probed {
                        container: name.clone(),
                        id: id.clone(),
                        kind,
                        success,
                    });
                }
                probe::Report::Unhealthy(text) => {
                    let events = &context.shared.events;
                    let pod = context.pod();
                    events.pod(&pod, Some(&name), Type::Warning, "Unhealthy", text);
                }
            }
        }
    };
    tokio::join!(probing, telling);
}
