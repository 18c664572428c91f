//! The state of a pod's machine, its inputs and its actions. What to do is decided in `decide`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use super::backoff::Backoff;
use super::observed::{Ended, Instance, Life, Observed};
use super::spec;
use crate::clock::after;
use crate::probe::Kind as Probe;
use crate::status::Facts;

/// Seconds between attempts of what failed for a reason outside the pod.
pub(super) const RETRY: i64 = 10;

/// What the machine learns.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The object has changed.
    Changed(Arc<Pod>),
    /// The object is gone from the API server.
    Deleted,
    /// All runs that the runtime knows, with their container's name.
    Containers(Vec<(String, Instance)>),
    /// The pod's shim has died: what ran is lost.
    Lost,
    VolumesReady,
    VolumesFailed,
    SandboxReady,
    SandboxFailed,
    /// A container runs, and its postStart hook is done.
    Started(String),
    /// A container could not be started.
    NotStarted(String, Failure),
    /// A container runs whose postStart hook failed.
    HookFailed(String),
    /// The stop of a container is over; that it ended comes by [`Input::Containers`].
    Stopped(String),
    /// A probe has a verdict on the run with this id.
    Probed {
        container: String,
        id: String,
        kind: Probe,
        success: bool,
    },
    /// Something that a start failed for may have changed.
    Retry,
    /// The API server holds the last status, or the pod is not there any more.
    Reported,
    /// Sandbox and volumes are gone.
    Removed,
    RemoveFailed,
    /// The object has been deleted, or was not there.
    ObjectDeleted,
    ObjectNotDeleted,
}

/// Why a container could not be started.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// The reason to show, such as `CreateContainerConfigError`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) kind: FailureKind,
}

/// What follows from a failure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FailureKind {
    /// Something is missing: try again soon.
    Missing,
    /// An image could not be pulled: back off.
    Pull { image: String },
    /// The container was made and its program could not be run: that counts as a run.
    Run {
        id: String,
        image: String,
        image_id: String,
        attempt: u32,
    },
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    MakeVolumes,
    /// `again`: the one that is there is lost and has to go first.
    MakeSandbox {
        again: bool,
    },
    Start {
        container: String,
        attempt: u32,
    },
    /// A second stop of the same container takes the place of the first and is more urgent.
    Stop {
        container: String,
        id: String,
        /// Seconds until it is killed.
        grace: i64,
        /// What the event says.
        message: Option<String>,
    },
    /// Removes a run that nobody asks for any more.
    Forget {
        container: String,
        id: String,
        attempt: u32,
    },
    Report,
    Remove,
    DeleteObject,
    Warn {
        container: Option<String>,
        normal: bool,
        reason: &'static str,
        message: String,
    },
}

/// How far a step of the preparation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Todo,
    Doing,
    Done,
    Failed(Timestamp),
}

/// What is going on with a container.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operation {
    None,
    Starting,
    /// To be killed at that time.
    Stopping(Timestamp),
}

/// What the machine keeps of a container.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub(super) operation: Operation,
    pub(super) backoff: Backoff,
    pub(super) pull: Backoff,
    /// No attempt before.
    pub(super) retry_at: Option<Timestamp>,
    /// What is shown instead of the reason from that time on: the back-off after the error.
    pub(super) then: Option<(Timestamp, String, String)>,
    /// It was stopped so that it starts again.
    pub(super) again: bool,
    /// The run that started and ready are about.
    pub(super) id: String,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            operation: Operation::None,
            backoff: Backoff::default(),
            pull: Backoff::default(),
            retry_at: None,
            then: None,
            again: false,
            id: String::new(),
        }
    }
}

/// Why and until when a pod ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct End {
    pub(super) grace: i64,
    pub(super) deadline: Timestamp,
}

/// How far the removal is, once nothing runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Removal {
    Todo,
    Reporting,
    Reported,
    Removing,
    Failed(Timestamp),
    Removed,
    Deleting,
    Gone,
}

/// The machine of one pod.
pub(crate) struct Machine {
    pub(crate) pod: Arc<Pod>,
    pub(crate) observed: Observed,
    /// By container name.
    pub(crate) facts: BTreeMap<String, Facts>,
    /// Why the node itself ended the pod: reason and message.
    pub(crate) failure: Option<(String, String)>,
    pub(super) locals: BTreeMap<String, Local>,
    pub(super) volumes: Step,
    pub(super) sandbox: Step,
    pub(super) lost: bool,
    pub(super) end: Option<End>,
    pub(super) removal: Removal,
    /// The object is not in the API any more.
    pub(super) deleted: bool,
    /// Containers to be stopped so that they start again, and what the event says.
    pub(super) stops: Vec<(String, String)>,
    /// Runs that the runtime does not know: failed starts, and those of a lost sandbox.
    phantoms: Vec<(String, Instance)>,
}

impl Machine {
    /// The machine of a pod that is new on this node, or was here when the agent ended (`sandbox`).
    pub(crate) fn new(pod: Arc<Pod>, sandbox: bool) -> Self {
        let over = spec::is_over(&pod) && !spec::is_static(&pod);
        let removal = if over && !sandbox {
            Removal::Removed
        } else {
            Removal::Todo
        };
        Self {
            pod,
            observed: Observed::default(),
            facts: BTreeMap::new(),
            failure: None,
            locals: BTreeMap::new(),
            volumes: Step::Todo,
            sandbox: if sandbox { Step::Done } else { Step::Todo },
            lost: false,
            end: None,
            removal,
            deleted: false,
            stops: Vec::new(),
            phantoms: Vec::new(),
        }
    }

    /// Whether the pod's namespaces and network are there.
    pub(crate) fn has_sandbox(&self) -> bool {
        let there = matches!(self.removal, Removal::Todo | Removal::Reporting);
        there && self.sandbox == Step::Done
    }

    /// Whether volumes are made and still wanted.
    pub(crate) fn has_volumes(&self) -> bool {
        self.volumes == Step::Done && self.end.is_none()
    }

    /// Whether nothing will be started any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.end.is_some()
    }

    /// Whether nothing runs and nothing will: the status is the last one.
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some() && self.removal != Removal::Todo
    }

    /// Whether nothing is left to be done, ever.
    pub(crate) fn is_gone(&self) -> bool {
        self.removal == Removal::Gone
    }

    /// What the machine keeps of a container.
    pub(super) fn local(&mut self, name: &str) -> &mut Local {
        self.locals.entry(name.to_owned()).or_default()
    }

    /// Takes an input in. Nothing is decided here but what the input itself says.
    pub(crate) fn take(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Changed(pod) => self.pod = pod,
            Input::Deleted => self.deleted = true,
            Input::Containers(list) => self.see(list),
            Input::Lost => self.lose(now),
            Input::VolumesReady => self.volumes = Step::Done,
            Input::VolumesFailed => self.volumes = Step::Failed(after(now, RETRY)),
            Input::SandboxReady => {
                self.sandbox = Step::Done;
                self.lost = false;
            }
            Input::SandboxFailed => self.sandbox = Step::Failed(after(now, RETRY)),
            Input::Started(name) => self.started(&name),
            Input::NotStarted(name, failure) => self.not_started(&name, failure, now),
            Input::HookFailed(name) => {
                self.local(&name).again = true;
                self.ask_to_stop(&name, "FailedPostStartHook".to_owned());
            }
            Input::Stopped(name) => self.stopped(&name),
            Input::Probed {
                container,
                id,
                kind,
                success,
            } => self.probed(&container, &id, kind, success),
            Input::Retry => self.retry(now),
            Input::Reported => self.removal = Removal::Reported,
            Input::Removed => self.removal = Removal::Removed,
            Input::RemoveFailed => self.removal = Removal::Failed(after(now, RETRY)),
            Input::ObjectDeleted => self.deleted = true,
            Input::ObjectNotDeleted => self.removal = Removal::Failed(after(now, RETRY)),
        }
    }

    fn see(&mut self, list: Vec<(String, Instance)>) {
        let mut instances: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
        for (name, instance) in list.into_iter().chain(self.phantoms.clone()) {
            instances.entry(name).or_default().push(instance);
        }
        for runs in instances.values_mut() {
            runs.sort_by_key(|run| std::cmp::Reverse(run.attempt));
        }
        self.observed = Observed { instances };
        let pod = self.pod.clone();
        for container in spec::all_containers(&pod) {
            self.adopt(container);
        }
    }

    /// Begins to watch over a new run. One that an earlier agent watched over keeps its standing.
    fn adopt(&mut self, container: &Container) {
        let Some(run) = self.observed.newest(&container.name) else {
            return;
        };
        let id = run.id.clone();
        if self.local(&container.name).id == id {
            return;
        }
        self.local(&container.name).id.clone_from(&id);
        let pod = self.pod.clone();
        let known = reported(&pod, &container.name).filter(|status| {
            let reported = status.container_id.as_deref().unwrap_or_default();
            !id.is_empty() && reported.ends_with(&id)
        });
        let facts = self.facts.entry(container.name.clone()).or_default();
        facts.waiting = None;
        let hook = container
            .lifecycle
            .as_ref()
            .and_then(|l| l.post_start.as_ref());
        facts.started = (container.startup_probe.is_none() && hook.is_none())
            || known.is_some_and(|status| status.started == Some(true));
        // A container without any probe is ready once it has held out for a moment: see `settle`.
        let told = container.readiness_probe.is_none() && container.startup_probe.is_some();
        facts.ready = told || known.is_some_and(|s| s.ready);
    }

    fn started(&mut self, name: &str) {
        let local = self.local(name);
        if local.operation == Operation::Starting {
            local.operation = Operation::None;
        }
        local.retry_at = None;
        local.then = None;
        local.again = false;
        local.pull = Backoff::default();
        let container = spec::container(&self.pod, name);
        if container.is_some_and(|container| container.startup_probe.is_none()) {
            self.facts.entry(name.to_owned()).or_default().started = true;
        }
    }

    fn not_started(&mut self, name: &str, failure: Failure, now: Timestamp) {
        let local = self.local(name);
        local.operation = Operation::None;
        local.retry_at = Some(after(now, RETRY));
        local.then = None;
        match failure.kind {
            FailureKind::Missing => {}
            FailureKind::Pull { image } => {
                local.pull.next(now, now);
                local.retry_at = local.pull.until(now, now);
                let message = format!(
                    "Back-off pulling image \"{image}\": {}: {}",
                    failure.reason, failure.message
                );
                local.then = Some((after(now, 2), "ImagePullBackOff".to_owned(), message));
            }
            FailureKind::Run {
                id,
                image,
                image_id,
                attempt,
            } => {
                local.retry_at = None;
                let ended = Ended {
                    code: 128,
                    signal: None,
                    reason: "StartError".to_owned(),
                    message: failure.message.clone(),
                    started_at: Some(Timestamp::UNIX_EPOCH),
                    finished_at: Some(now),
                };
                let instance = Instance {
                    id,
                    attempt,
                    image,
                    image_id,
                    user: None,
                    life: Life::Ended(ended),
                };
                self.add_phantom(name, instance);
            }
        }
        let facts = self.facts.entry(name.to_owned()).or_default();
        facts.waiting = Some((failure.reason.to_owned(), failure.message));
    }

    /// Keeps a run that the runtime has forgotten; two a container are enough.
    fn add_phantom(&mut self, name: &str, instance: Instance) {
        let runs = self.observed.instances.entry(name.to_owned()).or_default();
        runs.insert(0, instance.clone());
        self.phantoms.push((name.to_owned(), instance));
        let of_this = self.phantoms.iter().filter(|(n, _)| n == name).count();
        if of_this > 2 {
            let oldest = self.phantoms.iter().position(|(n, _)| n == name);
            self.phantoms.remove(oldest.unwrap_or_default());
        }
    }

    /// What ran in a lost sandbox has ended in an unknown way.
    fn lose(&mut self, now: Timestamp) {
        self.lost = true;
        self.sandbox = Step::Todo;
        let unknown = Ended {
            code: 137,
            signal: None,
            reason: "ContainerStatusUnknown".to_owned(),
            message: "The container could not be located when the pod was terminated".to_owned(),
            started_at: None,
            finished_at: Some(now),
        };
        for (name, runs) in &mut self.observed.instances {
            for run in runs.iter_mut() {
                if run.is_alive() {
                    run.life = Life::Ended(unknown.clone());
                }
                if !self.phantoms.iter().any(|(_, known)| known.id == run.id) {
                    self.phantoms.push((name.clone(), run.clone()));
                }
            }
        }
        for local in self.locals.values_mut() {
            local.operation = Operation::None;
        }
    }

    fn stopped(&mut self, name: &str) {
        self.local(name).operation = Operation::None;
    }

    /// The verdict of a probe, unless it is about a run that is past.
    fn probed(&mut self, name: &str, id: &str, kind: Probe, success: bool) {
        let current = self.observed.newest(name);
        if current.is_none_or(|run| run.id != id || !run.is_alive()) {
            return;
        }
        let facts = self.facts.entry(name.to_owned()).or_default();
        match (kind, success) {
            (Probe::Readiness, success) => facts.ready = success,
            (Probe::Startup, true) => facts.started = true,
            (Probe::Liveness, true) => {}
            (Probe::Liveness | Probe::Startup, false) => {
                let word = kind.word().to_lowercase();
                self.local(name).again = true;
                let mut message = format!("Container {name} failed {word} probe");
                if spec::spec(&self.pod).restart_policy.as_deref() != Some("Never") {
                    message.push_str(", will be restarted");
                }
                self.ask_to_stop(name, message);
            }
        }
    }

    /// Marks a container to be stopped at the next decision.
    fn ask_to_stop(&mut self, name: &str, message: String) {
        if self.end.is_none() {
            self.stops.push((name.to_owned(), message));
        }
    }

    fn retry(&mut self, now: Timestamp) {
        for local in self.locals.values_mut() {
            if local.pull.until(now, now).is_none() {
                local.retry_at = None;
            }
        }
        if matches!(self.volumes, Step::Failed(_)) {
            self.volumes = Step::Todo;
        }
    }
}

/// What the API server holds of a container.
pub(super) fn reported<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let main = status.container_statuses.iter().flatten();
    init.chain(main).find(|status| status.name == name)
}

#[cfg(test)]
mod tests;
