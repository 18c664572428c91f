//! ServiceAccount: each pod runs as an account of its namespace, and finds that account's token in a
//! volume.

use api::kind::Kind;
use api::meta;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Operation, Plugin, Review};
use crate::error::{Error, Result};

const DEFAULT: &str = "default";
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME: &str = "kube-api-access-";
/// Seconds that a token of the volume is valid. A value of its own, so that it is told from one that a
/// user has asked for.
const EXPIRATION: i64 = 3607;
/// Pods that a node reports of its own files.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The plugin.
pub(super) struct ServiceAccount;

#[async_trait]
impl Plugin for ServiceAccount {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        if !review.is("", "pods") || review.operation != Operation::Create {
            return Ok(());
        }
        if meta::annotation(object, MIRROR).is_some() {
            return self.check_mirror(review, object);
        }
        let spec = &mut object["spec"];
        if spec["serviceAccountName"]
            .as_str()
            .unwrap_or_default()
            .is_empty()
        {
            spec["serviceAccountName"] = DEFAULT.into();
        }
        spec["serviceAccount"] = spec["serviceAccountName"].clone();
        let name = spec["serviceAccountName"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let account = self.account(review, &name, meta::name(object)).await?;
        let asked = object["spec"]["automountServiceAccountToken"].as_bool();
        let mounted = asked
            .or_else(|| account["automountServiceAccountToken"].as_bool())
            .unwrap_or(true);
        if mounted {
            let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
            mount(&mut object["spec"], &meta::name::generate(VOLUME, random));
        }
        let spec = &mut object["spec"];
        if meta::list(&spec["imagePullSecrets"]).is_empty()
            && !meta::list(&account["imagePullSecrets"]).is_empty()
        {
            spec["imagePullSecrets"] = account["imagePullSecrets"].clone();
        }
        Ok(())
    }
}

impl ServiceAccount {
    async fn account(&self, review: &Review<'_>, name: &str, pod: &str) -> Result<Value> {
        let call = review.call;
        let kind: &dyn Kind = api::kinds::by_plural("", "v1", "serviceaccounts")
            .ok_or_else(Error::no_such_resource)?;
        let cache = call.app.cache.of(kind);
        if cache.get(&call.namespace, name).is_none() {
            call.app.cache.fresh().await?;
        }
        let found = cache.get(&call.namespace, name).ok_or_else(|| {
            let why = format!(
                "error looking up service account {}/{name}: serviceaccount {name:?} not found",
                call.namespace
            );
            Error::forbidden(review.resource(), pod, why)
        })?;
        Ok(found.value())
    }

    /// A mirror pod stands for one that the node already runs, and has no claim on the cluster.
    fn check_mirror(&self, review: &Review<'_>, object: &Value) -> Result<()> {
        let named = object["spec"]["serviceAccountName"]
            .as_str()
            .unwrap_or_default();
        match named {
            "" => Ok(()),
            _ => Err(Error::forbidden(
                review.resource(),
                meta::name(object),
                "a mirror pod may not reference service accounts",
            )),
        }
    }
}

/// Puts the token's volume into every container that has nothing there yet.
fn mount(spec: &mut Value, volume: &str) {
    let mut used = false;
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        let Some(containers) = containers else {
            continue;
        };
        for container in containers {
            let mounts = meta::list(&container["volumeMounts"]);
            if mounts.iter().any(|mount| mount["mountPath"] == MOUNT) {
                continue;
            }
            used = true;
            push(
                &mut container["volumeMounts"],
                json!({ "name": volume, "readOnly": true, "mountPath": MOUNT }),
            );
        }
    }
    if !used {
        return;
    }
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": EXPIRATION, "path": "token"}},
        {"configMap": {
            "name": "kube-root-ca.crt",
            "items": [{"key": "ca.crt", "path": "ca.crt"}],
        }},
        {"downwardAPI": {"items": [{
            "path": "namespace",
            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
        }]}},
    ]);
    push(
        &mut spec["volumes"],
        json!({ "name": volume, "projected": { "sources": sources, "defaultMode": 420 } }),
    );
}

fn push(list: &mut Value, entry: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(entry),
        None => *list = json!([entry]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_finds_the_token_and_an_own_mount_stays() {
        let mut spec = json!({
            "initContainers": [{"name": "i"}],
            "containers": [
                {"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/x"}]},
                {"name": "b", "volumeMounts": [{"name": "own", "mountPath": MOUNT}]},
            ],
        });
        mount(&mut spec, "kube-api-access-abcde");
        assert_eq!(spec["volumes"][0]["name"], "kube-api-access-abcde");
        assert_eq!(
            spec["initContainers"][0]["volumeMounts"][0]["mountPath"],
            MOUNT
        );
        assert_eq!(spec["containers"][0]["volumeMounts"][1]["readOnly"], true);
        assert_eq!(
            spec["containers"][1]["volumeMounts"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}
