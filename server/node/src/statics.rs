//! Static pods: pods that files on this machine describe, shown in the API by mirror pods.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Where a pod comes from: `file` or `api`.
pub(crate) const SOURCE: &str = "kubernetes.io/config.source";
/// On a mirror pod: the hash of the pod it shows.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";
/// On a static pod: the hash of what its file said.
const HASH: &str = "kubernetes.io/config.hash";
const SEEN: &str = "kubernetes.io/config.seen";

/// Why a file gives no pod.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StaticError {
    #[error("{}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Yaml {
        path: PathBuf,
        source: serde_yaml::Error,
    },
    #[error("{}: {source}", path.display())]
    Pod {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{}: {problem}", path.display())]
    Invalid { path: PathBuf, problem: String },
}

/// The pods that the files of a folder describe, by uid. A bad file is told of and left out.
pub(crate) fn load(dir: &Path, node: &str, now: Timestamp) -> BTreeMap<String, Pod> {
    let mut pods = BTreeMap::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(dir = %dir.display(), %error, "static pods not read");
            return pods;
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || !path.is_file() {
            continue;
        }
        match read(&path, node, now) {
            Ok(pod) => {
                pods.insert(pod.metadata.uid.clone().unwrap_or_default(), pod);
            }
            Err(error) => tracing::error!(%error, "static pod"),
        }
    }
    pods
}

fn read(path: &Path, node: &str, now: Timestamp) -> Result<Pod, StaticError> {
    let text = std::fs::read_to_string(path).map_err(|source| StaticError::Read {
        path: path.to_owned(),
        source,
    })?;
    let value: Value = serde_yaml::from_str(&text).map_err(|source| StaticError::Yaml {
        path: path.to_owned(),
        source,
    })?;
    let invalid = |problem: &str| StaticError::Invalid {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    if value["kind"] != "Pod" || value["apiVersion"] != "v1" {
        return Err(invalid("not a v1 Pod"));
    }
    let hash = hash(node, path, &text);
    complete(value, node, &hash, now).map_err(|source| StaticError::Pod {
        path: path.to_owned(),
        source,
    })
}

/// 32 hexadecimal digits that change with the file, its path and the node.
fn hash(node: &str, path: &Path, text: &str) -> String {
    let mut digest = Sha256::new();
    for part in [node, &path.display().to_string(), text] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let digest = digest.finalize();
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Fills in what the API server would, and what makes the pod one of this node.
fn complete(
    mut value: Value,
    node: &str,
    hash: &str,
    now: Timestamp,
) -> Result<Pod, serde_json::Error> {
    if let Some(kind) = api::kinds::by_kind("v1", "Pod") {
        kind.default(&mut value);
    }
    let mut pod: Pod = serde_json::from_value(value)?;
    let meta = &mut pod.metadata;
    let name = meta.name.take().unwrap_or_default();
    meta.name = Some(format!("{name}-{}", node.to_lowercase()));
    meta.namespace.get_or_insert_with(|| "default".to_owned());
    meta.uid.get_or_insert_with(|| hash.to_owned());
    let annotations = meta.annotations.get_or_insert_default();
    annotations.insert(HASH.to_owned(), hash.to_owned());
    annotations.insert(SEEN.to_owned(), now.to_string());
    annotations.insert(SOURCE.to_owned(), "file".to_owned());
    let spec = pod.spec.get_or_insert_default();
    spec.node_name = Some(node.to_owned());
    spec.tolerations.get_or_insert_default().push(Toleration {
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        ..Toleration::default()
    });
    Ok(pod)
}

/// The pod that shows a static pod in the API. It goes with its node.
pub(crate) fn mirror(pod: &Pod, node: &str, node_uid: &str) -> Pod {
    let mut mirror = pod.clone();
    mirror.metadata.uid = None;
    mirror.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.to_owned(),
        uid: node_uid.to_owned(),
        controller: Some(true),
        ..OwnerReference::default()
    }]);
    let annotations = mirror.metadata.annotations.get_or_insert_default();
    let hash = annotations.get(HASH).cloned().unwrap_or_default();
    annotations.insert(MIRROR.to_owned(), hash);
    mirror
}

/// Whether a mirror shows this pod, and not an earlier one of the same file.
pub(crate) fn shows(mirror: &Pod, pod: &Pod) -> bool {
    let value = |pod: &Pod, key| {
        let annotations = pod.metadata.annotations.as_ref()?;
        annotations.get(key).cloned()
    };
    value(mirror, MIRROR) == value(pod, HASH) && mirror.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_a_pod_of_this_node_and_a_bad_one_is_left_out() {
        let dir = tempfile::tempdir().expect("temp dir");
        let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n\
                        spec: {containers: [{name: c, image: i}]}\n";
        std::fs::write(dir.path().join("web.yaml"), manifest).expect("written");
        std::fs::write(dir.path().join("bad.yaml"), "kind: [").expect("written");
        std::fs::write(dir.path().join(".hidden"), manifest).expect("written");
        let pods = load(dir.path(), "Node-1", Timestamp::UNIX_EPOCH);
        let pod = pods.values().next().expect("one pod");
        assert_eq!(pods.len(), 1);
        assert_eq!(pod.metadata.name.as_deref(), Some("web-node-1"));
        assert_eq!(pod.metadata.namespace.as_deref(), Some("default"));
        assert!(crate::pod::spec::is_static(pod));

        let mirror = mirror(pod, "Node-1", "u");
        assert!(shows(&mirror, pod) && crate::pod::spec::is_mirror(&mirror));
        let changed = manifest.replace("image: i", "image: j");
        std::fs::write(dir.path().join("web.yaml"), changed).expect("written");
        let pods = load(dir.path(), "Node-1", Timestamp::UNIX_EPOCH);
        let pod = pods.values().next().expect("one pod");
        assert!(!shows(&mirror, pod));
    }
}
