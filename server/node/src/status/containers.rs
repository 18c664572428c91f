//! The status of each container: its state, the state before, and what it was made with.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, ContainerUser, LinuxContainerUser, VolumeMountStatus,
};

use super::{Facts, View, seconds};
use crate::pod::observed::{Ended, Instance, Life};
use crate::pod::spec;
use crate::runtime::User;

/// What stands before the runtime's id in `containerID`.
pub(crate) const SCHEME: &str = "libcontainer://";

/// The statuses of the init containers, in the order of the specification.
pub(super) fn of_init(view: &View<'_>) -> Vec<ContainerStatus> {
    let old = view.old.init_container_statuses.as_deref();
    spec::init_containers(view.pod)
        .iter()
        .map(|container| status(view, container, find(old, &container.name)))
        .collect()
}

/// The statuses of the containers, sorted by name.
pub(super) fn of_containers(view: &View<'_>) -> Vec<ContainerStatus> {
    let old = view.old.container_statuses.as_deref();
    let mut all: Vec<_> = spec::containers(view.pod)
        .iter()
        .map(|container| status(view, container, find(old, &container.name)))
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn find<'a>(list: Option<&'a [ContainerStatus]>, name: &str) -> Option<&'a ContainerStatus> {
    list?.iter().find(|status| status.name == name)
}

fn status(
    view: &View<'_>,
    container: &Container,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let facts = view.facts.get(&container.name).cloned().unwrap_or_default();
    let mut status = match view.observed.newest(&container.name) {
        Some(instance) => made(view, container, instance, old),
        None => not_made(view, container, old),
    };
    wait_if_to_be_started(view, container, &facts, &mut status);
    let running = state(&status).running.is_some();
    status.started = Some(running && facts.started);
    status.ready = running && facts.started && facts.ready;
    if spec::is_init(view.pod, &container.name) && !spec::is_sidecar(container) {
        let ended = state(&status).terminated.as_ref();
        status.ready = ended.is_some_and(|ended| ended.exit_code == 0);
    }
    status
}

/// The reason that a container waits for wins over how it ended, which becomes its last state.
fn wait_if_to_be_started(
    view: &View<'_>,
    container: &Container,
    facts: &Facts,
    status: &mut ContainerStatus,
) {
    let Some((reason, message)) = &facts.waiting else {
        return;
    };
    if view.terminal || view.observed.alive(&container.name) {
        return;
    }
    if state(status).terminated.is_some() {
        status.last_state = status.state.take();
    }
    status.state = Some(waiting(reason, message));
}

fn state(status: &ContainerStatus) -> &ContainerState {
    static NONE: ContainerState = ContainerState {
        running: None,
        terminated: None,
        waiting: None,
    };
    status.state.as_ref().unwrap_or(&NONE)
}

/// A container that the runtime knows.
fn made(
    view: &View<'_>,
    container: &Container,
    instance: &Instance,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let restarts = i32::try_from(instance.attempt).unwrap_or(i32::MAX);
    let id = format!("{SCHEME}{}", instance.id);
    let resources = container.resources.clone().unwrap_or_default();
    ContainerStatus {
        name: container.name.clone(),
        image: instance.image.clone(),
        image_id: instance.image_id.clone(),
        restart_count: old.map_or(restarts, |old| old.restart_count.max(restarts)),
        last_state: last(view, container, &id, old),
        container_id: Some(id),
        state: Some(life(instance)),
        allocated_resources: resources.requests.clone(),
        resources: Some(resources),
        user: instance.user.as_ref().map(user),
        volume_mounts: mounts(container),
        ..ContainerStatus::default()
    }
}

fn user(user: &User) -> ContainerUser {
    ContainerUser {
        linux: Some(LinuxContainerUser {
            uid: user.uid.into(),
            gid: user.gid.into(),
            supplemental_groups: Some(user.groups.iter().copied().map(i64::from).collect()),
        }),
    }
}

fn last(
    view: &View<'_>,
    container: &Container,
    id: &str,
    old: Option<&ContainerStatus>,
) -> Option<ContainerState> {
    if let Some(previous) = view.observed.previous(&container.name) {
        return Some(life(previous));
    }
    let empty = Some(ContainerState::default());
    let Some(old) = old else { return empty };
    let ended = old.state.as_ref().and_then(|s| s.terminated.clone());
    if old.container_id.as_deref() != Some(id) && ended.is_some() {
        return Some(terminated(ended));
    }
    old.last_state.clone().or(empty)
}

/// A container that the runtime does not know: it was never made, or everything of it is gone.
fn not_made(
    view: &View<'_>,
    container: &Container,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let has_init = !spec::init_containers(view.pod).is_empty();
    let reason = if has_init {
        "PodInitializing"
    } else {
        "ContainerCreating"
    };
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(waiting(reason, "")),
        last_state: Some(ContainerState::default()),
        volume_mounts: mounts(container),
        ..ContainerStatus::default()
    };
    let Some(old) = old else { return status };
    let old_state = state(old);
    if old_state.terminated.is_some() {
        return old.clone();
    }
    status.restart_count = old.restart_count;
    status.last_state.clone_from(&old.last_state);
    if old_state.running.is_some() {
        lost(view, old, &mut status);
    }
    status
}

/// A container that ran when it was last seen, and of which nothing is left.
fn lost(view: &View<'_>, old: &ContainerStatus, status: &mut ContainerStatus) {
    let gone = ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        ..ContainerStateTerminated::default()
    };
    let gone = terminated(Some(gone));
    if view.terminal {
        status.state = Some(gone);
        status.container_id.clone_from(&old.container_id);
        status.image_id.clone_from(&old.image_id);
    } else {
        status.last_state = Some(gone);
    }
    status.restart_count = old.restart_count + 1;
}

/// A container of a pod that is over has ended, known or not.
pub(super) fn finish(status: &mut ContainerStatus) {
    if state(status).terminated.is_some() {
        return;
    }
    let before = status.last_state.take().and_then(|last| last.terminated);
    let unknown = ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        ..ContainerStateTerminated::default()
    };
    status.state = Some(terminated(Some(before.unwrap_or(unknown))));
    status.last_state = Some(ContainerState::default());
    status.ready = false;
    status.started = Some(false);
}

fn life(instance: &Instance) -> ContainerState {
    match &instance.life {
        Life::Created => waiting("", ""),
        Life::Running(since) => ContainerState {
            running: Some(ContainerStateRunning {
                started_at: Some(seconds(*since)),
            }),
            ..ContainerState::default()
        },
        Life::Ended(ended) => terminated(Some(how_it_ended(&instance.id, ended))),
    }
}

fn how_it_ended(id: &str, ended: &Ended) -> ContainerStateTerminated {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ContainerStateTerminated {
        container_id: Some(format!("{SCHEME}{id}")),
        exit_code: ended.code,
        signal: None,
        reason: text(&ended.reason),
        message: text(&ended.message),
        started_at: ended.started_at.map(seconds),
        finished_at: ended.finished_at.map(seconds),
    }
}

fn terminated(ended: Option<ContainerStateTerminated>) -> ContainerState {
    ContainerState {
        terminated: ended,
        ..ContainerState::default()
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: text(reason),
            message: text(message),
        }),
        ..ContainerState::default()
    }
}

fn mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref()?;
    let status = |mount: &k8s_openapi::api::core::v1::VolumeMount| {
        let read_only = mount.read_only.unwrap_or_default();
        VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: read_only.then_some(true),
            // Recursive read-only mounts are not offered, so never `Enabled`.
            recursive_read_only: read_only.then(|| "Disabled".to_owned()),
            volume_status: None,
        }
    };
    (!mounts.is_empty()).then(|| mounts.iter().map(status).collect())
}
