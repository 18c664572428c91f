//! What agent and shim say to one another, over a unix socket in the pod's folder.
//!
//! A message is its length (four bytes, little-endian) and JSON. A connection carries one request and its answer;
//! two go on: `Watch`, which gets the state again at every change, and `Exec`, which gets the exit code later.
//! File descriptors travel beside the first byte: the streams of an exec one way, its terminal the other.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Read, Result, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::image::Config;
use crate::network::Attachment;
use crate::runtime::{self, ContainerSpec, ExecSpec, PodSandbox, PodState, PodStats};

/// No message is longer; a longer one is an error on the line.
const LIMIT: usize = 16 << 20;

/// What a shim is started with: `setup.json` in the pod's folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) sandbox: PodSandbox,
    /// `None` with the host's network.
    pub(crate) attachment: Option<Attachment>,
    /// The pod's control group.
    pub(crate) cgroup: PathBuf,
    /// Where the containers' writable layers are.
    pub(crate) writable: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Make and start a container.
    Start(Box<Start>),
    Signal {
        container: String,
        signal: i32,
    },
    /// Run a command; comes with descriptors for its streams unless it wants a terminal.
    Exec {
        container: String,
        spec: ExecSpec,
    },
    Stats,
    Remove {
        container: String,
    },
    /// Send the state now and whenever it changes.
    Watch,
    /// End all containers, then yourself.
    End,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) id: String,
    pub(crate) spec: ContainerSpec,
    pub(crate) image_id: String,
    pub(crate) config: Config,
    /// The image's layers, the highest first.
    pub(crate) layers: Vec<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Done,
    State(PodState),
    Stats(PodStats),
    Exited(i32),
    Failed(Failure),
}

/// An error of the runtime on its way to the agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Failure {
    InvalidSpec(String),
    Start(String),
    NoSuchContainer(String),
    NotRunning(String),
    Exec(String),
    Other(String),
}

impl From<runtime::Error> for Failure {
    fn from(error: runtime::Error) -> Self {
        match error {
            runtime::Error::InvalidSpec(text) => Self::InvalidSpec(text),
            runtime::Error::Start(text) => Self::Start(text),
            runtime::Error::NoSuchContainer(id) => Self::NoSuchContainer(id),
            runtime::Error::NotRunning(id) => Self::NotRunning(id),
            runtime::Error::Exec(text) => Self::Exec(text),
            other => Self::Other(other.to_string()),
        }
    }
}

impl Failure {
    /// The error as the agent's callers see it.
    pub(crate) fn into_error(self, uid: &str) -> runtime::Error {
        match self {
            Self::InvalidSpec(text) => runtime::Error::InvalidSpec(text),
            Self::Start(text) => runtime::Error::Start(text),
            Self::NoSuchContainer(id) => runtime::Error::NoSuchContainer(id),
            Self::NotRunning(id) => runtime::Error::NotRunning(id),
            Self::Exec(text) => runtime::Error::Exec(text),
            Self::Other(reason) => runtime::Error::Shim {
                uid: uid.to_owned(),
                reason,
            },
        }
    }
}

/// Length and JSON.
pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// The body's length, from the four bytes before it.
pub(crate) fn body_length(header: [u8; 4]) -> Result<usize> {
    let length = u32::from_le_bytes(header) as usize;
    if length > LIMIT {
        return Err(Error::new(ErrorKind::InvalidData, "message too long"));
    }
    Ok(length)
}

/// Sends a message, with descriptors beside its first byte.
pub(crate) fn send(stream: &UnixStream, message: &impl Serialize, fds: &[RawFd]) -> Result<()> {
    let bytes = encode(message)?;
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL;
    let parts = [IoSlice::new(&bytes)];
    let sent = sendmsg::<()>(stream.as_raw_fd(), &parts, control, flags, None)?;
    (&*stream).write_all(&bytes[sent..])
}

/// Receives a message and the descriptors that came with it; `UnexpectedEof` when the other side closed.
pub(crate) fn receive<T: DeserializeOwned>(stream: &UnixStream) -> Result<(T, Vec<OwnedFd>)> {
    let mut header = [0; 4];
    let (mut filled, fds) = receive_with_fds(stream.as_raw_fd(), &mut header)?;
    while filled < header.len() {
        match (&*stream).read(&mut header[filled..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    let mut body = vec![0; body_length(header)?];
    (&*stream).read_exact(&mut body)?;
    Ok((serde_json::from_slice(&body)?, fds))
}

/// Receives bytes and descriptors; at most four of the latter.
pub(crate) fn receive_with_fds(socket: RawFd, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            // SAFETY: the kernel has just made these descriptors for us, and nobody else has them.
            fds.extend(
                received
                    .into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    if message.bytes == 0 && fds.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok((message.bytes, fds))
}

/// Connects to a shim. The path goes through a descriptor of the folder: a socket's own may have 107 bytes only.
pub(crate) fn connect(folder: &std::path::Path) -> Result<UnixStream> {
    let folder = std::fs::File::open(folder)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}

/// Listens in a folder; see [`connect`].
pub(crate) fn listen(folder: &std::path::Path) -> Result<std::os::unix::net::UnixListener> {
    let folder = std::fs::File::open(folder)?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
    std::os::unix::net::UnixListener::bind(path)
}

/// The socket's name in the pod's folder.
pub(crate) const SOCKET: &str = "shim.sock";
/// The name of [`Setup`]'s file in the pod's folder.
pub(crate) const SETUP: &str = "setup.json";
/// The name of the [`PodState`]'s file in the pod's folder, written at every change.
pub(crate) const STATE: &str = "state.json";

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_message_arrives_with_its_descriptors() {
        let (here, there) = UnixStream::pair().expect("pair");
        let (mut reader, writer) = std::io::pipe().expect("pipe");
        send(&here, &Response::Exited(3), &[writer.as_fd().as_raw_fd()]).expect("sent");
        drop(writer);
        let (response, fds) = receive::<Response>(&there).expect("received");
        assert!(matches!(response, Response::Exited(3)));
        let [fd] = <[OwnedFd; 1]>::try_from(fds).expect("one descriptor");
        std::fs::File::from(fd)
            .write_all(b"through")
            .expect("written");
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("read");
        assert_eq!(text, "through");
    }

    #[test]
    fn an_absurd_length_is_refused() {
        assert!(body_length(u32::MAX.to_le_bytes()).is_err());
    }
}
