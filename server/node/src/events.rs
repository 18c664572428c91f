//! Events about pods, their containers and the node, with the references that the kubelet gives them.

use client::events::{Recorder, Type};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};

use crate::pod::spec;

/// Records events as `kubelet`.
#[derive(Clone)]
pub(crate) struct Events {
    recorder: Recorder,
    node: String,
}

impl Events {
    pub(crate) fn new(client: kube::Client, node: &str) -> Self {
        Self {
            recorder: Recorder::new(client, "kubelet", node),
            node: node.to_owned(),
        }
    }

    /// About a pod, or about one of its containers.
    pub(crate) fn pod(
        &self,
        pod: &Pod,
        container: Option<&str>,
        kind: Type,
        reason: &str,
        message: impl Into<String>,
    ) {
        let field = container.map(|name| {
            let list = if spec::is_init(pod, name) {
                "initContainers"
            } else {
                "containers"
            };
            format!("spec.{list}{{{name}}}")
        });
        let reference = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
            field_path: field,
        };
        self.recorder.event(&reference, kind, reason, message);
    }

    /// About the node. Its uid in events is its name, as the kubelet has it.
    pub(crate) fn node(&self, kind: Type, reason: &str, message: impl Into<String>) {
        let reference = ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(self.node.clone()),
            uid: Some(self.node.clone()),
            ..ObjectReference::default()
        };
        self.recorder.event(&reference, kind, reason, message);
    }
}
