//! What this machine is and has, as the kernel tells it.

use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::eviction::{Signal, Thresholds};

/// Facts that don't change while the machine runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) cpus: i64,
    /// Bytes.
    pub(crate) memory: i64,
    /// Bytes of the file system that holds the data.
    pub(crate) storage: i64,
    pub(crate) machine_id: String,
    pub(crate) system_uuid: String,
    pub(crate) boot_id: String,
    pub(crate) kernel: String,
    pub(crate) os_image: String,
    pub(crate) swap: Option<i64>,
}

impl Facts {
    /// Reads them. What can't be read is empty.
    pub(crate) fn read(data: &Path) -> Self {
        let line = |path: &str| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let storage = statvfs(data).map_or(0, |fs| {
            i64::try_from(fs.blocks() * fs.fragment_size()).unwrap_or(0)
        });
        Self {
            cpus: i64::try_from(cpus).unwrap_or(1),
            memory: kibibytes(&meminfo, "MemTotal") * 1024,
            storage,
            machine_id: line("/etc/machine-id"),
            system_uuid: Some(line("/sys/class/dmi/id/product_uuid"))
                .filter(|uuid| !uuid.is_empty())
                .unwrap_or_else(|| line("/etc/machine-id")),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            kernel: line("/proc/sys/kernel/osrelease"),
            os_image: os_image(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
            swap: Some(kibibytes(&meminfo, "SwapTotal") * 1024).filter(|&swap| swap > 0),
        }
    }
}

/// What changes: how short the machine is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
    pub(crate) pids: bool,
}

impl Pressure {
    /// Reads what is left, and holds it against the thresholds. What can't be read is not short.
    pub(crate) fn read(data: &Path, thresholds: &Thresholds) -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = |name: &str| u64::try_from(kibibytes(&meminfo, name) * 1024).unwrap_or(0);
        let (left, all) = (memory("MemAvailable"), memory("MemTotal"));
        let disk = statvfs(data).is_ok_and(|fs| {
            let block = fs.fragment_size();
            let (left, all) = (fs.blocks_available() * block, fs.blocks() * block);
            // Some file systems have no fixed number of inodes, and say 0.
            let inodes = (fs.files_available(), fs.files());
            thresholds.is_short(Signal::Disk, left, all)
                || (inodes.1 > 0 && thresholds.is_short(Signal::Inodes, inodes.0, inodes.1))
        });
        Self {
            memory: all > 0 && thresholds.is_short(Signal::Memory, left, all),
            disk,
            pids: processes().is_some_and(|(used, most)| {
                thresholds.is_short(Signal::Processes, most.saturating_sub(used), most)
            }),
        }
    }
}

/// Processes and threads there are, and how many there may be.
fn processes() -> Option<(u64, u64)> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let used = load.split_whitespace().nth(3)?.split_once('/')?.1;
    let most = fs::read_to_string("/proc/sys/kernel/pid_max").ok()?;
    Some((used.parse().ok()?, most.trim().parse().ok()?))
}

fn kibibytes(meminfo: &str, name: &str) -> i64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn os_image(release: &str) -> String {
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("Linux", |name| name.trim_matches('"'))
        .to_owned()
}

/// Go's name of the processor's architecture.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_found_in_the_kernels_files() {
        let text = "MemTotal:       24689184 kB\nMemAvailable:   100 kB\n";
        assert_eq!(kibibytes(text, "MemTotal"), 24_689_184);
        assert_eq!(kibibytes(text, "Mem"), 0);
        let release = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(os_image(release), "Debian GNU/Linux 12 (bookworm)");
    }

    #[test]
    fn this_machine_has_processors_memory_and_a_disk() {
        let facts = Facts::read(Path::new("/"));
        assert!(facts.cpus > 0 && facts.memory > 0 && facts.storage > 0);
        assert!(!facts.boot_id.is_empty() && !facts.kernel.is_empty());
    }
}
