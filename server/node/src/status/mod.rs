//! The status of a pod as the kubelet reports it: a pure function of what is known.
//!
//! [`compute`] gives the whole status; [`publish`] brings it to the API server when it has changed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pod::observed::Observed;
use crate::pod::spec;

pub(crate) mod conditions;
mod containers;
mod messages;
mod phase;
pub(crate) mod publish;
pub(crate) mod qos;

/// What the agent knows of a container besides its runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// Why it is not running, if it is to run: reason and message.
    pub(crate) waiting: Option<(String, String)>,
    /// Its start-up is over: no startup probe, or one that succeeded, and the postStart hook is done.
    pub(crate) started: bool,
    /// Its readiness probe succeeded, or it has none.
    pub(crate) ready: bool,
}

/// Everything that a status is computed from.
pub(crate) struct View<'a> {
    /// The pod; its own status is what the API server holds.
    pub(crate) pod: &'a Pod,
    /// The status that was reported last.
    pub(crate) old: &'a PodStatus,
    pub(crate) observed: &'a Observed,
    /// By container name.
    pub(crate) facts: &'a BTreeMap<String, Facts>,
    /// The pod's addresses, as long as they are known.
    pub(crate) addresses: &'a [IpAddr],
    /// The node's address.
    pub(crate) node: IpAddr,
    /// Whether the pod's namespaces and network exist.
    pub(crate) sandbox: bool,
    /// Whether nothing will be started any more.
    pub(crate) terminal: bool,
    /// Why the agent itself ended the pod: reason and message.
    pub(crate) failure: Option<&'a (String, String)>,
    pub(crate) now: Timestamp,
}

/// The status of a pod.
pub(crate) fn compute(view: &View<'_>) -> PodStatus {
    let pod = view.pod;
    let mut status = PodStatus {
        observed_generation: pod.metadata.generation,
        qos_class: Some(qos::class(pod).to_owned()),
        start_time: view.old.start_time.clone().or(Some(seconds(view.now))),
        host_ip: Some(view.node.to_string()),
        host_ips: Some(vec![HostIP {
            ip: view.node.to_string(),
        }]),
        init_container_statuses: some(containers::of_init(view)),
        container_statuses: some(containers::of_containers(view)),
        ..PodStatus::default()
    };
    messages::shorten(pod, &mut status);
    set_addresses(view, &mut status);
    set_phase(view, &mut status);
    status.conditions = Some(conditions::compute(view, &status));
    status
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A pod keeps the address it had when its network is gone.
fn set_addresses(view: &View<'_>, status: &mut PodStatus) {
    if view.addresses.is_empty() {
        status.pod_ip.clone_from(&view.old.pod_ip);
        status.pod_ips.clone_from(&view.old.pod_ips);
        return;
    }
    let ips: Vec<String> = view.addresses.iter().map(IpAddr::to_string).collect();
    status.pod_ip = ips.first().cloned();
    status.pod_ips = Some(ips.into_iter().map(|ip| PodIP { ip }).collect());
}

fn set_phase(view: &View<'_>, status: &mut PodStatus) {
    let mut phase = phase::of(view, status).to_owned();
    if !matches!(phase.as_str(), "Succeeded" | "Failed")
        && let Some(old @ ("Succeeded" | "Failed")) = view.old.phase.as_deref()
    {
        phase = old.to_owned();
    }
    if view.old.phase.as_deref() == Some(phase.as_str()) {
        status.reason.clone_from(&view.old.reason);
        status.message.clone_from(&view.old.message);
    }
    if let Some((reason, message)) = view.failure {
        phase = "Failed".to_owned();
        status.reason = Some(reason.clone());
        status.message = Some(message.clone());
    }
    if spec::is_over(view.pod)
        && let Some(held) = view.pod.status.as_ref().and_then(|s| s.phase.clone())
    {
        phase = held;
    }
    status.phase = Some(phase);
}

/// Makes a status the last one: what never ended in a known way counts as lost, and the pod as failed.
pub(crate) fn finish(pod: &Pod, status: &mut PodStatus) {
    if spec::is_static(pod) {
        return;
    }
    for list in [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
    ] {
        for container in list.iter_mut().flatten() {
            containers::finish(container);
        }
    }
    if !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        status.phase = Some("Failed".to_owned());
    }
}

/// The API's `Time` has whole seconds.
pub(crate) fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}
