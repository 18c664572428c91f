//! `emptyDir`: a folder on the node's disk, or a tmpfs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::EmptyDirVolumeSource;

use super::{Maker, VolumeError, ownership, system};
use crate::pod::{resources, spec};

pub(super) fn set_up(
    maker: &Maker<'_>,
    name: &str,
    source: &EmptyDirVolumeSource,
) -> Result<PathBuf, VolumeError> {
    let uid = spec::uid(maker.pod);
    let path = if source.medium.as_deref() == Some("Memory") {
        maker.paths.secret_volume(uid, "empty-dir", name)
    } else {
        maker.paths.volume(uid, "empty-dir", name)
    };
    if path.is_dir() && source.medium.as_deref() != Some("Memory") {
        return Ok(path);
    }
    fs::create_dir_all(&path).map_err(VolumeError::io("create", &path))?;
    match source.medium.as_deref() {
        None | Some("") => {}
        Some("Memory") => {
            let mounted = system::is_mounted(&path).map_err(VolumeError::io("look at", &path))?;
            if mounted {
                return Ok(path);
            }
            let size = size(maker, source);
            system::mount_tmpfs(&path, size, 0o777)
                .map_err(VolumeError::io("mount a tmpfs at", &path))?;
        }
        Some(_) => return Err(VolumeError::Unsupported(name.to_owned())),
    }
    let everybody = fs::Permissions::from_mode(0o777);
    fs::set_permissions(&path, everybody).map_err(VolumeError::io("chmod", &path))?;
    ownership::apply(maker.pod, &path, false).map_err(VolumeError::io("chown", &path))?;
    Ok(path)
}

/// `sizeLimit`, but not more than the pod's memory limit.
fn size(maker: &Maker<'_>, source: &EmptyDirVolumeSource) -> Option<i64> {
    let quantity = source.size_limit.as_ref().and_then(resources::parse);
    let limit = quantity.and_then(|q| i64::try_from(q.value()).ok());
    let limit = limit.filter(|&limit| limit > 0);
    let pod = resources::of_pod(maker.pod).memory_limit;
    match (limit, pod) {
        (Some(limit), Some(pod)) => Some(limit.min(pod)),
        (limit, pod) => limit.or(pod),
    }
}
