//! The mounts of one container: its volumes, parts of them, and its termination message.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};

use super::{Made, VolumeError, subpath};
use crate::env::expand;
use crate::paths::Paths;
use crate::pod::spec;
use crate::runtime::{Mount, Propagation};

/// All mounts of a container. `env` is its environment, for `subPathExpr`.
pub(crate) fn make(
    paths: &Paths,
    pod: &Pod,
    container: &Container,
    attempt: u32,
    volumes: &Made,
    env: &[(String, String)],
) -> Result<Vec<Mount>, VolumeError> {
    let mut mounts = Vec::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let Some(volume) = volumes.paths.get(&mount.name) else {
            return Err(VolumeError::Unsupported(mount.name.clone()));
        };
        let source = match sub_path(mount, env)? {
            None => volume.clone(),
            Some(path) => {
                let at = sub_path_mount(paths, pod, container, &mount.name, index);
                subpath::mount(volume, &path, &at)?;
                at
            }
        };
        mounts.push(Mount {
            source,
            target: absolute(&mount.mount_path),
            read_only: mount.read_only.unwrap_or_default() || is_written_by_node(pod, &mount.name),
            propagation: propagation(mount),
        });
    }
    mounts.extend(message(paths, pod, container, attempt)?);
    Ok(mounts)
}

fn sub_path(mount: &VolumeMount, env: &[(String, String)]) -> Result<Option<String>, VolumeError> {
    if let Some(path) = mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
        return Ok(Some(path.to_owned()));
    }
    let Some(expression) = mount.sub_path_expr.as_deref().filter(|e| !e.is_empty()) else {
        return Ok(None);
    };
    let lookup = |name: &str| {
        let found = env.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone())
    };
    let path = expand(expression, lookup);
    if path.contains("$(") {
        return Err(VolumeError::Path(path));
    }
    Ok(Some(path))
}

/// Whether the node writes the volume, which makes it read-only in containers whatever they ask for.
fn is_written_by_node(pod: &Pod, name: &str) -> bool {
    let mut volumes = spec::spec(pod).volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == name);
    volume.is_some_and(|v| {
        v.config_map.is_some()
            || v.secret.is_some()
            || v.downward_api.is_some()
            || v.projected.is_some()
    })
}

/// Where a part of a volume is mounted on the host.
fn sub_path_mount(
    paths: &Paths,
    pod: &Pod,
    container: &Container,
    volume: &str,
    index: usize,
) -> PathBuf {
    paths
        .pod_run(spec::uid(pod))
        .join("subpaths")
        .join(volume)
        .join(&container.name)
        .join(index.to_string())
}

fn absolute(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

fn propagation(mount: &VolumeMount) -> Propagation {
    match mount.mount_propagation.as_deref() {
        Some("HostToContainer") => Propagation::HostToContainer,
        Some("Bidirectional") => Propagation::Bidirectional,
        _ => Propagation::Private,
    }
}

/// The file in which a container may leave its last words.
fn message(
    paths: &Paths,
    pod: &Pod,
    container: &Container,
    attempt: u32,
) -> Result<Option<Mount>, VolumeError> {
    use std::os::unix::fs::PermissionsExt;
    let target = container.termination_message_path.as_deref();
    let Some(target) = target.filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let source = paths.termination_message(spec::uid(pod), &container.name, attempt);
    let fail = VolumeError::io("create", &source);
    if let Some(parent) = source.parent() {
        fs::create_dir_all(parent).map_err(&fail)?;
    }
    fs::write(&source, b"").map_err(&fail)?;
    let everybody = fs::Permissions::from_mode(0o666);
    fs::set_permissions(&source, everybody).map_err(&fail)?;
    Ok(Some(Mount {
        source,
        target: absolute(target),
        read_only: false,
        propagation: Propagation::Private,
    }))
}
