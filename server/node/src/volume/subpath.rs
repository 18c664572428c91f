//! `subPath`: a part of a volume, without ever following a link out of it (CVE-2017-1002101, CVE-2021-25741).
//!
//! The path is opened step by step with `openat2(RESOLVE_BENEATH)` below the volume, and what was opened is
//! bind-mounted through `/proc/self/fd`: what a container changes in between does not matter.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

use super::{VolumeError, system};

/// Opens `path` below `volume`, making missing folders, and mounts what it found at `at`.
/// Gives whether it is a folder.
pub(crate) fn mount(volume: &Path, path: &str, at: &Path) -> Result<(), VolumeError> {
    let relative = Path::new(path);
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain {
        return Err(VolumeError::Path(path.to_owned()));
    }
    let target = open(volume, relative).map_err(VolumeError::io("open subPath of", volume))?;
    place(&target, at).map_err(VolumeError::io("mount subPath at", at))
}

fn open(volume: &Path, relative: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let root = nix::fcntl::open(volume, flags | OFlag::O_DIRECTORY, Mode::empty())?;
    match open_below(&root, relative) {
        Err(nix::errno::Errno::ENOENT) => make_below(&root, relative),
        other => Ok(other?),
    }
}

fn open_below(root: &OwnedFd, relative: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    openat2(root, relative, how)
}

/// Makes the folders that are missing, each in its parent's descriptor and with the volume's own mode, whatever the
/// umask: who may write to the volume may write to its parts.
fn make_below(root: &OwnedFd, relative: &Path) -> io::Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(fstat(root)?.st_mode);
    let mut done = PathBuf::new();
    let mut parent = open_below(root, Path::new("."))?;
    for part in relative.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        done.push(name);
        let made = match mkdirat(&parent, name, mode) {
            Err(nix::errno::Errno::EEXIST) => false,
            other => other.map(|()| true)?,
        };
        parent = open_below(root, &done)?;
        if made {
            // What is opened with O_PATH can't be changed, except through its name below /proc.
            let path = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd()));
            fs::set_permissions(path, fs::Permissions::from_mode(mode.bits()))?;
        }
    }
    Ok(parent)
}

fn place(target: &OwnedFd, at: &Path) -> io::Result<()> {
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent)?;
    }
    let kind = SFlag::from_bits_truncate(fstat(target)?.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFDIR {
        fs::create_dir_all(at)?;
    } else if !at.exists() {
        fs::write(at, b"")?;
    }
    if system::is_mounted(at)? {
        nix::mount::umount2(at, nix::mount::MntFlags::MNT_DETACH)?;
    }
    let source = PathBuf::from(format!("/proc/self/fd/{}", target.as_raw_fd()));
    system::bind(&source, at)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_out_of_the_volume_is_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        let volume = dir.path();
        fs::create_dir(volume.join("inside")).expect("made");
        symlink("/etc", volume.join("out")).expect("linked");
        symlink("../../..", volume.join("up")).expect("linked");
        symlink("inside", volume.join("in")).expect("linked");
        for path in ["out", "out/passwd", "up", "up/etc/passwd"] {
            assert!(open(volume, Path::new(path)).is_err(), "{path}");
        }
        for path in ["inside", "in", "made/now", ""] {
            assert!(open(volume, Path::new(path)).is_ok(), "{path}");
        }
        assert!(volume.join("made/now").is_dir());
    }

    #[test]
    fn a_folder_that_is_made_has_the_mode_of_its_volume() {
        let dir = tempfile::tempdir().expect("temp dir");
        let volume = dir.path();
        let mode = |path: &str| {
            let found = fs::metadata(volume.join(path)).expect("made");
            found.permissions().mode() & 0o7777
        };
        for (wanted, path) in [(0o777, "logs"), (0o2777, "a/b"), (0o750, "c")] {
            let permissions = fs::Permissions::from_mode(wanted);
            fs::set_permissions(volume, permissions).expect("changed");
            open(volume, Path::new(path)).expect("made");
            assert_eq!(mode(path), wanted, "{path}");
        }
        assert_eq!(mode("a"), 0o2777);
        // What is there already stays as it is.
        let permissions = fs::Permissions::from_mode(0o700);
        fs::set_permissions(volume.join("logs"), permissions).expect("changed");
        open(volume, Path::new("logs")).expect("there");
        assert_eq!(mode("logs"), 0o700);
    }

    #[test]
    fn a_path_with_dots_is_refused_before_anything_is_opened() {
        let at = Path::new("/nonexistent/at");
        for path in ["../x", "/etc", "a/../../b"] {
            let result = mount(Path::new("/nonexistent"), path, at);
            assert!(matches!(result, Err(VolumeError::Path(_))), "{path}");
        }
    }
}
