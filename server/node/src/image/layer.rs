//! Unpacking one layer into the form that overlayfs wants.
//!
//! A layer's entries are applied inside the layer's own, new folder. A path is taken apart and walked from there;
//! a parent that is a symbolic link ends the import, so nothing is ever written through one. A symbolic link may
//! have an absolute target (it is resolved inside the container later) but a relative one must not climb above the root.
//!
//! Deletions become overlayfs' own: `.wh.name` a character device 0:0, `.wh..wh..opq` the attribute
//! `trusted.overlay.opaque`. Other attributes of that family are never taken from a layer: they would redirect lookups.

use std::ffi::CString;
use std::fs::{File, Permissions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, UtimensatFlags, makedev, mknod, utimensat};
use nix::sys::time::TimeSpec;
use tar::{Entry, EntryType};

use super::Error;
use super::blob::Hashing;

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Unpacks a tar stream below `root`, an empty folder; gives the digest of the stream.
pub(super) fn unpack(layer: &str, stream: impl Read, root: &Path) -> Result<String, Error> {
    let mut stream = Hashing::new(stream);
    let mut unpacker = Unpacker {
        layer,
        root,
        folders: Vec::new(),
    };
    let damaged = |error: std::io::Error| Error::NotAnImage(format!("layer {layer}: {error}"));
    let mut archive = tar::Archive::new(&mut stream);
    for entry in archive.entries().map_err(damaged)? {
        unpacker.apply(entry.map_err(damaged)?)?;
    }
    // Times of folders change while files are put into them, so they come last.
    for (path, seconds) in unpacker.folders.iter().rev() {
        set_time(path, *seconds).map_err(Error::io(path))?;
    }
    std::io::copy(&mut stream, &mut std::io::sink()).map_err(damaged)?;
    Ok(stream.digest())
}

struct Unpacker<'a> {
    layer: &'a str,
    root: &'a Path,
    folders: Vec<(PathBuf, i64)>,
}

impl Unpacker<'_> {
    fn unsafe_path(&self, path: &Path, reason: &'static str) -> Error {
        Error::UnsafePath {
            layer: self.layer.to_owned(),
            path: path.display().to_string(),
            reason,
        }
    }

    fn apply<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<(), Error> {
        let damaged = |error: std::io::Error| Error::NotAnImage(error.to_string());
        let name = entry.path().map_err(damaged)?.into_owned();
        let Some(target) = self.place(&name)? else {
            return self.apply_root(&entry);
        };
        if let Some(base) = name.file_name().map(|base| base.to_string_lossy())
            && base.starts_with(WHITEOUT)
        {
            return self.whiteout(&name, &target, &base);
        }
        let kind = entry.header().entry_type();
        clear(&target, kind).map_err(Error::io(&target))?;
        match kind {
            EntryType::Directory => match std::fs::create_dir(&target) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            },
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                File::create_new(&target)
                    .and_then(|mut file| std::io::copy(&mut entry, &mut file).map(drop))
            }
            EntryType::Symlink => {
                let link = entry.link_name().map_err(damaged)?.unwrap_or_default();
                if climbs(&name, &link) {
                    return Err(
                        self.unsafe_path(&name, "the symbolic link points out of the image")
                    );
                }
                std::os::unix::fs::symlink(&link, &target)
            }
            EntryType::Link => {
                let link = entry.link_name().map_err(damaged)?.unwrap_or_default();
                let source = self
                    .place(&link)?
                    .ok_or_else(|| self.unsafe_path(&name, "a hard link to the root"))?;
                // The other name has the owner, mode and times already.
                return std::fs::hard_link(&source, &target).map_err(Error::io(&target));
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => node(&entry, &target),
            // Kinds that only describe other entries (pax globals, labels) make no file.
            _ => return Ok(()),
        }
        .map_err(Error::io(&target))?;
        self.attributes(&mut entry, &target)
    }

    /// Owner, mode, extended attributes and time, in the order in which the kernel lets them stay.
    fn attributes<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        target: &Path,
    ) -> Result<(), Error> {
        let kind = entry.header().entry_type();
        let mut set = || -> std::io::Result<i64> {
            let header = entry.header();
            let (uid, gid) = owner(header);
            let (mode, seconds) = (header.mode()?, header.mtime().unwrap_or(0) as i64);
            std::os::unix::fs::lchown(target, Some(uid), Some(gid))?;
            if kind != EntryType::Symlink {
                std::fs::set_permissions(target, Permissions::from_mode(mode & 0o7777))?;
            }
            for pair in entry.pax_extensions()?.into_iter().flatten() {
                let pair = pair?;
                if let Some(name) = pair.key_bytes().strip_prefix(b"SCHILY.xattr.")
                    && (name == b"security.capability" || name.starts_with(b"user."))
                {
                    set_attribute(target, name, pair.value_bytes())?;
                }
            }
            Ok(seconds)
        };
        let seconds = set().map_err(Error::io(target))?;
        if kind == EntryType::Directory {
            self.folders.push((target.to_owned(), seconds));
            Ok(())
        } else {
            set_time(target, seconds).map_err(Error::io(target))
        }
    }

    /// The entry `./`: only its owner and mode count.
    fn apply_root<R: Read>(&mut self, entry: &Entry<'_, R>) -> Result<(), Error> {
        let set = || -> std::io::Result<()> {
            let header = entry.header();
            let (uid, gid) = owner(header);
            std::os::unix::fs::lchown(self.root, Some(uid), Some(gid))?;
            let mode = Permissions::from_mode(header.mode()? & 0o7777);
            std::fs::set_permissions(self.root, mode)
        };
        set().map_err(Error::io(self.root))
    }

    fn whiteout(&self, name: &Path, target: &Path, base: &str) -> Result<(), Error> {
        let folder = target.parent().unwrap_or(self.root);
        if base == OPAQUE {
            return set_attribute(folder, b"trusted.overlay.opaque", b"y")
                .map_err(Error::io(folder));
        }
        let hidden = &base[WHITEOUT.len()..];
        if hidden.is_empty() || hidden == "." || hidden == ".." {
            return Err(self.unsafe_path(name, "a deletion of nothing"));
        }
        // What aufs kept for itself (.wh..wh.plnk and the like).
        if hidden.starts_with(WHITEOUT) {
            return Ok(());
        }
        let hidden = folder.join(hidden);
        clear(&hidden, EntryType::Char).map_err(Error::io(&hidden))?;
        mknod(&hidden, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0))
            .map_err(|errno| Error::io(&hidden)(errno.into()))
    }

    /// Where an entry goes; makes the folders above it. `None` for the root itself.
    fn place(&self, name: &Path) -> Result<Option<PathBuf>, Error> {
        let mut parts = Vec::new();
        for part in name.components() {
            match part {
                Component::Normal(part) => parts.push(part),
                Component::CurDir => {}
                Component::ParentDir => {
                    return Err(self.unsafe_path(name, "the path has a `..`"));
                }
                Component::RootDir | Component::Prefix(_) => {
                    return Err(self.unsafe_path(name, "the path is absolute"));
                }
            }
        }
        let Some(last) = parts.pop() else {
            return Ok(None);
        };
        let mut folder = self.root.to_owned();
        for part in parts {
            folder.push(part);
            match std::fs::symlink_metadata(&folder) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(metadata) if metadata.is_symlink() => {
                    return Err(self.unsafe_path(name, "the path leads through a symbolic link"));
                }
                Ok(_) => return Err(self.unsafe_path(name, "the path leads through a file")),
                Err(_) => std::fs::create_dir(&folder)
                    .and_then(|()| std::fs::set_permissions(&folder, Permissions::from_mode(0o755)))
                    .map_err(Error::io(&folder))?,
            }
        }
        Ok(Some(folder.join(last)))
    }
}

/// User and group; some writers leave the fields empty and mean root.
fn owner(header: &tar::Header) -> (u32, u32) {
    let id = |field: std::io::Result<u64>| field.map_or(0, |id| id as u32);
    (id(header.uid()), id(header.gid()))
}

/// Whether a relative link target leads above the root of the layer.
fn climbs(name: &Path, target: &Path) -> bool {
    if target.is_absolute() {
        return target
            .components()
            .any(|part| matches!(part, Component::ParentDir));
    }
    let mut depth = name
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .count() as i64
        - 1;
    target.components().any(|part| {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        depth < 0
    })
}

/// Makes room for an entry: a later one replaces an earlier one, but a folder stays a folder.
fn clear(target: &Path, kind: EntryType) -> std::io::Result<()> {
    match std::fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_dir() && kind == EntryType::Directory => Ok(()),
        Ok(_) => super::remove_any(target),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn node<R: Read>(entry: &Entry<'_, R>, target: &Path) -> std::io::Result<()> {
    let header = entry.header();
    let (kind, device) = match header.entry_type() {
        EntryType::Fifo => (SFlag::S_IFIFO, 0),
        kind => {
            let major = header.device_major()?.unwrap_or(0).into();
            let minor = header.device_minor()?.unwrap_or(0).into();
            let kind = if kind == EntryType::Block {
                SFlag::S_IFBLK
            } else {
                SFlag::S_IFCHR
            };
            (kind, makedev(major, minor))
        }
    };
    mknod(target, kind, Mode::from_bits_truncate(0o600), device).map_err(Into::into)
}

fn set_time(path: &Path, seconds: i64) -> std::io::Result<()> {
    let time = TimeSpec::new(seconds, 0);
    utimensat(
        nix::fcntl::AT_FDCWD,
        path,
        &time,
        &time,
        UtimensatFlags::NoFollowSymlink,
    )
    .map_err(Into::into)
}

fn set_attribute(path: &Path, name: &[u8], value: &[u8]) -> std::io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let name = CString::new(name)?;
    // SAFETY: both strings end in NUL and live through the call; the value's length is its own.
    let result = unsafe {
        libc::lsetxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}
