//! Amounts of resources, in the units that the scheduler counts in.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::meta::quantity::Quantity as Amount;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What a container without a request counts for when nodes are compared: 0.1 CPU, in milli-CPU.
const ASSUMED_CPU: i64 = 100;
/// The same for memory: 200 MB, in bytes.
const ASSUMED_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts of the resources that a node offers or a pod asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// In thousandths of a CPU.
    pub(crate) cpu: i64,
    /// In bytes.
    pub(crate) memory: i64,
    /// In bytes.
    pub(crate) ephemeral_storage: i64,
    /// Everything else, by name. Mostly empty, so a list is quicker than a map.
    pub(crate) others: Vec<(Arc<str>, i64)>,
}

impl Resources {
    /// Reads a resource list. What is malformed counts as nothing; the server refuses it.
    pub(crate) fn read(list: Option<&BTreeMap<String, Quantity>>) -> Self {
        let mut resources = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            let amount = Amount::parse(&quantity.0).unwrap_or(Amount::ZERO);
            let number = match name.as_str() {
                "cpu" => amount.milli(),
                _ => amount.value(),
            };
            // Beyond an i64 is as good as endless.
            resources.set(name, i64::try_from(number).unwrap_or(i64::MAX));
        }
        resources
    }

    /// The amount of an uncommon resource.
    pub(crate) fn other(&self, name: &str) -> i64 {
        let found = self.others.iter().find(|(n, _)| &**n == name);
        found.map_or(0, |(_, amount)| *amount)
    }

    fn set(&mut self, name: &str, amount: i64) {
        match name {
            "cpu" => self.cpu = amount,
            "memory" => self.memory = amount,
            "ephemeral-storage" => self.ephemeral_storage = amount,
            // The number of pods is counted apart.
            "pods" => {}
            _ => *self.other_mut(name) = amount,
        }
    }

    fn other_mut(&mut self, name: &str) -> &mut i64 {
        let index = match self.others.iter().position(|(n, _)| &**n == name) {
            Some(index) => index,
            None => {
                self.others.push((name.into(), 0));
                self.others.len() - 1
            }
        };
        &mut self.others[index].1
    }

    /// Combines each amount with that of `other`.
    fn combine(&mut self, other: &Self, with: fn(i64, i64) -> i64) {
        self.cpu = with(self.cpu, other.cpu);
        self.memory = with(self.memory, other.memory);
        self.ephemeral_storage = with(self.ephemeral_storage, other.ephemeral_storage);
        for (name, amount) in &other.others {
            let mine = self.other_mut(name);
            *mine = with(*mine, *amount);
        }
    }

    /// Adds.
    pub(crate) fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    /// Takes away.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.combine(other, i64::saturating_sub);
    }

    fn raise_to(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }
}

/// What a pod asks for: the sum of its containers and sidecars, or more if an init container needs
/// it while it runs beside the sidecars before it; then the overhead of its runtime. A request of the
/// pod as a whole replaces the sum (KEP-2837).
pub(crate) fn requests(spec: &PodSpec) -> Resources {
    let of = |c: &Container| {
        let resources = c.resources.as_ref();
        Resources::read(resources.and_then(|r| r.requests.as_ref()))
    };
    let mut total = total(spec, of);
    let whole = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
    let own = Resources::read(whole);
    for name in whole.into_iter().flat_map(BTreeMap::keys) {
        match name.as_str() {
            "cpu" => total.cpu = own.cpu,
            "memory" => total.memory = own.memory,
            _ => total.set(name, own.other(name)),
        }
    }
    total.add(&Resources::read(spec.overhead.as_ref()));
    total
}

/// The CPU and memory that a pod counts for when nodes are compared: a container that asks for
/// nothing still needs something.
pub(crate) fn assumed(spec: &PodSpec) -> (i64, i64) {
    let of = |c: &Container| {
        let requests = c.resources.as_ref().and_then(|r| r.requests.as_ref());
        let mut found = Resources::read(requests);
        let has = |name: &str| requests.is_some_and(|r| r.contains_key(name));
        if !has("cpu") {
            found.cpu = ASSUMED_CPU;
        }
        if !has("memory") {
            found.memory = ASSUMED_MEMORY;
        }
        found
    };
    let mut total = total(spec, of);
    let own = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
    if let Some(own) = own {
        let amounts = Resources::read(Some(own));
        if own.contains_key("cpu") {
            total.cpu = amounts.cpu;
        }
        if own.contains_key("memory") {
            total.memory = amounts.memory;
        }
    }
    total.add(&Resources::read(spec.overhead.as_ref()));
    (total.cpu, total.memory)
}

fn total(spec: &PodSpec, of: impl Fn(&Container) -> Resources) -> Resources {
    let mut running = Resources::default();
    for container in &spec.containers {
        running.add(&of(container));
    }
    let mut sidecars = Resources::default();
    let mut most = Resources::default();
    for container in spec.init_containers.iter().flatten() {
        let asks = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&asks);
            most.raise_to(&sidecars);
        } else {
            let mut beside = sidecars.clone();
            beside.add(&asks);
            most.raise_to(&beside);
        }
    }
    running.add(&sidecars);
    running.raise_to(&most);
    running
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn container(cpu: &str, restart: Option<&str>) -> Value {
        json!({
            "name": "c", "restartPolicy": restart,
            "resources": {"requests": {"cpu": cpu, "example.com/gpu": "1"}},
        })
    }

    fn cpu(spec: Value) -> i64 {
        requests(&serde_json::from_value(spec).expect("a pod spec")).cpu
    }

    #[test]
    fn containers_add_up_and_init_containers_raise() {
        let spec = json!({
            "containers": [container("100m", None), container("0.2", None)],
            "initContainers": [container("1", None)],
        });
        assert_eq!(cpu(spec), 1000);
    }

    #[test]
    fn sidecars_run_beside_everything_after_them() {
        let spec = json!({
            "containers": [container("100m", None)],
            "initContainers": [container("500m", Some("Always")), container("1", None)],
        });
        assert_eq!(cpu(spec), 1500);
        let spec = json!({
            "containers": [container("1", None)],
            "initContainers": [container("200m", None), container("500m", Some("Always"))],
        });
        assert_eq!(cpu(spec), 1500);
    }

    #[test]
    fn a_request_of_the_whole_pod_and_its_overhead_count() {
        let spec = json!({
            "containers": [container("100m", None)],
            "resources": {"requests": {"cpu": "2"}},
            "overhead": {"cpu": "10m"},
        });
        assert_eq!(cpu(spec), 2010);
    }

    #[test]
    fn containers_without_requests_count_for_something() {
        let spec = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        let spec: PodSpec = serde_json::from_value(spec).expect("a pod spec");
        assert_eq!(requests(&spec), Resources::default());
        assert_eq!(assumed(&spec), (200, 400 * 1024 * 1024));
    }
}
