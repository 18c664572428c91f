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
        strict_groups: all.supplemental_groups_policy.as_deref() == Some("Strict"),
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

/// Refuses a container that would run as root although it must not, or of which that can't be told.
///
/// # Errors
/// The kubelet's words for it.
pub(super) fn verify_non_root(
    pod: &Pod,
    container: &Container,
    image_user: &str,
) -> Result<(), String> {
    let all = spec::spec(pod).security_context.as_ref();
    let own = container.security_context.as_ref();
    let non_root = own
        .and_then(|own| own.run_as_non_root)
        .or(all.and_then(|all| all.run_as_non_root));
    if non_root != Some(true) {
        return Ok(());
    }
    let user = own
        .and_then(|own| own.run_as_user)
        .or(all.and_then(|all| all.run_as_user));
    let image_user = image_user.split(':').next().unwrap_or_default();
    let why = match (user, image_user.parse::<i64>()) {
        (Some(0), _) => "container's runAsUser breaks non-root policy".to_owned(),
        (Some(_), _) => return Ok(()),
        (None, Ok(0)) => ROOT_IMAGE.to_owned(),
        (None, Ok(1..=MAX_USER)) => return Ok(()),
        (None, Ok(other)) => format!(
            "container has runAsNonRoot and image has an invalid user id ({other}). (Must be 1-({MAX_USER})): \
             must be between 0 and {MAX_USER}, inclusive"
        ),
        (None, Err(_)) if image_user.is_empty() => ROOT_IMAGE.to_owned(),
        (None, Err(_)) => format!(
            "container has runAsNonRoot and image has non-numeric user ({image_user}), \
             cannot verify user is non-root"
        ),
    };
    let (name, full_name) = (&container.name, spec::full_name(pod));
    Err(format!("{why} (pod: \"{full_name}\", container: {name})"))
}

const MAX_USER: i64 = i32::MAX as i64;
const ROOT_IMAGE: &str = "container has runAsNonRoot and image will run as root";

fn seccomp(profile: &SeccompProfile, profiles: &Path) -> Seccomp {
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("RuntimeDefault", _) => Seccomp::RuntimeDefault,
        ("Localhost", Some(file)) => Seccomp::Localhost(profiles.join(file)),
        _ => Seccomp::Unconfined,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};

    use super::*;

    #[test]
    fn who_must_not_be_root_has_to_be_known_not_to_be() {
        let root = Some("container has runAsNonRoot and image will run as root");
        let named = Some(
            "container has runAsNonRoot and image has non-numeric user (web), \
             cannot verify user is non-root",
        );
        let invalid = Some(
            "container has runAsNonRoot and image has an invalid user id (2147483648). \
             (Must be 1-(2147483647)): must be between 0 and 2147483647, inclusive",
        );
        let told = Some("container's runAsUser breaks non-root policy");
        for (all, own, user, image_user, expected) in [
            (None, None, None, "", None),
            (Some(true), None, None, "", root),
            (Some(true), None, None, "0", root),
            (Some(true), None, None, "0:5", root),
            (Some(true), None, None, "7:0", None),
            (Some(true), None, None, "2147483648", invalid),
            (None, Some(true), None, "web", named),
            (None, Some(true), None, "web:web", named),
            (Some(true), Some(false), None, "web", None),
            (Some(true), None, Some(7), "web", None),
            (Some(true), None, Some(0), "web", told),
        ] {
            let mut pod = Pod::default();
            pod.metadata.name = Some("p".to_owned());
            pod.metadata.namespace = Some("ns".to_owned());
            pod.metadata.uid = Some("u".to_owned());
            pod.spec.get_or_insert_default().security_context = Some(PodSecurityContext {
                run_as_non_root: all,
                run_as_user: user,
                ..PodSecurityContext::default()
            });
            let container = Container {
                name: "c".to_owned(),
                security_context: Some(SecurityContext {
                    run_as_non_root: own,
                    ..SecurityContext::default()
                }),
                ..Container::default()
            };
            let refused = verify_non_root(&pod, &container, image_user).err();
            let expected = expected.map(|why| format!("{why} (pod: \"p_ns(u)\", container: c)"));
            assert_eq!(refused, expected);
        }
    }
}
