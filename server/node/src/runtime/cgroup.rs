//! Control groups: a pod's own, reading what its containers used, ending and removing them.
//!
//! The hierarchy is `<root>/pod<uid>/<container>`, on cgroup v1 in every controller's tree, on v2 in the one tree.
//! The containers' groups are made by the runtime library; what is above them is ours to make and to remove.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{ContainerStats, Error, Resources};

const MOUNT: &str = "/sys/fs/cgroup";

/// The trees of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trees {
    /// cgroup v1: mount point and controllers of each tree.
    V1(Vec<(PathBuf, Vec<String>)>),
    /// cgroup v2.
    V2,
}

impl Trees {
    /// Looks at what is mounted.
    pub(crate) fn detect() -> Result<Self, Error> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .map_err(Error::io("read /proc/self/mountinfo"))?;
        let trees = parse_mounts(&mounts);
        if trees.is_empty() && !Path::new(MOUNT).join("cgroup.controllers").exists() {
            let what = format!("{MOUNT} has no control groups");
            return Err(Error::io(what)(ErrorKind::NotFound.into()));
        }
        Ok(if trees.is_empty() {
            Self::V2
        } else {
            Self::V1(trees)
        })
    }

    /// The controllers' mount points on v1, none on v2.
    pub(crate) fn v1_mounts(&self) -> Vec<PathBuf> {
        match self {
            Self::V1(trees) => trees.iter().map(|(mount, _)| mount.clone()).collect(),
            Self::V2 => Vec::new(),
        }
    }

    /// The folder of a group in every tree.
    fn folders(&self, path: &Path) -> Vec<PathBuf> {
        let path = path.strip_prefix("/").unwrap_or(path);
        match self {
            Self::V1(trees) => trees.iter().map(|(mount, _)| mount.join(path)).collect(),
            Self::V2 => vec![Path::new(MOUNT).join(path)],
        }
    }

    /// The folder in the tree of one controller.
    fn folder(&self, controller: &str, path: &Path) -> Option<PathBuf> {
        let path = path.strip_prefix("/").unwrap_or(path);
        match self {
            Self::V1(trees) => trees
                .iter()
                .find(|(_, controllers)| controllers.iter().any(|name| name == controller))
                .map(|(mount, _)| mount.join(path)),
            Self::V2 => Some(Path::new(MOUNT).join(path)),
        }
    }

    /// Makes a pod's group and sets its limits.
    pub(crate) fn make(&self, path: &Path, resources: &Resources) -> Result<(), Error> {
        for folder in self.folders(path) {
            fs::create_dir_all(&folder).map_err(Error::io(format!("make {}", folder.display())))?;
        }
        if *self == Self::V2 {
            self.delegate(path)?;
        }
        for (controller, file, value) in self.settings(resources) {
            if let Some(folder) = self.folder(controller, path) {
                let file = folder.join(file);
                fs::write(&file, value).map_err(Error::io(format!("write {}", file.display())))?;
            }
        }
        Ok(())
    }

    /// On v2 a group's controllers have to be switched on from above, level by level.
    fn delegate(&self, path: &Path) -> Result<(), Error> {
        let mut folder = PathBuf::from(MOUNT);
        let below = path.strip_prefix("/").unwrap_or(path);
        for part in std::iter::once(Path::new("")).chain(below.iter().map(Path::new)) {
            folder.push(part);
            let available = fs::read_to_string(folder.join("cgroup.controllers"))
                .map_err(Error::io(format!("read {}", folder.display())))?;
            for controller in available.split_ascii_whitespace() {
                let file = folder.join("cgroup.subtree_control");
                fs::write(&file, format!("+{controller}"))
                    .map_err(Error::io(format!("write {}", file.display())))?;
            }
        }
        Ok(())
    }

    fn settings(&self, resources: &Resources) -> Vec<(&'static str, &'static str, String)> {
        let mut settings = Vec::new();
        let v1 = matches!(self, Self::V1(_));
        if let Some(shares) = resources.cpu_shares {
            settings.push(if v1 {
                ("cpu", "cpu.shares", shares.max(2).to_string())
            } else {
                ("cpu", "cpu.weight", weight(shares).to_string())
            });
        }
        let period = resources.cpu_period.unwrap_or(100_000);
        if let Some(quota) = resources.cpu_quota {
            if v1 {
                settings.push(("cpu", "cpu.cfs_period_us", period.to_string()));
                settings.push(("cpu", "cpu.cfs_quota_us", quota.to_string()));
            } else {
                let quota = if quota < 0 {
                    "max".to_owned()
                } else {
                    quota.to_string()
                };
                settings.push(("cpu", "cpu.max", format!("{quota} {period}")));
            }
        }
        if let Some(limit) = resources.memory_limit {
            let file = if v1 {
                "memory.limit_in_bytes"
            } else {
                "memory.max"
            };
            settings.push(("memory", file, limit.to_string()));
        }
        if let Some(limit) = resources.pids_limit {
            settings.push(("pids", "pids.max", limit.to_string()));
        }
        settings
    }

    /// Moves the calling process into the group that another process is in; used by exec.
    pub(crate) fn join_like(&self, pid: i32) -> std::io::Result<()> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            let first = controllers.split(',').next().unwrap_or_default();
            let unified = controllers.is_empty();
            let folder = match self {
                Self::V2 if unified => self.folder("", Path::new(path)),
                Self::V1(_) if !unified => self.folder(first, Path::new(path)),
                _ => None,
            };
            if let Some(folder) = folder {
                fs::write(folder.join("cgroup.procs"), "0")?;
            }
        }
        Ok(())
    }

    /// Whether the kernel killed a process of the group for want of memory.
    pub(crate) fn oom_killed(&self, path: &Path) -> bool {
        let file = match self {
            Self::V1(_) => "memory.oom_control",
            Self::V2 => "memory.events",
        };
        self.folder("memory", path)
            .and_then(|folder| fs::read_to_string(folder.join(file)).ok())
            .and_then(|text| field(&text, "oom_kill"))
            .is_some_and(|count| count > 0)
    }

    /// Whether the kernel, short of memory, can end a group below this one as a whole: a file of v2's groups says so.
    pub(crate) fn ends_groups(&self, path: &Path) -> bool {
        let folder = self.folder("memory", path);
        folder.is_some_and(|folder| *self == Self::V2 && folder.join("memory.oom.group").exists())
    }

    /// What a container used so far; nothing for one that is gone.
    pub(crate) fn stats(&self, path: &Path) -> ContainerStats {
        let read = |controller: &str, file: &str| {
            let folder = self.folder(controller, path)?;
            fs::read_to_string(folder.join(file)).ok()
        };
        let number = |controller: &str, file: &str| {
            read(controller, file).and_then(|text| text.trim().parse::<u64>().ok())
        };
        let memory = read("memory", "memory.stat").unwrap_or_default();
        let (cpu, usage, inactive) = match self {
            Self::V1(_) => (
                number("cpuacct", "cpuacct.usage"),
                number("memory", "memory.usage_in_bytes"),
                field(&memory, "total_inactive_file"),
            ),
            Self::V2 => (
                read("cpu", "cpu.stat")
                    .and_then(|text| field(&text, "usage_usec"))
                    .map(|micros| micros * 1000),
                number("memory", "memory.current"),
                field(&memory, "inactive_file"),
            ),
        };
        let usage = usage.unwrap_or(0);
        ContainerStats {
            cpu_nanoseconds: cpu.unwrap_or(0),
            memory_usage: usage,
            memory_working_set: usage.saturating_sub(inactive.unwrap_or(0)),
            processes: number("pids", "pids.current").unwrap_or(0),
            ..ContainerStats::default()
        }
    }

    /// The processes of a group and of all groups below it.
    pub(crate) fn processes(&self, path: &Path) -> Vec<i32> {
        // Every tree of v1 holds the same processes, and pids is the one without side effects.
        let Some(folder) = self.folder("pids", path) else {
            return Vec::new();
        };
        let mut pids = Vec::new();
        walk(&folder, &mut |folder| {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        });
        pids
    }

    /// Removes a group and all below it. Groups that still have processes are an error.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Error> {
        for folder in self.folders(path) {
            let mut outcome = Ok(());
            walk(&folder, &mut |folder| match fs::remove_dir(folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    outcome = Err(Error::io(format!("remove {}", folder.display()))(error));
                }
                _ => {}
            });
            outcome?;
        }
        Ok(())
    }
}

/// Visits a folder's folders before the folder itself.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
    visit(folder);
}

/// The value of `name` in a file of `name value` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
}

/// The v1 trees in a mountinfo; named trees without a controller (systemd's) are not ours.
fn parse_mounts(mountinfo: &str) -> Vec<(PathBuf, Vec<String>)> {
    let mut trees: Vec<(PathBuf, Vec<String>)> = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        let mut after = after.split(' ');
        if after.next() != Some("cgroup") {
            continue;
        }
        let options = after.nth(1).unwrap_or_default();
        let Some(mount) = before.split(' ').nth(4) else {
            continue;
        };
        let known = ["rw", "ro", "xattr", "noprefix", "clone_children", "none"];
        let controllers: Vec<String> = options
            .split(',')
            .filter(|option| !known.contains(option) && !option.contains('='))
            .map(str::to_owned)
            .collect();
        if !controllers.is_empty() && !trees.iter().any(|(_, other)| *other == controllers) {
            trees.push((mount.into(), controllers));
        }
    }
    trees
}

/// v1 shares (2 ... 262144) as a v2 weight (1 ... 10000), as runtimes convert them.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_found_with_their_controllers() {
        let mounts = "\
30 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
31 24 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
33 24 0:29 / / rw - ext4 /dev/vda rw
";
        let trees = parse_mounts(mounts);
        assert_eq!(trees.len(), 1);
        assert_eq!(trees[0].1, ["cpu", "cpuacct"]);
    }

    #[test]
    fn shares_become_weights() {
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
    }

    #[test]
    fn the_same_limits_are_spelled_for_both_versions() {
        let resources = Resources {
            cpu_shares: Some(1024),
            cpu_quota: Some(50_000),
            memory_limit: Some(1 << 20),
            ..Resources::default()
        };
        let files = |trees: Trees| -> Vec<(&str, String)> {
            let settings = trees.settings(&resources);
            settings
                .into_iter()
                .map(|(_, file, value)| (file, value))
                .collect()
        };
        assert!(files(Trees::V2).contains(&("cpu.max", "50000 100000".to_owned())));
        assert!(files(Trees::V1(Vec::new())).contains(&("cpu.shares", "1024".to_owned())));
    }
}
