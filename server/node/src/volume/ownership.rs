//! `fsGroup`: the group that owns a pod's volumes; and the user that owns its tokens.

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

/// The user of a pod, if the specification gives all its containers one and the same. As with the kubelet, what
/// their images say does not count.
pub(super) fn user(pod: &Pod) -> Option<u32> {
    let all = spec::spec(pod).security_context.as_ref();
    let all = all.and_then(|context| context.run_as_user);
    let mut users = spec::all_containers(pod).map(|container| {
        let own = container.security_context.as_ref();
        own.and_then(|context| context.run_as_user).or(all)
    });
    let first = users.next()??;
    let same = users.all(|user| user == Some(first));
    same.then(|| u32::try_from(first).ok()).flatten()
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

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, PodSecurityContext, SecurityContext};

    use super::*;

    fn pod(all: Option<i64>, init: &[Option<i64>], main: &[Option<i64>]) -> Pod {
        let container = |user: &Option<i64>| Container {
            security_context: Some(SecurityContext {
                run_as_user: *user,
                ..SecurityContext::default()
            }),
            ..Container::default()
        };
        let mut pod = Pod::default();
        let spec = pod.spec.get_or_insert_default();
        spec.security_context = Some(PodSecurityContext {
            run_as_user: all,
            ..PodSecurityContext::default()
        });
        spec.init_containers = Some(init.iter().map(container).collect());
        spec.containers = main.iter().map(container).collect();
        pod
    }

    #[test]
    fn a_pod_has_a_user_if_all_its_containers_are_told_the_same() {
        for (all, init, main, expected) in [
            (None, &[][..], &[Some(7)][..], Some(7)),
            (Some(7), &[None], &[None, Some(7)], Some(7)),
            (Some(0), &[], &[None], Some(0)),
            (None, &[], &[Some(7), None], None),
            (None, &[], &[None, Some(7)], None),
            (Some(7), &[], &[None, Some(8)], None),
            (None, &[Some(8)], &[Some(7)], None),
            (None, &[], &[None], None),
        ] {
            assert_eq!(
                user(&pod(all, init, main)),
                expected,
                "{all:?} {init:?} {main:?}"
            );
        }
    }
}
