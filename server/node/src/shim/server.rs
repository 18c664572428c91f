//! The shim's loop: one epoll over the socket, the children's signal, the containers' output and the watchers.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::log::Stream;
use super::note;
use super::pod::Pod;
use super::protocol::{self, Request, Response};
use super::wait::{self, Ended};
use crate::runtime;

/// Requests are sent at once as a whole; whoever takes longer has hung and must not hold up the pod.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of one stream is read before the others have their turn.
const CHUNK: usize = 64 << 10;

/// Something that epoll tells about.
enum Source {
    Listener,
    Children,
    /// A container's output.
    Output(OwnedFd, String, Stream),
    /// An agent that wants to know of every change.
    Watcher(UnixStream),
}

/// The loop and what it looks after.
pub(super) struct Server {
    pod: Pod,
    listener: UnixListener,
    children: SignalFd,
    epoll: Epoll,
    sources: HashMap<u64, Source>,
    next: u64,
    /// Commands that run, and who waits for their exit codes.
    commands: HashMap<i32, UnixStream>,
}

impl Server {
    pub(super) fn new(folder: &Path, pod: Pod) -> std::result::Result<Self, runtime::Error> {
        let open = || -> Result<Self> {
            let listener = protocol::listen(folder)?;
            listener.set_nonblocking(true)?;
            let mut signals = SigSet::empty();
            signals.add(Signal::SIGCHLD);
            let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
            let mut server = Self {
                pod,
                listener,
                children: SignalFd::with_flags(&signals, flags)?,
                epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
                sources: HashMap::new(),
                next: 0,
                commands: HashMap::new(),
            };
            server.add(Source::Listener)?;
            server.add(Source::Children)?;
            Ok(server)
        };
        open().map_err(runtime::Error::io("listen on the shim's socket"))
    }

    fn add(&mut self, source: Source) -> Result<()> {
        let token = self.next;
        self.next += 1;
        let fd = match &source {
            Source::Listener => self.listener.as_fd(),
            Source::Children => self.children.as_fd(),
            Source::Output(fd, ..) => fd.as_fd(),
            Source::Watcher(stream) => stream.as_fd(),
        };
        self.epoll
            .add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
        self.sources.insert(token, source);
        Ok(())
    }

    fn drop_source(&mut self, token: u64) {
        // Closing the descriptor takes it out of epoll; containers may share it, so it is taken out by name first.
        match self.sources.remove(&token) {
            Some(Source::Output(fd, ..)) => self.forget(fd.as_fd()),
            Some(Source::Watcher(stream)) => self.forget(stream.as_fd()),
            _ => {}
        }
    }

    fn forget(&self, fd: BorrowedFd<'_>) {
        if let Err(errno) = self.epoll.delete(fd) {
            note(&format!("epoll: {errno}"));
        }
    }

    /// Runs until the pod is ended.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut events = [EpollEvent::empty(); 32];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(nix::Error::EINTR) => continue,
                other => other?,
            };
            let tokens: Vec<u64> = events[..count].iter().map(EpollEvent::data).collect();
            for token in tokens {
                if self.serve(token)? {
                    return Ok(());
                }
            }
        }
    }

    /// Serves one source; true when the pod has been ended.
    fn serve(&mut self, token: u64) -> Result<bool> {
        match self.sources.get(&token) {
            Some(Source::Listener) => return self.accept(),
            Some(Source::Children) => self.reap()?,
            Some(Source::Output(..)) => self.output(token),
            // A watcher says nothing: it can only have gone.
            Some(Source::Watcher(_)) => self.drop_source(token),
            None => {}
        }
        Ok(false)
    }

    fn accept(&mut self) -> Result<bool> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        match protocol::receive(&stream) {
            Ok((Request::End, _)) => {
                let response = self.end().err().map_or(Response::Done, |error| {
                    Response::Failed(runtime::Error::io("end the pod")(error).into())
                });
                answer(&stream, &response, None);
                Ok(true)
            }
            Ok((request, fds)) => {
                self.handle(stream, request, fds);
                Ok(false)
            }
            Err(error) => {
                note(&format!("request: {error}"));
                Ok(false)
            }
        }
    }

    fn handle(&mut self, stream: UnixStream, request: Request, fds: Vec<OwnedFd>) {
        let outcome = match request {
            Request::Watch => return self.watch(stream),
            Request::Exec { container, spec } => match self.pod.exec(&container, &spec, fds) {
                Ok(started) => {
                    answer(&stream, &Response::Done, started.terminal.as_ref());
                    self.commands.insert(started.pid, stream);
                    return;
                }
                Err(error) => Err(error),
            },
            Request::Start(start) => self.start(*start),
            Request::Signal { container, signal } => {
                self.pod.signal(&container, signal).map(|()| Response::Done)
            }
            Request::Stats => Ok(Response::Stats(self.pod.stats())),
            Request::Remove { container } => self.remove(&container),
            // Taken by the caller, since it ends the loop.
            Request::End => Ok(Response::Done),
        };
        let response = outcome.unwrap_or_else(|error| Response::Failed(error.into()));
        answer(&stream, &response, None);
    }

    fn start(&mut self, start: protocol::Start) -> std::result::Result<Response, runtime::Error> {
        let (id, outputs) = self.pod.start(start)?;
        for (stream, fd) in outputs {
            let add = || -> Result<OwnedFd> {
                let flags = nix::fcntl::OFlag::O_NONBLOCK;
                nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFL(flags))?;
                Ok(fd)
            };
            let added = add().and_then(|fd| self.add(Source::Output(fd, id.clone(), stream)));
            added.map_err(runtime::Error::io("watch the container's output"))?;
        }
        self.publish();
        Ok(Response::Done)
    }

    fn remove(&mut self, id: &str) -> std::result::Result<Response, runtime::Error> {
        if let Some(pid) = self.pod.get(id)?.pid() {
            let pid = nix::unistd::Pid::from_raw(pid);
            // Waited for here: SIGKILL can't be put off, and without the process the file system can go.
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            if let Ok(ended) = wait::wait(Some(pid)) {
                self.reaped(ended);
            }
        }
        self.close_outputs(id);
        self.pod.remove(id)?;
        self.publish();
        Ok(Response::Done)
    }

    fn watch(&mut self, stream: UnixStream) {
        let state = Response::State(self.pod.state());
        if answer(&stream, &state, None)
            && stream.set_nonblocking(true).is_ok()
            && let Err(error) = self.add(Source::Watcher(stream))
        {
            note(&format!("watch: {error}"));
        }
    }

    /// Tells all watchers of the state; one that does not keep up is cut off and comes back for the present one.
    fn publish(&mut self) {
        let state = Response::State(self.pod.state());
        let watchers = self
            .sources
            .iter()
            .filter_map(|(&token, source)| match source {
                Source::Watcher(stream) => Some((token, stream)),
                _ => None,
            });
        let gone: Vec<u64> = watchers
            .filter(|(_, stream)| protocol::send(stream, &state, &[]).is_err())
            .map(|(token, _)| token)
            .collect();
        for token in gone {
            self.drop_source(token);
        }
    }

    /// Collects everything that ended: containers, commands, and orphans of both.
    fn reap(&mut self) -> Result<()> {
        while self.children.read_signal()?.is_some() {}
        loop {
            match wait::collect(None) {
                Ok(None) | Err(nix::Error::ECHILD) => return Ok(()),
                Ok(Some(ended)) => self.reaped(ended),
                Err(nix::Error::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn reaped(&mut self, ended: Ended) {
        let Ended { pid, code, signal } = ended;
        if let Some(stream) = self.commands.remove(&pid) {
            answer(&stream, &Response::Exited(code), None);
        } else if let Some(id) = self.pod.by_pid(pid) {
            // What the container wrote is in the log before its end is known.
            let tokens: Vec<u64> = self.outputs(&id);
            for token in tokens {
                self.output(token);
            }
            if let Err(error) = self.pod.ended(&id, code, signal) {
                note(&format!("container {id}: {error}"));
            }
            self.publish();
        }
    }

    fn outputs(&self, id: &str) -> Vec<u64> {
        let of = |(&token, source): (&u64, &Source)| match source {
            Source::Output(_, other, _) if other == id => Some(token),
            _ => None,
        };
        self.sources.iter().filter_map(of).collect()
    }

    fn close_outputs(&mut self, id: &str) {
        for token in self.outputs(id) {
            self.drop_source(token);
        }
    }

    /// Reads what is there of a container's output, into its log.
    fn output(&mut self, token: u64) {
        let Some(Source::Output(_, id, stream)) = self.sources.get(&token) else {
            return;
        };
        let (id, stream, mut buffer) = (id.clone(), *stream, vec![0; CHUNK]);
        // A pipe holds 64 KiB unless enlarged: a few rounds empty it, and a writer that never stops can't keep us.
        for _ in 0..16 {
            let Some(Source::Output(fd, ..)) = self.sources.get(&token) else {
                return;
            };
            let outcome = read(fd.as_fd(), &mut buffer);
            let Ok(container) = self.pod.get(&id) else {
                return self.drop_source(token);
            };
            let (logged, ended) = match outcome {
                Ok(0) => (container.log.finish(stream), true),
                Ok(count) => (container.log.append(stream, &buffer[..count]), false),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // A terminal whose last user is gone.
                Err(_) => (container.log.finish(stream), true),
            };
            if let Err(error) = logged {
                note(&format!("log of container {id}: {error}"));
            }
            if ended {
                return self.drop_source(token);
            }
        }
    }

    /// Ends all containers and removes what they had; the agent removes the rest.
    fn end(&mut self) -> Result<()> {
        self.pod.kill();
        loop {
            match wait::wait(None) {
                Ok(ended) => self.reaped(ended),
                Err(nix::Error::ECHILD) => break,
                Err(nix::Error::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        for id in self.pod.ids() {
            self.close_outputs(&id);
            self.pod.remove(&id).map_err(|error| {
                Error::other(format!("{}: {error}", self.pod.folder().display()))
            })?;
        }
        Ok(())
    }
}

fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    Ok(nix::unistd::read(fd, buffer)?)
}

/// Answers; false if nobody listens any more, which is no concern of the pod's.
fn answer(stream: &UnixStream, response: &Response, fd: Option<&OwnedFd>) -> bool {
    let fds: Vec<_> = fd.iter().map(|fd| fd.as_raw_fd()).collect();
    match protocol::send(stream, response, &fds) {
        Ok(()) => true,
        Err(error) => {
            note(&format!("answer: {error}"));
            false
        }
    }
}
