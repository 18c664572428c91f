//! The objects that exist after the first start.

use serde::Deserialize as _;
use serde_json::Value;

/// Namespaces, and the default roles and bindings.
const OBJECTS: &str = include_str!("../../../manifests/bootstrap.yaml");

/// The objects, in the order in which they can be created. Those that are missing are to be created at
/// each start; those that are there belong to the cluster's administrator.
pub fn objects() -> Vec<Value> {
    serde_yaml::Deserializer::from_str(OBJECTS)
        .map(|document| Value::deserialize(document).expect("a test reads the embedded file"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_has_a_kind_and_a_name_and_namespaces_come_first() {
        let objects = objects();
        assert_eq!(objects.len(), 146);
        for object in &objects {
            assert!(object["apiVersion"].is_string(), "{object}");
            assert!(object["metadata"]["name"].is_string(), "{object}");
        }
        let kinds: Vec<_> = objects.iter().map(|o| &o["kind"]).collect();
        assert!(kinds[..4].iter().all(|kind| *kind == "Namespace"));
        assert!(kinds[4..].iter().all(|kind| *kind != "Namespace"));
    }

    #[test]
    fn bound_users_get_what_their_default_role_says() {
        use crate::auth::{Attributes, Authorizer, Decision, Known};
        let known = std::sync::Arc::new(Known::default());
        for object in objects() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let meta = &object["metadata"];
            let (namespace, name) = (text(&meta["namespace"]), text(&meta["name"]));
            known.observe(&text(&object["kind"]), &namespace, &name, Some(&object));
        }
        let authorizer = Authorizer::new(known);
        for (user, verb, resource, allowed) in [
            ("system:kube-scheduler", "create", "pods/binding", true),
            ("system:kube-scheduler", "create", "pods", false),
            (
                "system:serviceaccount:kube-system:replicaset-controller",
                "create",
                "pods",
                true,
            ),
            ("alice", "list", "pods", false),
        ] {
            let user = api::auth::UserInfo::component(user, &[]);
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let decision = authorizer.authorize(&Attributes {
                user: &user,
                verb,
                group: "",
                resource,
                subresource,
                namespace: "default",
                name: "",
                field_selector: "",
                path: "",
            });
            assert_eq!(decision == Decision::Allow, allowed, "{user:?} {verb}");
        }
    }
}
