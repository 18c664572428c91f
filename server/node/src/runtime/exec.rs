//! Running a further command in a container.

use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::Error;

/// A command to run in a container that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecSpec {
    /// The program, looked up in the container's `PATH`, and its arguments.
    pub command: Vec<String>,
    /// Give it a terminal; then there is no separate standard error.
    pub tty: bool,
    /// Connect standard input; otherwise it is /dev/null.
    pub stdin: bool,
}

/// A command that runs. Dropping it closes the streams; the command goes on.
///
/// Reading ends when all processes that hold the other end have closed it,
/// which may be after [`exit`](ExecSession::exit) (a command that left a child behind).
pub struct ExecSession {
    /// Its standard input, if it was asked for. Dropping closes it.
    pub stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    /// Its standard output; everything with a terminal.
    pub stdout: Pin<Box<dyn AsyncRead + Send>>,
    /// Its standard error; `None` with a terminal.
    pub stderr: Option<Pin<Box<dyn AsyncRead + Send>>>,
    /// Changes the terminal's size (columns, rows); does nothing without one.
    pub resize: Arc<dyn Fn(u16, u16) + Send + Sync>,
    /// The exit code; 128 + the number of the signal that ended it.
    pub exit: oneshot::Receiver<Result<i32, Error>>,
}
