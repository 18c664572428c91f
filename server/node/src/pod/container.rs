//! A container's specification in the runtime's terms: who it is and what it may do.

use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod, SeccompProfile};

use super::spec;
use crate::env::expand;
use crate::runtime::{Capabilities, Seccomp, Security};

/// `command` and `args` with the environment's values in place.
pub(super) fn expanded(words: Option<&Vec<String>>, env: &[(String, String)]) -> Vec<String> {
    let lookup = |name: &str| {
        let found = env.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone())
    };
    let words = words.into_iter().flatten();
    words.map(|word| expand(word, lookup)).collect()
}

/// The security settings of a container: its own first, then the pod's. Seccomp profiles of the node lie in
/// `profiles`.
pub(super) fn security(pod: &Pod, container: &Container, profiles: &Path) -> Security {
    let all = spec::spec(pod).security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let id = |id: Option<i64>| id.and_then(|id| u32::try_from(id).ok());
    let groups = all.supplemental_groups.iter().flatten().copied();
    let privileged = own.privileged.unwrap_or_default();
    let capabilities = own.capabilities.unwrap_or_default();
    let profile = own
        .seccomp_profile
        .as_ref()
        .or(all.seccomp_profile.as_ref());
    Security {
        run_as_user: id(own.run_as_user.or(all.run_as_user)),
        run_as_group: id(own.run_as_group.or(all.run_as_group)),
        supplemental_groups: groups
            .chain(all.fs_group)
            .filter_map(|group| id(Some(group)))
            .collect(),
        run_as_non_root: own.run_as_non_root.or(all.run_as_non_root) == Some(true),
        privileged,
        read_only_root: own.read_only_root_filesystem.unwrap_or_default(),
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        unmasked_proc: own.proc_mount.as_deref() == Some("Unmasked"),
        capabilities: Capabilities {
            add: capabilities.add.unwrap_or_default(),
            drop: capabilities.drop.unwrap_or_default(),
        },
        seccomp: match profile {
            Some(profile) if !privileged => seccomp(profile, profiles),
            _ => Seccomp::Unconfined,
        },
    }
}

fn seccomp(profile: &SeccompProfile, profiles: &Path) -> Seccomp {
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("RuntimeDefault", _) => Seccomp::RuntimeDefault,
        ("Localhost", Some(file)) => Seccomp::Localhost(profiles.join(file)),
        _ => Seccomp::Unconfined,
    }
}
