//! The phase of a pod: one word for the states of all its containers.

use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, ContainerStatus, PodStatus};

use super::View;
use crate::pod::spec;

/// How many containers are in which condition.
#[derive(Default)]
struct Counts {
    running: usize,
    waiting: usize,
    stopped: usize,
    succeeded: usize,
    restartable: usize,
    /// Sidecars that have not started yet.
    pending_sidecars: usize,
}

/// The phase: `Pending`, `Running`, `Succeeded` or `Failed`.
pub(super) fn of(view: &View<'_>, status: &PodStatus) -> &'static str {
    let init = status
        .init_container_statuses
        .as_deref()
        .unwrap_or_default();
    let main = status.container_statuses.as_deref().unwrap_or_default();
    let initialization = initialization(view, init);
    if initialization == Initialization::Failed {
        return "Failed";
    }
    let mut counts = Counts::default();
    for container in spec::init_containers(view.pod) {
        if spec::is_sidecar(container) {
            count_sidecar(find(init, container), &mut counts);
        }
    }
    for container in spec::containers(view.pod) {
        count(view, container, find(main, container), &mut counts);
    }
    let begun = spec::containers(view.pod)
        .iter()
        .any(|c| view.observed.newest(&c.name).is_some());
    let starting = counts.pending_sidecars > 0 && !begun;
    if initialization == Initialization::Pending || starting || counts.waiting > 0 {
        return "Pending";
    }
    if counts.running > 0 {
        return "Running";
    }
    ended(view, &counts)
}

fn ended(view: &View<'_>, counts: &Counts) -> &'static str {
    let restarting = counts.restartable > 0 && (!view.terminal || spec::is_static(view.pod));
    if counts.stopped == 0 {
        "Pending"
    } else if restarting {
        "Running"
    } else if counts.stopped == counts.succeeded {
        "Succeeded"
    } else {
        "Failed"
    }
}

#[derive(PartialEq)]
enum Initialization {
    Done,
    Pending,
    Failed,
}

fn initialization(view: &View<'_>, statuses: &[ContainerStatus]) -> Initialization {
    let mut result = Initialization::Done;
    for container in spec::init_containers(view.pod) {
        if spec::is_sidecar(container) {
            continue;
        }
        let status = find(statuses, container);
        let ended = status.and_then(|s| {
            let state = s.state.as_ref()?;
            let before = state.waiting.as_ref().and_then(|_| last_end(s));
            state.terminated.as_ref().or(before)
        });
        match ended {
            None => result = Initialization::Pending,
            Some(ended) if ended.exit_code == 0 => {}
            Some(ended) if spec::restarts(view.pod, container, ended.exit_code) => {
                // The containers wait for it, which alone keeps the pod pending.
            }
            Some(_) => return Initialization::Failed,
        }
    }
    result
}

fn find<'a>(statuses: &'a [ContainerStatus], container: &Container) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|s| s.name == container.name)
}

fn count_sidecar(status: Option<&ContainerStatus>, counts: &mut Counts) {
    let Some(state) = status.and_then(|s| s.state.as_ref()) else {
        return;
    };
    let ended_before = status.is_some_and(|s| last_end(s).is_some());
    if state.running.is_some() {
        counts.running += 1;
        let started = status.and_then(|s| s.started).unwrap_or_default();
        counts.pending_sidecars += usize::from(!started);
    } else if state.waiting.is_some() && !ended_before {
        counts.pending_sidecars += 1;
        counts.waiting += 1;
    }
}

fn count(
    view: &View<'_>,
    container: &Container,
    status: Option<&ContainerStatus>,
    counts: &mut Counts,
) {
    let state = status.and_then(|s| s.state.as_ref());
    if state.is_some_and(|s| s.running.is_some()) {
        counts.running += 1;
        return;
    }
    let ended = state.and_then(|s| s.terminated.as_ref());
    counts.succeeded += usize::from(ended.is_some_and(|ended| ended.exit_code == 0));
    let Some(ended) = ended.or_else(|| status.and_then(last_end)) else {
        counts.waiting += 1;
        return;
    };
    counts.stopped += 1;
    counts.restartable += usize::from(spec::restarts(view.pod, container, ended.exit_code));
}

fn last_end(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.last_state.as_ref()?.terminated.as_ref()
}
