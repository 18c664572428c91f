//! What the server treats differently for some resources: the explicit list of exceptions, so that the
//! handlers know no kind by name.

use api::kind::Resource;
use store::Durability;

/// Whether deleting gives the object time to end. Its owner removes it with a second deletion, of
/// grace 0, when it has ended.
pub(crate) fn ends_gracefully(resource: &Resource) -> bool {
    is(resource, &[("", "pods")])
}

/// Whether a deletion that removes at once answers with the object rather than with a `Status`.
pub(crate) fn returns_deleted(resource: &Resource) -> bool {
    is(
        resource,
        &[
            ("", "persistentvolumeclaims"),
            ("", "persistentvolumes"),
            ("", "pods"),
            ("", "podtemplates"),
            ("", "resourcequotas"),
            ("", "serviceaccounts"),
            ("", "services"),
        ],
    )
}

/// Whether an object goes only when `spec.finalizers` are gone, and shows that in its phase.
pub(crate) fn has_spec_finalizers(resource: &Resource) -> bool {
    resource.subresource("finalize").is_some()
}

/// Whether an update may create the object.
pub(crate) fn creates_on_update(resource: &Resource) -> bool {
    is(
        resource,
        &[
            ("", "events"),
            ("coordination.k8s.io", "leases"),
            ("rbac.authorization.k8s.io", "clusterrolebindings"),
            ("rbac.authorization.k8s.io", "clusterroles"),
            ("rbac.authorization.k8s.io", "rolebindings"),
            ("rbac.authorization.k8s.io", "roles"),
        ],
    )
}

/// When a write is acknowledged. Renewals and events are many, and nothing is lost with the last second
/// of them.
pub(crate) fn durability(resource: &Resource) -> Durability {
    match is(
        resource,
        &[("", "events"), ("coordination.k8s.io", "leases")],
    ) {
        true => Durability::Relaxed,
        false => Durability::Durable,
    }
}

/// Whether objects go by themselves after the time to live of events.
pub(crate) fn expires(resource: &Resource) -> bool {
    is(resource, &[("", "events")])
}

fn is(resource: &Resource, list: &[(&str, &str)]) -> bool {
    list.contains(&(resource.group, resource.plural))
}
