//! What a node may do: Kubernetes' Node authorizer (KEP-4601 for the reads).
//!
//! A node is a user `system:node:NAME` in the group `system:nodes`. It reads the secrets, config maps
//! and service-account tokens of the pods that are bound to it, and no others; it writes its own Node
//! and Lease, and the status of its pods.
//!
//! Deleting, evicting and updating the status of a pod is checked here against the pods of the node;
//! Kubernetes checks that in the NodeRestriction admission plugin. What can only be checked with the
//! object in hand is [`restrict`], for admission.

use std::collections::{BTreeSet, HashMap};

use api::auth::{NODES, UserInfo};
use api::meta::selector::Fields;
use parking_lot::RwLock;
use serde_json::Value;

use super::Attributes;

/// The namespace of the nodes' leases.
const LEASES: &str = "kube-node-lease";
/// The annotation of a pod that stands for a static one.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What the Node authorizer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opinion {
    /// Yes.
    Allow,
    /// Nothing, and for a node's request possibly why.
    None(Option<String>),
}

/// Namespace, name.
type Key = (String, String);

/// The pods of each node, and what they refer to.
#[derive(Debug, Default)]
pub(super) struct Graph {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The node of each bound pod.
    nodes: HashMap<Key, String>,
    pods: HashMap<String, HashMap<Key, Pod>>,
}

/// What a pod refers to, in its own namespace.
#[derive(Debug, Default)]
struct Pod {
    uid: String,
    secrets: BTreeSet<String>,
    config_maps: BTreeSet<String>,
    service_account: String,
}

/// What all nodes may do besides: group, resources, verbs.
const COMMON: [(&str, &[&str], &[&str]); 7] = [
    ("", &["services"], &["get", "list", "watch"]),
    ("", &["endpoints"], &["get"]),
    ("", &["events"], &["create", "patch", "update"]),
    ("events.k8s.io", &["events"], &["create", "patch", "update"]),
    (
        "node.k8s.io",
        &["runtimeclasses"],
        &["get", "list", "watch"],
    ),
    ("authentication.k8s.io", &["tokenreviews"], &["create"]),
    (
        "authorization.k8s.io",
        &["subjectaccessreviews", "localsubjectaccessreviews"],
        &["create"],
    ),
];

/// The node that a user is.
pub fn name(user: &UserInfo) -> Option<&str> {
    let name = user.name.strip_prefix("system:node:")?;
    (!name.is_empty() && user.in_group(NODES)).then_some(name)
}

impl Graph {
    /// Takes note of a pod as it now is, `None` when it is gone.
    pub(super) fn set_pod(&self, namespace: &str, name: &str, pod: Option<&Value>) {
        let key = (namespace.to_owned(), name.to_owned());
        let node = pod.and_then(|pod| pod["spec"]["nodeName"].as_str());
        let node = node.filter(|node| !node.is_empty());
        let mut state = self.state.write();
        if let Some(old) = state.nodes.remove(&key)
            && let Some(pods) = state.pods.get_mut(&old)
        {
            pods.remove(&key);
            if pods.is_empty() {
                state.pods.remove(&old);
            }
        }
        if let (Some(pod), Some(node)) = (pod, node) {
            state.nodes.insert(key.clone(), node.to_owned());
            let pods = state.pods.entry(node.to_owned()).or_default();
            pods.insert(key, Pod::read(pod));
        }
    }

    /// Whether the user is a node and the request one of those that nodes may make.
    pub(super) fn authorize(&self, attributes: &Attributes<'_>) -> Opinion {
        let Some(node) = name(attributes.user) else {
            return Opinion::None(None);
        };
        let decided = match (attributes.group, attributes.resource) {
            ("", "secrets" | "configmaps") => self.read_reference(node, attributes),
            ("", "serviceaccounts") => self.token(node, attributes),
            ("", "pods") => self.pod(node, attributes),
            ("", "nodes") => own_node(node, attributes),
            ("coordination.k8s.io", "leases") => lease(node, attributes),
            (group, resource) => {
                let allowed = COMMON.iter().any(|(g, resources, verbs)| {
                    *g == group
                        && resources.contains(&resource)
                        && verbs.contains(&attributes.verb)
                        && attributes.subresource.is_empty()
                });
                return match allowed {
                    true => Opinion::Allow,
                    false => Opinion::None(None),
                };
            }
        };
        match decided {
            Ok(()) => Opinion::Allow,
            Err(reason) => Opinion::None(Some(reason)),
        }
    }

    fn any_pod(&self, node: &str, test: impl Fn(&Key, &Pod) -> bool) -> Result<(), String> {
        let state = self.state.read();
        let mut pods = state.pods.get(node).into_iter().flatten();
        match pods.any(|(key, pod)| test(key, pod)) {
            true => Ok(()),
            false => Err(format!(
                "no relationship found between node '{node}' and this object"
            )),
        }
    }

    fn read_reference(&self, node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        if !matches!(attributes.verb, "get" | "list" | "watch") {
            return Err("can only read resources of this type".to_owned());
        }
        if !attributes.subresource.is_empty() {
            return Err("cannot read subresource".to_owned());
        }
        if attributes.name.is_empty() {
            return Err("No Object name found".to_owned());
        }
        self.any_pod(node, |(namespace, _), pod| {
            let names = match attributes.resource {
                "secrets" => &pod.secrets,
                _ => &pod.config_maps,
            };
            namespace == attributes.namespace && names.contains(attributes.name)
        })
    }

    fn token(&self, node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        if (attributes.verb, attributes.subresource) != ("create", "token") {
            return Err("can only create tokens for individual service accounts".to_owned());
        }
        self.any_pod(node, |(namespace, _), pod| {
            namespace == attributes.namespace && pod.service_account == attributes.name
        })
    }

    fn pod(&self, node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match (attributes.verb, attributes.subresource) {
            ("create", "") => Ok(()),
            ("list" | "watch", "") => {
                let selected = Fields::parse(attributes.field_selector).ok();
                let selected = selected.as_ref().and_then(|s| s.exact("spec.nodeName"));
                match selected == Some(node) {
                    true => Ok(()),
                    false => {
                        Err("can only list/watch pods with spec.nodeName field selector".to_owned())
                    }
                }
            }
            ("get" | "delete", "")
            | ("get" | "patch" | "update", "status")
            | ("create", "eviction") => self.any_pod(node, |(namespace, name), _| {
                namespace == attributes.namespace && name == attributes.name
            }),
            _ => Err(
                "a node can only read, delete and evict its pods, and write their status"
                    .to_owned(),
            ),
        }
    }

    /// Whether a pod with this uid is bound to the node and runs as the account.
    fn runs(&self, node: &str, namespace: &str, account: &str, pod: &str, uid: &str) -> bool {
        let found = self.any_pod(node, |key, p| {
            key.0 == namespace && key.1 == pod && p.uid == uid && p.service_account == account
        });
        found.is_ok()
    }
}

fn own_node(node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
    let own = attributes.name == node;
    match (attributes.verb, attributes.subresource) {
        // A create has no name in its path: `restrict` looks at the object.
        ("create", "") => Ok(()),
        ("get" | "list" | "watch", "") if own => Ok(()),
        ("get" | "list" | "watch", "") => Err(format!(
            "node '{node}' cannot read '{}', only its own Node object",
            attributes.name
        )),
        ("patch" | "update", "" | "status") if own => Ok(()),
        _ => Err(format!("node '{node}' can only write its own Node object")),
    }
}

fn lease(node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
    let verbs = ["get", "create", "update", "patch", "delete"];
    if !verbs.contains(&attributes.verb) || !attributes.subresource.is_empty() {
        let text = "can only get, create, update, patch, or delete a node lease";
        return Err(text.to_owned());
    }
    if attributes.namespace != LEASES {
        return Err(format!(
            "can only access leases in the {LEASES:?} system namespace"
        ));
    }
    if attributes.verb != "create" && attributes.name != node {
        return Err(
            "can only access node lease with the same name as the requesting node".to_owned(),
        );
    }
    Ok(())
}

impl Pod {
    fn read(pod: &Value) -> Self {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let mut found = Self {
            uid: uid.to_owned(),
            ..Self::default()
        };
        // A node makes the mirrors of its static pods itself: they give it no right to read.
        if pod["metadata"]["annotations"][MIRROR].is_string() {
            return found;
        }
        let spec = &pod["spec"];
        let account = spec["serviceAccountName"].as_str().unwrap_or("default");
        found.service_account = account.to_owned();
        found.collect(spec);
        found
    }

    /// Collects what volumes, environments and image pulls refer to, wherever it stands in the spec.
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(fields) => {
                for (field, value) in fields {
                    let name = value["name"].as_str().map(str::to_owned);
                    match field.as_str() {
                        "secretName" => self.secrets.extend(value.as_str().map(str::to_owned)),
                        "secret" | "secretRef" | "secretKeyRef" | "nodePublishSecretRef" => {
                            self.secrets.extend(name);
                        }
                        "configMap" | "configMapRef" | "configMapKeyRef" => {
                            self.config_maps.extend(name);
                        }
                        "imagePullSecrets" => {
                            let list = value.as_array().into_iter().flatten();
                            let names = list.filter_map(|s| s["name"].as_str().map(str::to_owned));
                            self.secrets.extend(names);
                        }
                        _ => {}
                    }
                    self.collect(value);
                }
            }
            _ => {}
        }
    }
}

/// Admission for requests of nodes, as the NodeRestriction plugin: what an authorizer can't see because
/// it is in the object. `object` is what is to be written. Users that are no node pass.
pub fn restrict(
    known: &super::Known,
    attributes: &Attributes<'_>,
    object: &Value,
) -> Result<(), String> {
    let Some(node) = name(attributes.user) else {
        return Ok(());
    };
    match (attributes.resource, attributes.subresource, attributes.verb) {
        ("pods", "", "create") => restrict_mirror(node, object),
        ("nodes", "", "create") if object["metadata"]["name"] != *node => Err(format!(
            "node {node:?} is not allowed to modify other nodes"
        )),
        ("leases", "", "create") if object["metadata"]["name"] != *node => {
            Err("can only access node lease with the same name as the requesting node".to_owned())
        }
        ("serviceaccounts", "token", "create") => {
            let bound = &object["spec"]["boundObjectRef"];
            let text = |field: &str| bound[field].as_str().unwrap_or_default();
            if text("kind") != "Pod" {
                return Err(format!("node requested token not bound to a pod: {node:?}"));
            }
            let (pod, uid) = (text("name"), text("uid"));
            let (namespace, account) = (attributes.namespace, attributes.name);
            match known.nodes.runs(node, namespace, account, pod, uid) {
                true => Ok(()),
                false => Err(format!(
                    "node requested token bound to a pod scheduled on a different node: {node:?}"
                )),
            }
        }
        _ => Ok(()),
    }
}

/// A node may create pods only to mirror its static ones, and these may not reach for secrets.
fn restrict_mirror(node: &str, pod: &Value) -> Result<(), String> {
    if !pod["metadata"]["annotations"][MIRROR].is_string() {
        return Err(format!(
            "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
        ));
    }
    if pod["spec"]["nodeName"] != *node {
        return Err(format!(
            "node {node:?} can only create pods with spec.nodeName set to itself"
        ));
    }
    if pod["spec"]["serviceAccountName"]
        .as_str()
        .is_some_and(|a| !a.is_empty())
    {
        return Err(format!(
            "node {node:?} can not create pods that reference a service account"
        ));
    }
    let mut found = Pod::default();
    found.collect(&pod["spec"]);
    for (kind, names) in [
        ("secrets", &found.secrets),
        ("configmaps", &found.config_maps),
    ] {
        if !names.is_empty() {
            return Err(format!(
                "node {node:?} can not create pods that reference {kind}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Known;
    use serde_json::json;

    fn node() -> UserInfo {
        UserInfo::component("system:node:n1", &[NODES])
    }

    fn known() -> Known {
        let known = Known::default();
        let pod = |node: &str| {
            json!({
                "metadata": {"uid": "u1"},
                "spec": {
                    "nodeName": node,
                    "serviceAccountName": "robot",
                    "imagePullSecrets": [{"name": "pull"}],
                    "volumes": [
                        {"name": "v", "secret": {"secretName": "volume"}},
                        {"name": "p", "projected": {"sources": [{"configMap": {"name": "ca"}}]}},
                    ],
                    "containers": [{
                        "name": "c",
                        "envFrom": [{"secretRef": {"name": "from"}}],
                        "env": [{"valueFrom": {"configMapKeyRef": {"name": "env", "key": "k"}}}],
                    }],
                },
            })
        };
        known.observe("Pod", "a", "mine", Some(&pod("n1")));
        known.observe("Pod", "b", "other", Some(&pod("n2")));
        known
    }

    /// `VERB RESOURCE[/SUBRESOURCE] NAMESPACE [NAME]`; `-` for none.
    fn allowed(known: &Known, request: &str) -> bool {
        let words: Vec<&str> = request.split(' ').collect();
        let (resource, subresource) = words[1].split_once('/').unwrap_or((words[1], ""));
        let user = node();
        let attributes = Attributes {
            user: &user,
            verb: words[0],
            group: if resource == "leases" {
                "coordination.k8s.io"
            } else {
                ""
            },
            resource,
            subresource,
            namespace: words[2].trim_matches('-'),
            name: words.get(3).copied().unwrap_or_default(),
            field_selector: words.get(4).copied().unwrap_or_default(),
            path: "",
        };
        known.nodes.authorize(&attributes) == Opinion::Allow
    }

    #[test]
    fn a_node_reads_only_what_its_pods_refer_to() {
        let known = known();
        for name in ["pull", "volume", "from"] {
            assert!(allowed(&known, &format!("get secrets a {name}")), "{name}");
            assert!(!allowed(&known, &format!("get secrets b {name}")), "{name}");
        }
        for name in ["ca", "env"] {
            assert!(
                allowed(&known, &format!("watch configmaps a {name}")),
                "{name}"
            );
        }
        assert!(allowed(&known, "create serviceaccounts/token a robot"));
        for request in [
            "get secrets a ca",
            "list secrets a",
            "update secrets a pull",
            "create serviceaccounts/token b robot",
            "create serviceaccounts/token a default",
        ] {
            assert!(!allowed(&known, request), "{request}");
        }
        known.observe("Pod", "a", "mine", None);
        assert!(!allowed(&known, "get secrets a pull"));
    }

    #[test]
    fn a_node_has_a_name() {
        let nameless = UserInfo::component("system:node:", &[NODES]);
        assert_eq!(name(&nameless), None);
        assert_eq!(name(&node()), Some("n1"));
    }

    #[test]
    fn a_node_writes_its_own_objects_only() {
        let known = known();
        for request in [
            "create nodes - ",
            "patch nodes/status - n1",
            "update leases kube-node-lease n1",
            "patch pods/status a mine",
            "delete pods a mine",
            "list pods -  spec.nodeName=n1",
            "create events a",
        ] {
            assert!(allowed(&known, request), "{request}");
        }
        for request in [
            "patch nodes/status - n2",
            "list pods -  a=b\\,spec.nodeName=n1",
            "list pods -  spec.nodeName!=n1",
            "delete nodes - n1",
            "list nodes -",
            "update leases kube-node-lease n2",
            "update leases kube-system n1",
            "patch pods/status b other",
            "delete pods b other",
            "update pods a mine",
            "list pods -  spec.nodeName=n2",
            "list pods -",
            "create deployments a",
        ] {
            assert!(!allowed(&known, request), "{request}");
        }
    }

    #[test]
    fn a_node_creates_mirror_pods_and_tokens_of_its_pods_only() {
        let known = known();
        let user = node();
        let check = |verb, resource, subresource, name, object: Value| {
            let attributes = Attributes {
                user: &user,
                verb,
                group: "",
                resource,
                subresource,
                namespace: "a",
                name,
                field_selector: "",
                path: "",
            };
            restrict(&known, &attributes, &object).is_ok()
        };
        let pod = |annotations: Value, spec: Value| {
            let pod = json!({"metadata": {"annotations": annotations}, "spec": spec});
            check("create", "pods", "", "", pod)
        };
        let mirror = json!({MIRROR: "x"});
        assert!(pod(mirror.clone(), json!({"nodeName": "n1"})));
        assert!(!pod(json!({}), json!({"nodeName": "n1"})));
        assert!(!pod(mirror.clone(), json!({"nodeName": "n2"})));
        let secret = json!({"nodeName": "n1", "volumes": [{"secret": {"secretName": "x"}}]});
        assert!(!pod(mirror, secret));

        let token = |bound: Value| {
            let object = json!({"spec": {"boundObjectRef": bound}});
            check("create", "serviceaccounts", "token", "robot", object)
        };
        assert!(token(json!({"kind": "Pod", "name": "mine", "uid": "u1"})));
        assert!(!token(json!({"kind": "Pod", "name": "mine", "uid": "u2"})));
        assert!(!token(json!({"kind": "Pod", "name": "other", "uid": "u1"})));
        assert!(!token(Value::Null));
    }
}
