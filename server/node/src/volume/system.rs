//! Mounts of the host: the few calls that volumes need.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Mounts a tmpfs; `size` in bytes.
pub(super) fn mount_tmpfs(at: &Path, size: Option<i64>, mode: u32) -> io::Result<()> {
    let size = size.map_or(String::new(), |size| format!(",size={size}"));
    let options = format!("mode={mode:o}{size}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        at,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    )?;
    Ok(())
}

/// Mounts `source` at `at` as well. With a `/proc/self/fd` source no link is followed twice.
pub(super) fn bind(source: &Path, at: &Path) -> io::Result<()> {
    mount(
        Some(source),
        at,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )?;
    Ok(())
}

/// Whether something is mounted exactly here.
pub(super) fn is_mounted(path: &Path) -> io::Result<bool> {
    let path = fs::canonicalize(path)?;
    Ok(mount_points()?.contains(&path))
}

/// Unmounts everything at and below `dir`, the deepest and newest first. Nothing there is no error.
pub(crate) fn unmount_below(dir: &Path) -> io::Result<()> {
    let Ok(dir) = fs::canonicalize(dir) else {
        return Ok(());
    };
    for point in mount_points()?.into_iter().rev() {
        if point.starts_with(&dir) {
            umount2(&point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
        }
    }
    Ok(())
}

/// All mount points, oldest first.
fn mount_points() -> io::Result<Vec<PathBuf>> {
    let table = fs::read("/proc/self/mountinfo")?;
    let lines = table.split(|&byte| byte == b'\n');
    let points = lines.filter_map(|line| line.split(|&byte| byte == b' ').nth(4));
    Ok(points.map(unescape).collect())
}

/// The kernel writes blanks, tabs, newlines and backslashes as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\');
        let code = octal.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Whether files below here live in memory only.
pub(super) fn is_in_memory(path: &Path) -> bool {
    nix::sys::statfs::statfs(path)
        .is_ok_and(|fs| fs.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_escapes_of_the_mount_table_are_read() {
        assert_eq!(unescape(br"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        assert_eq!(unescape(b"/plain"), PathBuf::from("/plain"));
    }
}
