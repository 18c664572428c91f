//! A container's root file system: an overlay of the image's layers and a writable one, and safe access to it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, mkdirat};

use super::Error;

/// The kernel takes one page of mount options.
const OPTIONS_LIMIT: usize = 4095;

/// Where one container's file system is.
#[derive(Clone, Debug)]
pub(crate) struct Rootfs {
    /// Where it is mounted.
    pub(crate) mount_point: PathBuf,
    /// What holds the writable layer.
    pub(crate) writable: PathBuf,
}

impl Rootfs {
    /// Mounts the overlay. `layers` is the highest first and all of one folder.
    ///
    /// Changes the working directory for a moment (names relative to the layers' folder keep the options short),
    /// so only a process with one thread may call it.
    pub(crate) fn mount(&self, layers: &[PathBuf]) -> Result<(), Error> {
        let upper = self.writable.join("upper");
        let work = self.writable.join("work");
        for folder in [&upper, &work, &self.mount_point] {
            std::fs::create_dir_all(folder)
                .map_err(Error::io(format!("make {}", folder.display())))?;
        }
        let folder = layers.first().and_then(|layer| layer.parent());
        // An image without layers is an empty root; overlayfs wants a lower folder all the same.
        let empty = self.writable.join("empty");
        let (folder, names) = match folder {
            Some(folder) => (
                folder,
                layers
                    .iter()
                    .filter_map(|layer| layer.file_name())
                    .collect(),
            ),
            None => {
                std::fs::create_dir_all(&empty).map_err(Error::io("make an empty layer"))?;
                (self.writable.as_path(), vec![std::ffi::OsStr::new("empty")])
            }
        };
        let lower: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.join(":"),
            escape(&upper),
            escape(&work)
        );
        if options.len() > OPTIONS_LIMIT {
            let count = layers.len();
            return Err(Error::InvalidSpec(format!(
                "image has too many layers: {count}"
            )));
        }
        let mounted = std::env::set_current_dir(folder).and_then(|()| {
            let mounted = mount(
                Some("overlay"),
                &self.mount_point,
                Some("overlay"),
                MsFlags::empty(),
                Some(options.as_str()),
            );
            std::env::set_current_dir("/")?;
            mounted.map_err(Into::into)
        });
        mounted.map_err(Error::io("mount overlay"))
    }

    /// Unmounts and removes the writable layer; neither need be there.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        // Whoever still holds a file open keeps it; the name is free at once.
        let _not_mounted = umount2(&self.mount_point, MntFlags::MNT_DETACH);
        for folder in [&self.mount_point, &self.writable] {
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(format!("remove {}", folder.display()))(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a file of the container as the container would see it: symbolic links stay inside.
    pub(crate) fn read(&self, path: &str) -> std::io::Result<String> {
        // A passwd file larger than this is not one.
        const LIMIT: u64 = 4 << 20;
        let root = self.open_root()?;
        let file: File = open_inside(&root, Path::new(path), OFlag::O_RDONLY)?.into();
        let mut text = String::new();
        file.take(LIMIT).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Makes a folder and those above it where they are missing, inside.
    pub(crate) fn make_folder(&self, path: &Path) -> std::io::Result<()> {
        let root = self.open_root()?;
        let mut so_far = PathBuf::new();
        for part in path.components() {
            let Component::Normal(part) = part else {
                continue;
            };
            let parent = open_inside(&root, &so_far, OFlag::O_DIRECTORY | OFlag::O_PATH)?;
            so_far.push(part);
            match mkdirat(parent.as_fd(), part, Mode::from_bits_truncate(0o755)) {
                Ok(()) | Err(nix::Error::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Where a path of the container is on the host, links followed inside; made as a folder if it is not there.
    ///
    /// For use before the container runs: afterwards it could change what the path leads to.
    pub(crate) fn volume(&self, path: &Path) -> std::io::Result<PathBuf> {
        let root = self.open_root()?;
        let found = match open_inside(&root, path, OFlag::O_PATH) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.make_folder(path)?;
                open_inside(&root, path, OFlag::O_PATH)?
            }
            other => other?,
        };
        std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
    }

    fn open_root(&self) -> std::io::Result<OwnedFd> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC;
        Ok(open(&self.mount_point, flags, Mode::empty())?)
    }
}

fn open_inside(root: &OwnedFd, path: &Path, flags: OFlag) -> std::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() {
        Path::new("/")
    } else {
        path
    };
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(root, path, how)?)
}

/// Commas and backslashes end an option unless they are escaped.
fn escape(path: &Path) -> String {
    path.to_string_lossy()
        .replace('\\', "\\\\")
        .replace(',', "\\,")
        .replace(':', "\\:")
}
