//! Changes in a folder, told by the kernel.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tokio::io::unix::AsyncFd;

/// Watches one folder: files that are made, written, renamed or removed in it.
pub(crate) struct Watch {
    file: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Begins to watch `dir`.
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let path = std::ffi::CString::new(dir.as_os_str().as_bytes())?;
        // SAFETY: the call takes flags only.
        let raw = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, valid, and nobody else has it.
        let file = unsafe { OwnedFd::from_raw_fd(raw) };
        let events = libc::IN_CREATE
            | libc::IN_MODIFY
            | libc::IN_CLOSE_WRITE
            | libc::IN_MOVED_FROM
            | libc::IN_MOVED_TO
            | libc::IN_DELETE
            | libc::IN_DELETE_SELF;
        // SAFETY: `path` ends in zero and lives during the call.
        let watch = unsafe { libc::inotify_add_watch(raw, path.as_ptr(), events) };
        if watch < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is valid, and nobody replaces or closes it while the wrapper owns it.
        let file = unsafe { AsyncFd::register(file)? };
        Ok(Self { file })
    }

    /// Waits until something has changed since the last call.
    pub(crate) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.file.readable().await?;
            let drained = ready.try_io(|file| drain(file.get_ref()));
            if let Ok(result) = drained {
                return result;
            }
        }
    }
}

/// Reads all events that wait; what they say does not matter.
fn drain(file: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0u8; 4096];
    let mut any = false;
    loop {
        // SAFETY: the buffer is as long as the call is told.
        let count =
            unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        if count > 0 {
            any = true;
            continue;
        }
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock if any => Ok(()),
            io::ErrorKind::Interrupted => continue,
            _ => Err(error),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_file_wakes_the_watch() {
        let dir = tempfile::tempdir().expect("temp dir");
        let mut watch = Watch::new(dir.path()).expect("a watch");
        std::fs::write(dir.path().join("a"), "1").expect("written");
        watch.changed().await.expect("an event");
        std::fs::remove_file(dir.path().join("a")).expect("removed");
        watch.changed().await.expect("an event");
    }
}
