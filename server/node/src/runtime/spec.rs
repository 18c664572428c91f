//! The OCI runtime specification of a container, as a pure function of what is asked for.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::user::Identity;
use super::{ContainerSpec, Error, PodSandbox, Propagation, Resources, capabilities};
use crate::image::Config;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What tells about the machine or lets it be changed; the set that container runtimes agree on.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Everything that a specification is made from.
pub(crate) struct Input<'a> {
    pub(crate) sandbox: &'a PodSandbox,
    pub(crate) container: &'a ContainerSpec,
    pub(crate) image: &'a Config,
    pub(crate) identity: &'a Identity,
    /// Where the root file system is mounted.
    pub(crate) rootfs: &'a Path,
    pub(crate) cgroup: &'a Path,
    /// cgroup v1's mount points.
    pub(crate) cgroup_mounts: &'a [PathBuf],
    /// The kernel can end a group that is out of memory as a whole.
    pub(crate) ends_groups: bool,
    /// Namespaces to join: OCI's name of the kind, and a path.
    pub(crate) namespaces: &'a [(&'static str, PathBuf)],
    /// Files that the pod brings along: path inside, path on the host.
    pub(crate) files: &'a [(&'static str, PathBuf)],
    pub(crate) capabilities: &'a capabilities::Set,
}

/// The program and its arguments.
pub(crate) fn arguments(container: &ContainerSpec, image: &Config) -> Result<Vec<String>, Error> {
    let (entrypoint, command) = if container.command.is_empty() {
        let command = if container.args.is_empty() {
            &image.command
        } else {
            &container.args
        };
        (&image.entrypoint, command)
    } else {
        (&container.command, &container.args)
    };
    let arguments: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    if arguments.first().is_none_or(String::is_empty) {
        return Err(Error::InvalidSpec("no command specified".to_owned()));
    }
    Ok(arguments)
}

/// The environment as `NAME=value`: defaults, the image's, the container's, each over the one before.
pub(crate) fn environment(
    sandbox: &PodSandbox,
    container: &ContainerSpec,
    image: &Config,
    identity: &Identity,
) -> Vec<String> {
    let mut variables = BTreeMap::from([
        ("PATH", DEFAULT_PATH),
        ("HOME", identity.home.as_str()),
        ("HOSTNAME", sandbox.kernel_hostname.as_str()),
    ]);
    if container.tty {
        variables.insert("TERM", "xterm");
    }
    variables.extend(image.env.iter().filter_map(|pair| pair.split_once('=')));
    let own = container.env.iter();
    variables.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
    variables
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// The folder in which the program begins.
pub(crate) fn working_dir(container: &ContainerSpec, image: &Config) -> String {
    let own = container.working_dir.as_deref();
    let chosen = own.unwrap_or(&image.working_dir);
    if chosen.is_empty() {
        "/".to_owned()
    } else if chosen.starts_with('/') {
        chosen.to_owned()
    } else {
        format!("/{chosen}")
    }
}

/// The whole specification.
///
/// Capabilities, no-new-privileges and system call filters stand in it as far as they are true before the program
/// begins; giving up the rest is left to [`crate::shim`]'s last step before the program is executed.
pub(crate) fn build(input: &Input<'_>) -> Result<Value, Error> {
    let container = input.container;
    let security = &container.security;
    let all: Vec<String> = capabilities::names(input.capabilities)
        .into_iter()
        .map(|name| format!("CAP_{name}"))
        .collect();
    let mut process = json!({
        "terminal": container.tty,
        "user": {
            "uid": input.identity.uid,
            "gid": input.identity.gid,
            "additionalGids": input.identity.groups,
        },
        "args": arguments(container, input.image)?,
        "env": environment(input.sandbox, container, input.image, input.identity),
        "cwd": working_dir(container, input.image),
        "capabilities": { "bounding": all, "effective": all, "permitted": all },
    });
    // Written only when true: `false` is taken for "set".
    if security.no_new_privileges {
        process["noNewPrivileges"] = json!(true);
    }
    let mut linux = json!({
        "namespaces": namespaces(input),
        "cgroupsPath": input.cgroup,
        "resources": resources(&container.resources, security.privileged, input.ends_groups),
        "rootfsPropagation": propagation(container),
    });
    if security.privileged {
        linux["devices"] = json!(host_devices());
    } else if !security.unmasked_proc {
        linux["maskedPaths"] = json!(MASKED);
    }
    linux["readonlyPaths"] = json!(read_only_paths(input));
    Ok(json!({
        "ociVersion": "1.2.0",
        "root": { "path": input.rootfs, "readonly": security.read_only_root },
        "process": process,
        "mounts": mounts(input)?,
        "linux": linux,
    }))
}

fn read_only_paths(input: &Input<'_>) -> Vec<String> {
    if input.container.security.privileged {
        return Vec::new();
    }
    // The library ignores `ro` on the v1 mount, and a container could raise its own limits.
    let cgroups = input.cgroup_mounts.iter();
    let mut paths: Vec<String> = cgroups.map(|path| path.display().to_string()).collect();
    if !input.container.security.unmasked_proc {
        paths.extend(READ_ONLY.map(str::to_owned));
    }
    paths
}

fn namespaces(input: &Input<'_>) -> Value {
    let mut list = vec![json!({ "type": "mount" }), json!({ "type": "cgroup" })];
    let joined = input.namespaces.iter();
    list.extend(joined.map(|(kind, path)| json!({ "type": kind, "path": path })));
    let pid_is_joined = input.namespaces.iter().any(|(kind, _)| *kind == "pid");
    if !pid_is_joined && !input.sandbox.host_pid {
        list.push(json!({ "type": "pid" }));
    }
    json!(list)
}

fn propagation(container: &ContainerSpec) -> &'static str {
    match container.mounts.iter().map(|mount| mount.propagation).max() {
        Some(Propagation::Bidirectional) => "shared",
        Some(Propagation::HostToContainer) => "slave",
        _ => "private",
    }
}

fn resources(resources: &Resources, privileged: bool, ends_groups: bool) -> Value {
    let mut value = json!({ "devices": [{ "allow": privileged, "access": "rwm" }] });
    let mut cpu = json!({});
    if let Some(shares) = resources.cpu_shares {
        cpu["shares"] = json!(shares.max(2));
    }
    if let Some(quota) = resources.cpu_quota {
        cpu["quota"] = json!(quota);
        cpu["period"] = json!(resources.cpu_period.unwrap_or(100_000));
    }
    value["cpu"] = cpu;
    if let Some(limit) = resources.memory_limit {
        value["memory"] = json!({ "limit": limit });
    }
    if let Some(limit) = resources.pids_limit {
        value["pids"] = json!({ "limit": limit });
    }
    // As the kubelet has it: short of memory, a container is ended as a whole.
    if ends_groups {
        value["unified"] = json!({ "memory.oom.group": "1" });
    }
    value
}

/// The machine's own devices, for privileged containers.
fn host_devices() -> Vec<Value> {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let device = |entry: std::fs::DirEntry| {
        let metadata = std::fs::symlink_metadata(entry.path()).ok()?;
        let kind = if metadata.file_type().is_char_device() {
            "c"
        } else if metadata.file_type().is_block_device() {
            "b"
        } else {
            return None;
        };
        let name = entry.file_name();
        // These are the container's own.
        let own = [
            "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx",
        ];
        if own.iter().any(|own| name == *own) {
            return None;
        }
        Some(json!({
            "path": entry.path(),
            "type": kind,
            "major": nix::sys::stat::major(metadata.rdev()),
            "minor": nix::sys::stat::minor(metadata.rdev()),
            "fileMode": metadata.mode() & 0o777,
            "uid": metadata.uid(),
            "gid": metadata.gid(),
        }))
    };
    entries.filter_map(device).collect()
}

fn mounts(input: &Input<'_>) -> Result<Vec<Value>, Error> {
    let privileged = input.container.security.privileged;
    let access = if privileged { "rw" } else { "ro" };
    let mount = |target: &str, kind: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": kind, "options": options });
    let quiet = ["nosuid", "noexec", "nodev"];
    let with = |options: &[&'static str]| [&quiet[..], options].concat();
    let mut mounts = vec![
        mount("/proc", "proc", &quiet),
        mount(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        mount("/dev/mqueue", "mqueue", &quiet),
        mount("/sys", "sysfs", &with(&[access])),
        mount("/sys/fs/cgroup", "cgroup", &with(&["relatime", access])),
    ];
    let mounted = |target: &Path| {
        input
            .container
            .mounts
            .iter()
            .any(|own| own.target == target)
    };
    for (target, source) in input.files {
        if !mounted(Path::new(target)) {
            // With a read-only root file system these stay as they are; programs may still add names of hosts.
            let fixed = matches!(*target, "/etc/hostname" | "/etc/resolv.conf");
            let access = if input.container.security.read_only_root && fixed {
                "ro"
            } else {
                "rw"
            };
            mounts.push(json!({
                "destination": target,
                "type": "bind",
                "source": source,
                "options": ["rbind", "rprivate", access],
            }));
        }
    }
    for own in sorted(&input.container.mounts) {
        if !own.target.is_absolute() || !own.source.is_absolute() {
            let text = format!("mount path {:?} must be absolute", own.target);
            return Err(Error::InvalidSpec(text));
        }
        mounts.push(json!({
            "destination": own.target,
            "type": "bind",
            "source": own.source,
            "options": ["rbind", propagation_option(own.propagation), if own.read_only { "ro" } else { "rw" }],
        }));
    }
    Ok(mounts)
}

fn propagation_option(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Private => "rprivate",
        Propagation::HostToContainer => "rslave",
        Propagation::Bidirectional => "rshared",
    }
}

/// By depth: what is mounted at /a must not hide what is mounted at /a/b.
fn sorted(mounts: &[super::Mount]) -> Vec<&super::Mount> {
    let mut mounts: Vec<_> = mounts.iter().collect();
    mounts.sort_by_key(|mount| mount.target.components().count());
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_command_replaces_entry_point_and_command_and_args_only_the_latter() {
        let image = Config {
            entrypoint: strings(&["/entry"]),
            command: strings(&["default"]),
            ..Config::default()
        };
        let of = |command: &[&str], args: &[&str]| {
            let container = ContainerSpec {
                command: strings(command),
                args: strings(args),
                ..ContainerSpec::default()
            };
            arguments(&container, &image).expect("has a command")
        };
        assert_eq!(of(&[], &[]), ["/entry", "default"]);
        assert_eq!(of(&[], &["x"]), ["/entry", "x"]);
        assert_eq!(of(&["/own"], &[]), ["/own"]);
        assert_eq!(of(&["/own"], &["x"]), ["/own", "x"]);
    }

    #[test]
    fn nothing_to_run_is_refused() {
        assert!(arguments(&ContainerSpec::default(), &Config::default()).is_err());
    }

    #[test]
    fn the_containers_environment_lies_over_the_images() {
        let image = Config {
            env: strings(&["A=image", "PATH=/image"]),
            ..Config::default()
        };
        let container = ContainerSpec {
            env: vec![("A".to_owned(), "own=1".to_owned())],
            ..ContainerSpec::default()
        };
        let sandbox = PodSandbox::default();
        let variables = environment(&sandbox, &container, &image, &Identity::default());
        assert!(variables.contains(&"A=own=1".to_owned()));
        assert!(variables.contains(&"PATH=/image".to_owned()));
    }

    #[test]
    fn a_container_is_out_of_memory_as_a_whole_where_the_kernel_can() {
        let of = |unified| resources(&Resources::default(), false, unified);
        assert_eq!(of(true)["unified"], json!({ "memory.oom.group": "1" }));
        assert!(of(false).get("unified").is_none());
    }

    #[test]
    fn mounts_come_by_depth() {
        let mount = |target: &str| super::super::Mount {
            target: target.into(),
            ..Default::default()
        };
        let mounts = [mount("/a/b/c"), mount("/a"), mount("/a/b")];
        let order: Vec<_> = sorted(&mounts)
            .iter()
            .map(|mount| mount.target.clone())
            .collect();
        assert_eq!(
            order,
            [Path::new("/a"), Path::new("/a/b"), Path::new("/a/b/c")]
        );
    }
}
