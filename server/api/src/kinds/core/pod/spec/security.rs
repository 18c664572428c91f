//! The problems of security contexts.

use serde_json::{Value, json};

use crate::field::{Error, Path, Reason};
use crate::kinds::check::{in_range, one_of, optional_one_of, with_shown};
use crate::kinds::read::{flag, has, int, items, text};

/// The largest id of a user or a group.
const ID_MAX: i64 = i32::MAX as i64;
const SYSCTL_MAX: usize = 253;

/// Adds the problems of the security context of a pod.
pub(super) fn pod(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    let context = &spec["securityContext"];
    ids(
        errors,
        context,
        &["fsGroup", "runAsUser", "runAsGroup"],
        path,
    );
    for (at, group) in items(context, "supplementalGroups").iter().enumerate() {
        let path = path.child("supplementalGroups").index(at);
        in_range(errors, &path, group.as_i64().unwrap_or(0), 0, ID_MAX);
    }
    sysctls(errors, spec, &path.child("sysctls"));
    for (field, allowed) in [
        ("fsGroupChangePolicy", ["Always", "OnRootMismatch"]),
        ("supplementalGroupsPolicy", ["Merge", "Strict"]),
        ("seLinuxChangePolicy", ["MountOption", "Recursive"]),
    ] {
        optional_one_of(errors, path, context, field, &allowed);
    }
    profiles(errors, context, path);
}

/// Adds the problems of the security context of a container.
pub(super) fn container(errors: &mut Vec<Error>, spec: &Value, container: &Value, path: &Path) {
    let context = &container["securityContext"];
    ids(errors, context, &["runAsUser", "runAsGroup"], path);
    if has(context, "procMount") {
        let mount = text(context, "procMount");
        let path = path.child("procMount");
        one_of(errors, &path, mount, &["Default", "Unmasked"], false);
        if mount == "Unmasked" && spec["hostUsers"] != json!(false) {
            let detail = "`hostUsers` must be false to use `Unmasked`";
            errors.push(Error::invalid(&path, mount, detail));
        }
    }
    profiles(errors, context, path);
    if context["allowPrivilegeEscalation"] == json!(false) {
        if flag(context, "privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(with_shown(Reason::Invalid, path, &shown(context), detail));
        }
        let added = items(&context["capabilities"], "add");
        if added.iter().any(|c| c == "CAP_SYS_ADMIN") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.push(with_shown(Reason::Invalid, path, &shown(context), detail));
        }
    }
}

/// A container's context as messages show it: every field, as the server's own type has them.
fn shown(context: &Value) -> String {
    type Names = &'static [(&'static str, &'static str)];
    const PARTS: &[(&str, &str, Names)] = &[
        (
            "Capabilities",
            "capabilities",
            &[("Add", "add"), ("Drop", "drop")],
        ),
        ("Privileged", "privileged", &[]),
        (
            "SELinuxOptions",
            "seLinuxOptions",
            &[
                ("User", "user"),
                ("Role", "role"),
                ("Type", "type"),
                ("Level", "level"),
            ],
        ),
        ("WindowsOptions", "windowsOptions", &[]),
        ("RunAsUser", "runAsUser", &[]),
        ("RunAsGroup", "runAsGroup", &[]),
        ("RunAsNonRoot", "runAsNonRoot", &[]),
        ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem", &[]),
        ("AllowPrivilegeEscalation", "allowPrivilegeEscalation", &[]),
        ("ProcMount", "procMount", &[]),
        ("SeccompProfile", "seccompProfile", PROFILE),
        ("AppArmorProfile", "appArmorProfile", PROFILE),
    ];
    const PROFILE: Names = &[("Type", "type"), ("LocalhostProfile", "localhostProfile")];
    let parts = PARTS.iter().map(|(name, field, nested)| {
        let value = &context[*field];
        if nested.is_empty() || value.is_null() {
            return format!("{name:?}:{value}");
        }
        let nested = nested.iter().map(|(name, field)| {
            // Texts of SELinux are empty rather than absent.
            let empty = value[*field].is_null()
                && *field != "localhostProfile"
                && value["add"].is_null()
                && value["drop"].is_null();
            let shown = if empty {
                json!("")
            } else {
                value[*field].clone()
            };
            format!("{name:?}:{shown}")
        });
        format!("{name:?}:{{{}}}", nested.collect::<Vec<_>>().join(","))
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

fn ids(errors: &mut Vec<Error>, context: &Value, fields: &[&str], path: &Path) {
    for field in fields {
        if let Some(id) = int(context, field) {
            in_range(errors, &path.child(field), id, 0, ID_MAX);
        }
    }
}

/// The profiles of seccomp and AppArmor: one of the node's own must be named, no other may be.
fn profiles(errors: &mut Vec<Error>, context: &Value, path: &Path) {
    for field in ["seccompProfile", "appArmorProfile"] {
        let profile = &context[field];
        if profile.is_null() {
            continue;
        }
        let path = path.child(field);
        let kind = text(profile, "type");
        let allowed = &["Localhost", "RuntimeDefault", "Unconfined"];
        if kind.is_empty() {
            errors.push(Error::required(
                &path.child("type"),
                "type is required when seccompProfile is set",
            ));
        } else {
            one_of(errors, &path.child("type"), kind, allowed, false);
        }
        let at = path.child("localhostProfile");
        match (kind == "Localhost", has(profile, "localhostProfile")) {
            (true, false) => {
                let detail = "must be set when seccomp type is Localhost";
                errors.push(Error::required(&at, detail));
            }
            (false, true) => {
                let detail = "can only be set when seccomp type is Localhost";
                let value = text(profile, "localhostProfile");
                errors.push(Error::invalid(&at, value, detail));
            }
            _ => {}
        }
    }
}

fn sysctls(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    let list = items(&spec["securityContext"], "sysctls");
    for (at, sysctl) in list.iter().enumerate() {
        let path = path.index(at).child("name");
        let name = text(sysctl, "name");
        if name.is_empty() {
            errors.push(Error::required(&path, ""));
        } else if !is_sysctl(name) {
            let detail = format!(
                "must have at most {SYSCTL_MAX} characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            );
            errors.push(Error::invalid(&path, name, detail));
        } else if list[..at].iter().any(|s| text(s, "name") == name) {
            errors.push(Error::duplicate(&path, name));
        }
        shared_with_host(errors, spec, name, &path);
    }
}

fn is_sysctl(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.starts_with(edge)
            && part.ends_with(edge)
            && part.chars().all(|c| edge(c) || c == '-' || c == '_')
    };
    name.len() <= SYSCTL_MAX && name.split(['.', '/']).all(part)
}

/// A pod in the host's namespace must not turn the host's knobs.
fn shared_with_host(errors: &mut Vec<Error>, spec: &Value, name: &str, path: &Path) {
    let dotted = name.replace('/', ".");
    let ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."];
    let of_ipc = dotted == "kernel.sem" || ipc.iter().any(|p| dotted.starts_with(p));
    let detail = if flag(spec, "hostNetwork") && dotted.starts_with("net.") {
        "may not be specified when 'hostNetwork' is true"
    } else if flag(spec, "hostIPC") && of_ipc {
        "may not be specified when 'hostIPC' is true"
    } else {
        return;
    };
    errors.push(Error::invalid(path, name, detail));
}
