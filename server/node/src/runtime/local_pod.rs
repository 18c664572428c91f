//! A pod of this machine, as the agent holds it: requests to its shim, and a watch on its state.

use std::fs::File;
use std::io::{ErrorKind, Result as IoResult};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::local::{Shared, blocking};
use super::terminal::Terminal;
use super::{
    ContainerSpec, Error, ExecSession, ExecSpec, Pod, PodSandbox, PodState, PodStats, teardown,
};
use crate::shim::pod_folder;
use crate::shim::protocol::{self, Request, Response, STATE, Setup, Start};

/// Longer than anything a shim does, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A pod and its shim.
pub(super) struct LocalPod {
    shared: Arc<Shared>,
    setup: Setup,
    folder: PathBuf,
    state: watch::Receiver<Arc<PodState>>,
    /// Becomes true when the state has been read for the first time.
    settled: watch::Receiver<bool>,
    watcher: JoinHandle<()>,
}

impl Drop for LocalPod {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl LocalPod {
    pub(super) fn new(shared: Arc<Shared>, setup: Setup) -> Self {
        let folder = pod_folder(&shared.options.run_dir, &setup.sandbox.uid);
        let (sender, state) = watch::channel(Arc::new(PodState::default()));
        let (settle, settled) = watch::channel(false);
        let watcher = tokio::spawn(follow(folder.clone(), sender, settle));
        Self {
            shared,
            setup,
            folder,
            state,
            settled,
            watcher,
        }
    }

    /// Waits until the state has been read once, or can't be.
    pub(super) async fn settled(&self) {
        let mut settled = self.settled.clone();
        // The sender goes when the shim is gone, which settles it as well.
        let _ = settled.wait_for(|settled| *settled).await;
    }

    fn lost(&self, reason: impl std::fmt::Display) -> Error {
        Error::Shim {
            uid: self.setup.sandbox.uid.clone(),
            reason: reason.to_string(),
        }
    }

    /// Sends a request and waits for the answer.
    async fn request(&self, request: &Request) -> Result<Response, Error> {
        let talk = async {
            let mut stream = connect(&self.folder)?;
            stream.write_all(&protocol::encode(request)?).await?;
            read_response(&mut stream).await
        };
        let response = match tokio::time::timeout(PATIENCE, talk).await {
            Ok(response) => response.map_err(|error| self.lost(error))?,
            Err(_) => return Err(self.lost("no answer")),
        };
        match response {
            Response::Failed(failure) => Err(failure.into_error(&self.setup.sandbox.uid)),
            other => Ok(other),
        }
    }

    /// Waits until the state says so, or the shim is gone.
    async fn wait_for(&self, condition: impl Fn(&PodState) -> bool) {
        let mut state = self.state.clone();
        // The sender only goes with the pod.
        let _ = state.wait_for(|state| state.lost || condition(state)).await;
    }
}

fn connect(folder: &Path) -> IoResult<UnixStream> {
    let stream = protocol::connect(folder)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

async fn read_response(stream: &mut UnixStream) -> IoResult<Response> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let mut body = vec![0; protocol::body_length(header)?];
    stream.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// Keeps the state up to date until the shim is gone.
async fn follow(
    folder: PathBuf,
    state: watch::Sender<Arc<PodState>>,
    settled: watch::Sender<bool>,
) {
    // A shim cuts off whoever does not keep up; then there is one to connect to again.
    while let Ok(mut stream) = watch_stream(&folder).await {
        while let Ok(response) = read_response(&mut stream).await {
            if let Response::State(new) = response {
                state.send_replace(Arc::new(new));
                settled.send_replace(true);
            }
        }
    }
    // What it wrote last is all that will ever be known.
    let saved = std::fs::read(folder.join(STATE)).ok();
    let mut last = saved
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_else(|| PodState::clone(&state.borrow()));
    last.lost = true;
    state.send_replace(Arc::new(last));
    settled.send_replace(true);
    // The receivers are told of the loss, and not that the sender went.
    state.closed().await;
}

async fn watch_stream(folder: &Path) -> IoResult<UnixStream> {
    let mut stream = connect(folder)?;
    stream
        .write_all(&protocol::encode(&Request::Watch)?)
        .await?;
    Ok(stream)
}

#[async_trait]
impl Pod for LocalPod {
    fn sandbox(&self) -> &PodSandbox {
        &self.setup.sandbox
    }

    fn addresses(&self) -> Vec<IpAddr> {
        match &self.setup.attachment {
            Some(attachment) => vec![attachment.address.into()],
            None => vec![self.shared.options.node_address],
        }
    }

    fn state(&self) -> watch::Receiver<Arc<PodState>> {
        self.state.clone()
    }

    async fn start_container(&self, spec: ContainerSpec) -> Result<String, Error> {
        let shared = Arc::clone(&self.shared);
        let name = spec.image.clone();
        let image = blocking(move || {
            let image = shared.images.get(&name)?;
            image.ok_or(Error::ImageNotFound(name))
        })
        .await?;
        let half = || uuid::Uuid::new_v4().simple();
        let id = format!("{}{}", half(), half());
        let start = Start {
            id: id.clone(),
            spec,
            layers: self.shared.images.lower_dirs(&image),
            image_id: image.id,
            config: image.config,
        };
        self.request(&Request::Start(Box::new(start))).await?;
        self.wait_for(|state| state.get(&id).is_some()).await;
        Ok(id)
    }

    async fn signal(&self, container: &str, signal: i32) -> Result<(), Error> {
        let container = container.to_owned();
        let request = Request::Signal { container, signal };
        self.request(&request).await.map(drop)
    }

    async fn exec(&self, container: &str, spec: ExecSpec) -> Result<ExecSession, Error> {
        let (folder, container) = (self.folder.clone(), container.to_owned());
        let uid = self.setup.sandbox.uid.clone();
        let begun = blocking(move || begin_exec(&folder, &uid, container, spec)).await?;
        let failed = |error: std::io::Error| self.lost(error);
        session(begun).map_err(failed)
    }

    async fn stats(&self) -> Result<PodStats, Error> {
        match self.request(&Request::Stats).await? {
            Response::Stats(stats) => Ok(stats),
            other => Err(self.lost(format!("unexpected answer {other:?}"))),
        }
    }

    async fn remove_container(&self, container: &str) -> Result<(), Error> {
        let request = Request::Remove {
            container: container.to_owned(),
        };
        match self.request(&request).await {
            Err(Error::NoSuchContainer(_)) => Ok(()),
            Ok(_) => {
                self.wait_for(|state| state.get(container).is_none()).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn remove(&self) -> Result<(), Error> {
        // Without a shim, or with one that fails, the rest does what it would have done.
        if let Err(error) = self.request(&Request::End).await {
            tracing::debug!(%error, "the shim could not end its pod");
        }
        let (shared, setup) = (Arc::clone(&self.shared), self.setup.clone());
        let folder = self.folder.clone();
        blocking(move || {
            teardown::pod(&folder)?;
            shared.release(&setup)
        })
        .await?;
        self.shared.forget(&self.setup.sandbox.uid);
        Ok(())
    }
}

/// An exec that the shim has begun: the line on which the exit code comes, and our ends of the streams.
struct Begun {
    line: StdStream,
    ends: Ends,
}

enum Ends {
    Pipes {
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    Terminal {
        fd: OwnedFd,
        stdin: bool,
    },
}

fn begin_exec(folder: &Path, uid: &str, container: String, spec: ExecSpec) -> Result<Begun, Error> {
    let lost = |error: std::io::Error| Error::Shim {
        uid: uid.to_owned(),
        reason: error.to_string(),
    };
    let stdin = spec.stdin;
    let (theirs, ours) = if spec.tty {
        (Vec::new(), None)
    } else {
        let (theirs, ours) = make_pipes(&spec).map_err(Error::io("make pipes"))?;
        (theirs, Some(ours))
    };
    let line = protocol::connect(folder).map_err(lost)?;
    line.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    let fds: Vec<RawFd> = theirs.iter().map(AsRawFd::as_raw_fd).collect();
    protocol::send(&line, &Request::Exec { container, spec }, &fds).map_err(lost)?;
    drop(theirs);
    let (response, fds) = protocol::receive(&line).map_err(lost)?;
    if let Response::Failed(failure) = response {
        return Err(failure.into_error(uid));
    }
    let ends = match (ours, fds.into_iter().next()) {
        (Some(ends), _) => ends,
        (None, Some(fd)) => Ends::Terminal { fd, stdin },
        (None, None) => return Err(lost(ErrorKind::UnexpectedEof.into())),
    };
    Ok(Begun { line, ends })
}

/// The command's ends and ours of its streams.
fn make_pipes(spec: &ExecSpec) -> IoResult<(Vec<OwnedFd>, Ends)> {
    let (stdin, our_stdin) = if spec.stdin {
        let (reader, writer) = std::io::pipe()?;
        (reader.into(), Some(writer.into()))
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    let (stdout, their_stdout) = std::io::pipe()?;
    let (stderr, their_stderr) = std::io::pipe()?;
    let ends = Ends::Pipes {
        stdin: our_stdin,
        stdout: stdout.into(),
        stderr: stderr.into(),
    };
    Ok((vec![stdin, their_stdout.into(), their_stderr.into()], ends))
}

fn session(begun: Begun) -> IoResult<ExecSession> {
    begun.line.set_nonblocking(true)?;
    let mut line = UnixStream::from_std(begun.line)?;
    let (sender, exit) = oneshot::channel();
    tokio::spawn(async move {
        let code = match read_response(&mut line).await {
            Ok(Response::Exited(code)) => Ok(code),
            Ok(other) => Err(Error::Exec(format!("unexpected answer {other:?}"))),
            Err(error) => Err(Error::Exec(format!("the exit code is lost: {error}"))),
        };
        // Whoever dropped the session does not want the code.
        let _ = sender.send(code);
    });
    Ok(match begun.ends {
        Ends::Pipes {
            stdin,
            stdout,
            stderr,
        } => ExecSession {
            stdin: match stdin {
                Some(fd) => Some(Box::pin(pipe::Sender::from_owned_fd(fd)?)),
                None => None,
            },
            stdout: Box::pin(pipe::Receiver::from_owned_fd(stdout)?),
            stderr: Some(Box::pin(pipe::Receiver::from_owned_fd(stderr)?)),
            resize: Arc::new(|_, _| {}),
            exit,
        },
        Ends::Terminal { fd, stdin } => {
            let terminal = Terminal::new(fd)?;
            let resized = terminal.clone();
            ExecSession {
                stdin: if stdin {
                    Some(Box::pin(terminal.clone()))
                } else {
                    None
                },
                stdout: Box::pin(terminal),
                stderr: None,
                resize: Arc::new(move |columns, rows| resized.resize(columns, rows)),
                exit,
            }
        }
    })
}
