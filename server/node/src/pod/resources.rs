//! Requests and limits, in the control group's terms.

use std::collections::BTreeMap;

use api::meta::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::pod::spec;
use crate::runtime::Resources;
use crate::status::qos;

/// The period in which a processor quota is counted, in microseconds.
const PERIOD: i64 = 100_000;

/// A container's request: millicores of `cpu`, whole units of anything else; 0 if there is none.
/// A limit without a request is the request.
pub(crate) fn request(container: &Container, name: &str) -> i64 {
    let resources = container.resources.as_ref();
    let requests = resources.and_then(|r| r.requests.as_ref());
    amount(requests, name).unwrap_or_else(|| limit(container, name))
}

/// A container's limit, in the units of [`request`]; 0 if there is none.
pub(crate) fn limit(container: &Container, name: &str) -> i64 {
    let resources = container.resources.as_ref();
    amount(resources.and_then(|r| r.limits.as_ref()), name).unwrap_or(0)
}

fn amount(list: Option<&BTreeMap<String, Text>>, name: &str) -> Option<i64> {
    let quantity = parse(list?.get(name)?)?;
    let amount = match name {
        "cpu" => quantity.milli(),
        _ => quantity.value(),
    };
    Some(i64::try_from(amount).unwrap_or(i64::MAX))
}

/// A quantity that the API server has checked; `None` for one that is malformed nevertheless.
pub(crate) fn parse(text: &Text) -> Option<Quantity> {
    Quantity::parse(&text.0).ok()
}

/// The limits of one container's control group. `memory` is the node's, in bytes.
pub(crate) fn of_container(pod: &Pod, container: &Container, memory: i64) -> Resources {
    let cpu = limit(container, "cpu");
    let bytes = limit(container, "memory");
    Resources {
        cpu_shares: Some(shares(request(container, "cpu"))),
        cpu_quota: (cpu > 0).then(|| quota(cpu)),
        cpu_period: None,
        memory_limit: (bytes > 0).then_some(bytes),
        pids_limit: None,
        oom_score_adj: Some(qos::oom_score_adj(pod, container, memory)),
    }
}

/// The limits around all containers of a pod: set where every container has one.
pub(crate) fn of_pod(pod: &Pod) -> Resources {
    let cpu = total(pod, limit, "cpu");
    let bytes = total(pod, limit, "memory");
    let all = |name| spec::all_containers(pod).all(|c| limit(c, name) > 0);
    Resources {
        cpu_shares: Some(shares(total(pod, request, "cpu"))),
        cpu_quota: (all("cpu") && cpu > 0).then(|| quota(cpu)),
        memory_limit: (all("memory") && bytes > 0).then_some(bytes),
        ..Resources::default()
    }
}

/// Of the containers together, or of the init containers that run at one time: whatever is more.
fn total(pod: &Pod, of: fn(&Container, &str) -> i64, name: &str) -> i64 {
    let mut sidecars = 0i64;
    let mut most = 0i64;
    for container in spec::init_containers(pod) {
        if spec::is_sidecar(container) {
            sidecars = sidecars.saturating_add(of(container, name));
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars.saturating_add(of(container, name)));
        }
    }
    let main = spec::containers(pod).iter();
    let sum = main.fold(sidecars, |sum, c| sum.saturating_add(of(c, name)));
    sum.max(most)
}

/// The weight of so many millicores in cgroup v1 shares.
fn shares(milli: i64) -> u64 {
    u64::try_from(milli.saturating_mul(1024) / 1000)
        .unwrap_or(2)
        .clamp(2, 262_144)
}

/// Microseconds of processor time a period; the kernel takes no less than 1,000.
fn quota(milli: i64) -> i64 {
    (milli.saturating_mul(PERIOD) / 1000).max(1000)
}
