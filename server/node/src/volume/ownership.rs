//! `fsGroup`: the group that owns a pod's volumes.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::spec;

/// The pod's `fsGroup`.
pub(super) fn group(pod: &Pod) -> Option<u32> {
    let context = spec::spec(pod).security_context.as_ref()?;
    u32::try_from(context.fs_group?).ok()
}

/// Gives everything at and below `path` to the pod's `fsGroup`, readable and (unless `read_only`) writable
/// for it; folders pass the group on to what is made in them.
///
/// With `fsGroupChangePolicy: OnRootMismatch` nothing is done if the top already is as it should be.
pub(super) fn apply(pod: &Pod, path: &Path, read_only: bool) -> io::Result<()> {
    let Some(group) = group(pod) else {
        return Ok(());
    };
    let context = spec::spec(pod).security_context.as_ref();
    let policy = context.and_then(|c| c.fs_group_change_policy.as_deref());
    let wanted = if read_only { 0o440 } else { 0o660 };
    if policy == Some("OnRootMismatch") {
        let top = fs::symlink_metadata(path)?;
        let mode = wanted | 0o2110;
        if top.gid() == group && top.permissions().mode() & mode == mode {
            return Ok(());
        }
    }
    give(path, group, wanted)
}

fn give(path: &Path, group: u32, wanted: u32) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    lchown(path, None, Some(group))?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mut mode = (meta.permissions().mode() & 0o7777) | wanted;
    if meta.is_dir() {
        mode |= 0o2110;
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), group, wanted)?;
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
