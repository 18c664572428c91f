//! Questions about a pod's specification that several parts ask.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

/// How messages of the kubelet name a pod: `name_namespace(uid)`.
pub(crate) fn full_name(pod: &Pod) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

/// `metadata.name`.
pub(crate) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// `metadata.namespace`.
pub(crate) fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

/// `metadata.uid`.
pub(crate) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// The specification; the API server never gives a pod without one.
pub(crate) fn spec(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
    pod.spec.as_ref().unwrap_or(&EMPTY)
}

/// The init containers, sidecars among them.
pub(crate) fn init_containers(pod: &Pod) -> &[Container] {
    spec(pod).init_containers.as_deref().unwrap_or_default()
}

/// The containers proper.
pub(crate) fn containers(pod: &Pod) -> &[Container] {
    &spec(pod).containers
}

/// Init containers, then containers.
pub(crate) fn all_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    init_containers(pod).iter().chain(containers(pod))
}

/// The container of that name, init or not.
pub(crate) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    all_containers(pod).find(|c| c.name == name)
}

/// An init container that goes on beside the containers: KEP-753.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether a name is one of an init container.
pub(crate) fn is_init(pod: &Pod, name: &str) -> bool {
    init_containers(pod).iter().any(|c| c.name == name)
}

/// Whether a container that ended with `code` is to be started again.
///
/// Rules of the container come first, then its own policy (KEP-5307), then the pod's.
/// An init container under the pod's policy `Always` is retried until it succeeds.
pub(crate) fn restarts(pod: &Pod, container: &Container, code: i32) -> bool {
    for rule in container.restart_policy_rules.iter().flatten() {
        let Some(codes) = &rule.exit_codes else {
            continue;
        };
        let listed = codes.values.iter().flatten().any(|&value| value == code);
        if rule.action == "Restart" && listed == (codes.operator == "In") {
            return true;
        }
    }
    let policy = container
        .restart_policy
        .as_deref()
        .or(spec(pod).restart_policy.as_deref());
    match policy {
        Some("Never") => false,
        Some("OnFailure") => code != 0,
        _ => !is_plain_init(pod, container) || code != 0,
    }
}

fn is_plain_init(pod: &Pod, container: &Container) -> bool {
    is_init(pod, &container.name) && !is_sidecar(container)
}

/// Whether the pod's network is the node's.
pub(crate) fn host_network(pod: &Pod) -> bool {
    spec(pod).host_network.unwrap_or_default()
}

/// `terminationGracePeriodSeconds`, 30 unless given.
pub(crate) fn grace_seconds(pod: &Pod) -> i64 {
    spec(pod).termination_grace_period_seconds.unwrap_or(30)
}

/// An annotation's value.
pub(crate) fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    let annotations = pod.metadata.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

/// Whether the pod comes from a file on this machine rather than from the API server.
pub(crate) fn is_static(pod: &Pod) -> bool {
    annotation(pod, crate::statics::SOURCE).is_some_and(|source| source != "api")
}

/// Whether the object only shows a static pod in the API.
pub(crate) fn is_mirror(pod: &Pod) -> bool {
    annotation(pod, crate::statics::MIRROR).is_some()
}

/// Whether the API server holds the pod as ended: it must not run again.
pub(crate) fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
