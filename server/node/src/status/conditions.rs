//! The conditions of a pod that the kubelet owns. Conditions of others are kept as they are.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodStatus};

use super::{View, seconds};
use crate::pod::spec;

const OWNED: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// A condition before its times are set: status, reason, message.
#[derive(Clone)]
struct Judgement {
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Judgement {
    const TRUE: Self = Self {
        holds: true,
        reason: None,
        message: None,
    };

    fn no(reason: &'static str, message: String) -> Self {
        Self {
            holds: false,
            reason: Some(reason),
            message: (!message.is_empty()).then_some(message),
        }
    }
}

/// All conditions, first those of others. `status` has its phase and container statuses already.
pub(super) fn compute(view: &View<'_>, status: &PodStatus) -> Vec<PodCondition> {
    let held = view.pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    let mut all: Vec<PodCondition> = held
        .into_iter()
        .flatten()
        .filter(|c| !OWNED.contains(&c.type_.as_str()))
        .cloned()
        .collect();
    let containers_ready = containers_ready(view, status);
    let ready = ready(view, &containers_ready, &all);
    for (kind, judgement) in [
        (OWNED[0], sandbox(view)),
        (OWNED[1], initialized(view, status)),
        (OWNED[2], ready),
        (OWNED[3], containers_ready),
        (OWNED[4], Judgement::TRUE),
    ] {
        all.push(condition(view, kind, judgement));
    }
    all
}

/// The time of the last transition stays as long as the status does.
fn condition(view: &View<'_>, kind: &str, judgement: Judgement) -> PodCondition {
    let value = if judgement.holds { "True" } else { "False" };
    let known = view.old.conditions.iter().flatten();
    let before = known.into_iter().find(|c| c.type_ == kind);
    let since = before
        .filter(|c| c.status == value)
        .and_then(|c| c.last_transition_time.clone());
    PodCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: judgement.reason.map(str::to_owned),
        message: judgement.message,
        observed_generation: view.pod.metadata.generation,
        last_transition_time: Some(since.unwrap_or_else(|| seconds(view.now))),
        last_probe_time: None,
    }
}

fn sandbox(view: &View<'_>) -> Judgement {
    if view.sandbox {
        return Judgement::TRUE;
    }
    let message = if view.old.pod_ip.is_some() {
        "pod sandbox is not ready"
    } else {
        "no pod sandbox exists"
    };
    Judgement::no("PodSandboxNotReady", message.to_owned())
}

fn initialized(view: &View<'_>, status: &PodStatus) -> Judgement {
    if status.phase.as_deref() == Some("Succeeded") {
        return Judgement {
            reason: Some("PodCompleted"),
            ..Judgement::TRUE
        };
    }
    let containers = spec::containers(view.pod);
    let begun = containers
        .iter()
        .any(|c| view.observed.newest(&c.name).is_some());
    if begun {
        return Judgement::TRUE;
    }
    let statuses = status.init_container_statuses.as_deref();
    let incomplete: Vec<&str> = spec::init_containers(view.pod)
        .iter()
        .filter(|c| {
            let status = find(statuses, &c.name);
            let done = status.is_some_and(|s| match spec::is_sidecar(c) {
                true => s.started == Some(true),
                false => s.ready,
            });
            !done
        })
        .map(|c| c.name.as_str())
        .collect();
    if incomplete.is_empty() {
        return Judgement::TRUE;
    }
    let message = format!(
        "containers with incomplete status: {}",
        go_list(&incomplete)
    );
    Judgement::no("ContainersNotInitialized", message)
}

fn find<'a>(statuses: Option<&'a [ContainerStatus]>, name: &str) -> Option<&'a ContainerStatus> {
    statuses?.iter().find(|status| status.name == name)
}

fn containers_ready(view: &View<'_>, status: &PodStatus) -> Judgement {
    match status.phase.as_deref() {
        Some("Succeeded") => return Judgement::no("PodCompleted", String::new()),
        Some("Failed") => return Judgement::no("PodFailed", String::new()),
        _ => {}
    }
    let init = status.init_container_statuses.as_deref();
    let main = status.container_statuses.as_deref();
    let unready: Vec<&str> = spec::all_containers(view.pod)
        .filter(|c| !spec::is_init(view.pod, &c.name) || spec::is_sidecar(c))
        .filter(|c| {
            let status = find(init, &c.name).or_else(|| find(main, &c.name));
            !status.is_some_and(|s| s.ready)
        })
        .map(|c| c.name.as_str())
        .collect();
    if unready.is_empty() {
        return Judgement::TRUE;
    }
    let message = format!("containers with unready status: {}", go_list(&unready));
    Judgement::no("ContainersNotReady", message)
}

/// `Ready` is `ContainersReady` and all readiness gates, which others set.
fn ready(view: &View<'_>, containers: &Judgement, others: &[PodCondition]) -> Judgement {
    if !containers.holds {
        return containers.clone();
    }
    let gates = spec::spec(view.pod).readiness_gates.iter().flatten();
    let missing: Vec<String> = gates
        .filter_map(|gate| gate_problem(&gate.condition_type, others))
        .collect();
    if missing.is_empty() {
        return Judgement::TRUE;
    }
    Judgement::no("ReadinessGatesNotReady", missing.join(", "))
}

fn gate_problem(gate: &str, others: &[PodCondition]) -> Option<String> {
    match others.iter().find(|c| c.type_ == gate) {
        None => Some(format!(
            "corresponding condition of pod readiness gate \"{gate}\" does not exist."
        )),
        Some(c) if c.status != "True" => Some(format!(
            "the status of pod readiness gate \"{gate}\" is not \"True\", but {}",
            c.status
        )),
        Some(_) => None,
    }
}

/// A list as Go prints it: `[a b]`.
fn go_list(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}
