//! Ending what is left of pods, whether their shims live or not: processes, control groups, mounts, files, network.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Error;
use super::cgroup::Trees;
use crate::network;
use crate::shim::protocol::{SETUP, Setup};

/// How long the kernel may take to end killed processes; usually it is milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The control group of a cluster on this node.
pub(crate) fn cgroup_root(run_dir: &Path) -> PathBuf {
    // The bridge's name is unique to the cluster; so is what it ends with.
    let name = network::bridge_name(run_dir);
    PathBuf::from(format!("/ctld-{}", name.trim_start_matches("ctl-")))
}

/// Ends all shims, containers, mounts, control groups, links and tables of a cluster on this node. Idempotent; blocks.
///
/// The cluster's agent must not be running. What lies below the data directory stays, except writable layers.
pub fn teardown(run_dir: &Path) -> Result<(), Error> {
    let run_dir = std::path::absolute(run_dir).map_err(Error::io("find the run directory"))?;
    let pods = run_dir.join("pods");
    for entry in std::fs::read_dir(&pods).into_iter().flatten().flatten() {
        pod(&entry.path())?;
    }
    let root = cgroup_root(&run_dir);
    end_processes(&Trees::detect()?, &root)?;
    unmount_below(&run_dir)?;
    network::teardown(&run_dir).map_err(|error| Error::Network(error.to_string()))?;
    // The agent's own are the volumes in memory, of pods that are no more, and the port it listened on.
    for name in ["pods", "program", "volumes", "port"] {
        remove(&run_dir.join(name))?;
    }
    Ok(())
}

/// Ends what is left of the pod in this folder, but for its link and address. Idempotent; blocks.
pub(super) fn pod(folder: &Path) -> Result<(), Error> {
    end_shim(folder)?;
    let setup = std::fs::read(folder.join(SETUP)).ok();
    let setup: Option<Setup> = setup.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(setup) = &setup {
        end_processes(&Trees::detect()?, &setup.cgroup)?;
    }
    unmount_below(folder)?;
    if let Some(setup) = &setup {
        let containers = std::fs::read_dir(folder.join("containers"));
        for entry in containers.into_iter().flatten().flatten() {
            remove(&setup.writable.join(entry.file_name()))?;
        }
    }
    remove(folder)
}

/// Kills the shim of this folder and waits until it is gone.
fn end_shim(folder: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(folder.join("shim.pid")).unwrap_or_default();
    let Ok(pid) = text.trim().parse::<i32>() else {
        return Ok(());
    };
    wait_until("end a shim", || {
        if !is_shim(pid, folder) {
            return true;
        }
        // It may end in between.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        false
    })
}

/// Whether a process is the shim of this folder: its number may have been given to another one.
fn is_shim(pid: i32, folder: &Path) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments: Vec<&[u8]> = command.split(|&byte| byte == 0).collect();
    arguments.get(1) == Some(&&b"shim"[..])
        && arguments.get(3) == Some(&folder.as_os_str().as_encoded_bytes())
}

/// Kills all processes of a group, waits until they are gone, and removes the group.
fn end_processes(trees: &Trees, cgroup: &Path) -> Result<(), Error> {
    wait_until("end a pod's processes", || {
        let processes = trees.processes(cgroup);
        for &pid in &processes {
            // It may end in between.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        processes.is_empty()
    })?;
    // A process that has left its group may still hold it for a moment.
    let mut outcome = Ok(());
    let removed = wait_until("remove a control group", || {
        outcome = trees.remove(cgroup);
        outcome.is_ok()
    });
    outcome.and(removed)
}

/// Looks again and again, in growing intervals.
fn wait_until(what: &'static str, mut done: impl FnMut() -> bool) -> Result<(), Error> {
    let begun = Instant::now();
    let mut interval = Duration::from_micros(200);
    while !done() {
        if begun.elapsed() > PATIENCE {
            return Err(Error::io(what)(std::io::ErrorKind::TimedOut.into()));
        }
        std::thread::sleep(interval);
        interval = (interval * 2).min(Duration::from_millis(50));
    }
    Ok(())
}

/// Unmounts everything below a folder, the last mounted first.
fn unmount_below(folder: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(Error::io("read /proc/self/mountinfo"))?;
    let points = text.lines().filter_map(|line| line.split(' ').nth(4));
    let points: Vec<PathBuf> = points
        .map(unescape)
        .filter(|point| point.starts_with(folder))
        .collect();
    for point in points.iter().rev() {
        match umount2(point, MntFlags::MNT_DETACH) {
            // Unmounting what is below one of them may have taken this one along.
            Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
            Err(errno) => {
                return Err(Error::io(format!("unmount {}", point.display()))(
                    errno.into(),
                ));
            }
        }
    }
    Ok(())
}

/// mountinfo writes spaces, tabs, newlines and backslashes as octal numbers.
fn unescape(text: &str) -> PathBuf {
    let mut path = text.to_owned();
    for (code, character) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        path = path.replace(code, character);
    }
    path.into()
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_have_groups_of_their_own() {
        let (one, other) = (
            cgroup_root(Path::new("/run/a")),
            cgroup_root(Path::new("/run/b")),
        );
        assert_ne!(one, other);
        assert!(one.starts_with("/"));
    }

    #[test]
    fn mount_points_are_read_with_their_spaces() {
        assert_eq!(unescape("/a\\040b"), Path::new("/a b"));
    }

    #[test]
    fn what_is_not_there_is_torn_down_already() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert!(pod(&folder.path().join("none")).is_ok());
    }
}
