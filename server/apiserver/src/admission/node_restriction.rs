//! NodeRestriction: a node changes only itself and the pods that are bound to it.

use api::auth::NODES;
use api::meta;
use async_trait::async_trait;
use serde_json::Value;

use super::{Operation, Plugin, Review};
use crate::error::{Error, Result};

const USER: &str = "system:node:";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The plugin.
pub(super) struct NodeRestriction;

#[async_trait]
impl Plugin for NodeRestriction {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        let user = &review.call.user;
        let Some(node) = user
            .name
            .strip_prefix(USER)
            .filter(|_| user.in_group(NODES))
        else {
            return Ok(());
        };
        let resource = review.resource();
        let name = meta::name(object);
        let refuse = |why: String| Err(Error::forbidden(resource, name, why));
        if node.is_empty() {
            return refuse(format!("could not determine node from user {USER:?}"));
        }
        match (resource.group, resource.plural) {
            ("", "nodes") if name != node => refuse(format!(
                "node {node:?} is not allowed to modify node {name:?}"
            )),
            ("", "pods") => {
                let pod = review.old.unwrap_or(object);
                let on = pod["spec"]["nodeName"].as_str().unwrap_or_default();
                let mirror = meta::annotation(pod, MIRROR).is_some();
                match review.operation {
                    Operation::Create if !mirror => refuse(format!(
                        "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
                    )),
                    _ if on != node => refuse(format!(
                        "node {node:?} can only modify pods with spec.nodeName set to itself"
                    )),
                    _ => Ok(()),
                }
            }
            ("coordination.k8s.io", "leases") => {
                let place = review.call.namespace.as_str();
                match place == "kube-node-lease" && name == node {
                    true => Ok(()),
                    false => refuse(format!(
                        "node {node:?} can only access its own lease in the namespace \"kube-node-lease\""
                    )),
                }
            }
            _ => Ok(()),
        }
    }
}
